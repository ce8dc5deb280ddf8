#!/usr/bin/python
"""Ansible module: what the farm is doing, as data and as text."""

from __future__ import annotations

DOCUMENTATION = r"""
module: farm_info
short_description: Tell what the farm is doing
description:
  - Reads queue, builders and the state of one run from the database, on the master.
  - The work is in C(master/status/read.py) and C(master/status/render.py).
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: There is nothing that could differ.
options:
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
  view:
    description: Which text RV(lines) holds.
    type: str
    choices: [status, progress, summary, ignored]
    default: status
  since:
    description: When the run began, ISO 8601 with its time zone. Without it there is no RV(run).
    type: str
  targets:
    description: Only these targets. All without it.
    type: list
    elements: str
  job_ids:
    description: Only these jobs belong to the run. All of O(targets) without it.
    type: list
    elements: int
"""

EXAMPLES = r"""
- name: Read the state of the farm
  farm_info:
  register: farm

- name: Read how the run of this morning ended
  farm_info:
    view: summary
    since: "2026-11-21T06:00:00+00:00"
    targets:
      - bookworm
"""

RETURN = r"""
now:
  description: When this was read.
  type: str
  returned: always
targets:
  description: For each target, how many jobs are in which state.
  type: dict
  returned: always
builders:
  description: For each builder, what it is, does, and since when it is missing.
  type: list
  elements: dict
  returned: always
waiting:
  description: >-
    For each target with jobs whose sdists couldn't be fetched, how many, and when and why the next
    of them is tried again.
  type: dict
  returned: always
notes:
  description: When sync, publish and round last ended, and how.
  type: dict
  returned: always
run:
  description: What the run has done and has left, whether it is done, and why it may never be.
  type: dict
  returned: when O(since) is given
trouble:
  description: What keeps the farm from its work, by kind, in words.
  type: dict
  returned: always
is_syncing:
  description: Whether the index is being read just now.
  type: bool
  returned: always
ignored:
  description: >-
    For each project of whose page on the index something can't be used, how much, and the first
    few with the reason.
  type: list
  elements: dict
  returned: when O(view=ignored), else empty
publishing_for_s:
  description: For how many seconds pages and wheels have been on their way to the site, or null.
  type: float
  returned: always
site_url:
  description: Where the site is.
  type: str
  returned: always
lost_after_s:
  description: After how many seconds of silence a builder's jobs go to others.
  type: float
  returned: always
lines:
  description: The text that O(view) asks for.
  type: list
  elements: str
  returned: always
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

try:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError
    from master.status import read, render
    from master.status.model import Info
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None


def described(state: Info) -> dict[str, Any]:
    """The state as Ansible returns it: plain types, times in ISO 8601."""
    data: dict[str, Any] = plain(asdict(state))
    if state.run is not None:
        data["run"] |= {
            "outstanding": state.run.outstanding,
            "eta_s": render.eta_s(state),
            "done": not state.run.outstanding and not state.run.unpublished,
            "stuck": render.standing_still(state),
        }
    data["trouble"] = render.trouble(state)
    data["publishing_for_s"] = render.publishing_for_s(state)
    return data


def plain(value: Any) -> Any:
    """Value with every datetime in it as text."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config_path": {"type": "path", "default": "/etc/wheelyard/master.json"},
            "view": {
                "type": "str",
                "choices": ["status", "progress", "summary", "ignored"],
                "default": "status",
            },
            "since": {"type": "str"},
            "targets": {"type": "list", "elements": "str"},
            "job_ids": {"type": "list", "elements": "int"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR is not None:
        module.fail_json(
            msg=f"this host is no provisioned master ({IMPORT_ERROR}):"
            " run ansible-playbook site.yml"
        )
    since_text = module.params["since"]
    try:
        since = datetime.fromisoformat(since_text) if since_text else None
    except ValueError:
        module.fail_json(msg=f"since is {since_text!r}, and must be a time as ISO 8601 writes it")
    if since is not None and since.tzinfo is None:
        module.fail_json(msg=f"since is {since_text!r}, and must have a time zone")
    try:
        config = master_config.load(module.params["config_path"])
        with db.session(config, "readonly") as conn:
            state = read.read(
                conn,
                config,
                datetime.now(UTC),
                since=since,
                targets=module.params["targets"],
                job_ids=module.params["job_ids"],
                ignored=module.params["view"] == "ignored",
            )
    except FarmError as error:
        module.fail_json(msg=str(error))
    views = {
        "status": render.status,
        "progress": render.progress,
        "summary": render.summary,
        "ignored": render.ignored,
    }
    module.exit_json(changed=False, lines=views[module.params["view"]](state), **described(state))


if __name__ == "__main__":
    main()
