#!/usr/bin/python
"""Ansible module: what the farm is doing, as data and as text."""

from __future__ import annotations

DOCUMENTATION = r"""
module: farm_info
short_description: Report what the farm is doing
description:
  - Reads queue, builders and the state of one run from the database, on the master.
  - The work is in C(master/status/read.py) and C(master/status/render.py).
extends_documentation_fragment:
  - master
  - master.run
attributes:
  check_mode:
    details: Reads only.
  diff_mode:
    details: There is nothing that could differ.
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
    For each project with versions or files on the index that can't be used, how many, and the
    first few with the reason.
  type: list
  elements: dict
  returned: when O(view=ignored), else empty
stale:
  description: >-
    What the site doesn't show as it is, ten at most: projects, those first that have waited
    longest, then files that must leave it. Empty where all is published.
  type: list
  elements: str
  returned: always
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

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.status import read, render

VIEWS = ("status", "progress", "summary", "builders", "ignored")


def main() -> None:
    module = MasterModule(
        {
            "view": {"type": "str", "choices": list(VIEWS), "default": "status"},
            "since": {"type": "str"},
            "targets": {"type": "list", "elements": "str"},
            "job_ids": {"type": "list", "elements": "int"},
            "builders": {"type": "list", "elements": "str"},
        }
    )
    chosen = {name: module.params[name] for name in ("targets", "job_ids", "builders")}
    view = module.params["view"]
    with module.session("readonly") as (conn, config):
        since = read.moment(module.params["since"])
        ignored = view == "ignored"
        state = read.read(conn, config, module.now, since=since, ignored=ignored, **chosen)
    lines = getattr(render, view)(state)
    module.exit_json(changed=False, lines=lines, **render.facts(state))


if __name__ == "__main__":
    main()
