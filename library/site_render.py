#!/usr/bin/python
"""Ansible module: renders the site on the master, and notes what was carried to the web host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_render
short_description: Render the outdated pages of the site, and note what was carried
description:
  - Renders the pages of projects that have changed since they were last published, on the
    master, and lists what rsync must carry to the web host.
  - The lists are written to C(publish/) in the master's state folder, with paths relative to
    C(site/) there. They are to be carried in the order C(files.list), C(pages.list),
    C(root.list), C(delete.list). The last has rules for rsync's C(--exclude-from).
  - A project stays outdated until O(state=published), so a run that is cut off is done again by
    the next one.
  - Runs on the master, as its user and with the Python of its environment.
options:
  state:
    description:
      - V(rendered) renders what is outdated and writes the lists.
      - V(published) notes that what was listed last has been carried.
      - V(outdated) has the next round render and carry every project, as a new web host needs it.
      - V(failed) notes O(error), so that C(playbooks/status.yml) shows it.
    type: str
    choices: [rendered, published, outdated, failed]
    default: rendered
  error:
    description: Why carrying failed.
    type: str
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
attributes:
  check_mode:
    description: Whether it can tell what it would do without doing it.
    support: full
  diff_mode:
    description: Whether it shows what changes.
    support: none
    details: What changes are pages; RV(projects) names the projects.
  idempotent:
    description: Whether a second run changes nothing.
    support: partial
    details: V(rendered) lists the same again until V(published) was run.
author:
  - Wheelyard
"""

EXAMPLES = r"""
- name: Render what has changed
  site_render:
    state: rendered
  register: rendered

- name: Note that it was carried
  site_render:
    state: published
  when: rendered is changed
"""

RETURN = r"""
projects:
  description: The projects that were rendered, or are gone; in check mode those that would be.
  returned: O(state=rendered)
  type: list
  elements: str
lists:
  description: How many lines C(files.list), C(pages.list), C(root.list) and C(delete.list) have.
  returned: O(state=rendered), when there is something to carry
  type: dict
errors:
  description: >-
    A line for each project that couldn't be rendered. It stays outdated; all others are done.
  returned: O(state=rendered)
  type: list
  elements: str
published:
  description: How many projects are up to date now.
  returned: O(state=published)
  type: int
outdated:
  description: How many projects are to be carried again.
  returned: O(state=outdated)
  type: int
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

try:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError
    from master.site import publish
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None

if TYPE_CHECKING:
    from psycopg2.extensions import connection

    from master.config import Config


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["rendered", "published", "outdated", "failed"],
                "default": "rendered",
            },
            "error": {"type": "str"},
            "config_path": {"type": "path", "default": "/etc/wheelyard/master.json"},
        },
        required_if=[("state", "failed", ["error"])],
        supports_check_mode=True,
    )
    if IMPORT_ERROR is not None:
        module.fail_json(
            msg=f"this host is no provisioned master ({IMPORT_ERROR}):"
            " run ansible-playbook site.yml"
        )
    try:
        config = master_config.load(module.params["config_path"])
        with db.session(config, "site") as conn:
            result = run(module, conn, config)
    except FarmError as error:
        module.fail_json(msg=str(error))
    for line in result.get("errors", ()):
        module.warn(line)
    module.exit_json(**result)


def run(module: AnsibleModule, conn: connection, config: Config) -> dict[str, Any]:
    """What the module returns."""
    match module.params["state"]:
        case "rendered" if module.check_mode:
            projects = publish.outdated(conn, config)
            return {"changed": bool(projects), "projects": projects, "errors": []}
        case "rendered":
            rendered = publish.rendered(conn, config)
            return {
                "changed": bool(rendered.lists),
                "projects": rendered.projects,
                "lists": rendered.lists,
                "errors": rendered.errors,
            }
        case "published":
            check = module.check_mode
            clean = len(publish.listed(config)) if check else publish.published(conn, config)
            return {"changed": clean > 0, "published": clean}
        case "outdated":
            count = 0 if module.check_mode else publish.mark_outdated(conn)
            return {"changed": True, "outdated": count}
        case _:
            if not module.check_mode:
                publish.note_failure(conn, module.params["error"])
            return {"changed": True}


if __name__ == "__main__":
    main()
