#!/usr/bin/python
"""Ansible module: pause builders, or give them work again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: builder_pause
short_description: Pause builders, or give them work again
description:
  - A paused builder is given nothing new. It finishes what it builds, and gives back what it hasn't
    begun.
  - The work is in C(master/fleet/pause.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Reports which builders would change.
  diff_mode:
    support: full
    details: Why each builder is paused, before and after.
  idempotent:
    support: full
    description: A builder that is paused for this reason, or is given work already, is left alone.
options:
  builders:
    description: Names of the builders.
    type: list
    elements: str
    required: true
  state:
    description: Whether they are to be given nothing new, or work again.
    type: str
    choices: [paused, resumed]
    default: paused
  reason:
    description: Why they are paused, in words for people.
    type: str
  by:
    description: Who pauses or resumes them. What an operator has paused, an upgrade leaves so.
    type: str
    choices: [operator, upgrade]
    default: operator
"""

EXAMPLES = r"""
- name: Give pi7 nothing new
  builder_pause:
    builders: [pi7]
    reason: its fan is broken

- name: Give pi7 work again
  builder_pause:
    builders: [pi7]
    state: resumed
"""

RETURN = r"""
builders:
  description: Why each of O(builders) is paused now, null where it is given work.
  type: dict
  returned: always
"""

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.fleet import pause


def main() -> None:
    module = MasterModule(
        {
            "builders": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["paused", "resumed"], "default": "paused"},
            "reason": {"type": "str"},
            "by": {"type": "str", "choices": ["operator", "upgrade"], "default": "operator"},
        }
    )
    state, reason, chosen, by = map(module.params.get, ("state", "reason", "builders", "by"))
    check = module.check_mode
    with module.session("queue") as (conn, _config):
        if state == "paused":
            change = pause.pause(conn, chosen, reason, by, module.now, check=check)
        else:
            change = pause.resume(conn, chosen, by, check=check)
    diff = {"before": change.before, "after": change.after}
    changed = change.before != change.after
    module.exit_json(changed=changed, diff=diff, builders=change.after)


if __name__ == "__main__":
    main()
