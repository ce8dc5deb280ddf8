#!/usr/bin/python
"""Ansible module: render the site on the master, and note what was carried to the web host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_render
short_description: Render the stale pages of the site, and note what was carried
description:
  - Renders the pages of projects that have changed since they were last published, on the
    master, and lists what rsync must carry to the web host.
  - The lists are written to C(publish/) in the master's state folder, with paths relative to
    C(site/) there. They are to be carried in the order C(files.list), C(pages.list),
    C(root.list), C(delete.list). The last has rules for rsync's C(--exclude-from).
  - A project stays stale until O(state=published), so a run that is cut off is done again by
    the next one.
options:
  state:
    description:
      - V(rendered) renders what is stale and writes the lists.
      - V(published) notes that what was listed last has been carried.
      - V(stale) has the next round render and carry every project, as a new web host needs it.
      - V(failed) notes O(error), so that C(playbooks/status.yml) shows it.
    type: str
    choices: [rendered, published, stale, failed]
    default: rendered
  error:
    description: Why carrying failed.
    type: str
extends_documentation_fragment: master
attributes:
  diff_mode:
    details: What changes are pages; RV(projects) names the projects.
  idempotent:
    description: Whether a second run changes nothing.
    support: partial
    details: V(rendered) lists the same again until V(published) was run.
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
    A line for each project that couldn't be rendered. It stays stale; all others are done.
  returned: O(state=rendered)
  type: list
  elements: str
published:
  description: How many projects are up to date now.
  returned: O(state=published)
  type: int
stale:
  description: How many projects are to be carried again.
  returned: O(state=stale)
  type: int
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.site import publish

OPTIONS = {
    "state": {"choices": ["rendered", "published", "stale", "failed"], "default": "rendered"},
    "error": {"type": "str"},
}


def main() -> None:
    module = MasterModule(OPTIONS, required_if=[("state", "failed", ["error"])])
    check = module.check_mode
    result: dict[str, Any] = {"changed": True}
    with module.session("site") as (conn, config):
        match module.params["state"]:
            case "rendered":
                rendered = publish.render(conn, config, check=check)
                result = {"changed": bool(rendered.projects or rendered.lists), **asdict(rendered)}
            case "published":
                published = publish.mark_published(conn, config, check=check)
                result = {"changed": published > 0, "published": published}
            case "stale":
                result["stale"] = publish.mark_stale(conn, config, check=check)
            case "failed" if not check:
                publish.note_failure(conn, module.params["error"])
    for line in result.get("errors", ()):
        module.warn(line)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
