#!/usr/bin/python
"""Ansible module: compare the rented fleet with what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mythic_fleet
short_description: Compare the rented fleet with what is wanted
description:
  - Says which Pis to rent and to give back, by the names that the farm makes, PREFIX-RELEASE-N.
  - The work is in C(control/fleet.py).
extends_documentation_fragment: mythic_beasts
attributes:
  check_mode:
    details: Reads only.
  diff_mode:
    support: none
    details: RV(lines) shows it.
options:
  prefix:
    description: What the names of the farm's Pis begin with.
    type: str
    required: true
  wanted:
    description: For each release count, model, memory (MB), and optionally disk (GB) and image.
    type: dict
    required: true
  max:
    description: How many Pis may be rented at most.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Compare the rented fleet with what is wanted
  mythic_fleet:
    provider: "{{ farm_provider }}"
    prefix: farm
    wanted:
      stretch:
        count: 3
        model: 4
        memory: 4096
    max: 5
  register: fleet_plan
"""

RETURN = r"""
rent:
  description: The Pis to rent, by name with model, memory, disk and image.
  type: dict
  returned: always
give_back:
  description: Names of the Pis to give back.
  type: list
  elements: str
  returned: always
lines:
  description: The same in words, with the API's price where it gives one.
  type: list
  elements: str
  returned: always
"""

from dataclasses import asdict

from ansible.module_utils.control_module import CONTROL_CODE, ControlModule

with CONTROL_CODE:
    from control import fleet


def main() -> None:
    module = ControlModule(
        {
            "prefix": {"type": "str", "required": True},
            "wanted": {"type": "dict", "required": True},
            "max": {"type": "int", "required": True},
        }
    )
    with module.account() as provider:
        plan = fleet.plan(provider, *(module.params[name] for name in ("prefix", "wanted", "max")))
    module.exit_json(changed=False, **asdict(plan))


if __name__ == "__main__":
    main()
