#!/usr/bin/python
"""Ansible module: rent a Pi, power it, give it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mythic_pi
short_description: Rent a Pi from Mythic Beasts, power it, give it back
description:
  - Brings one Pi of the account to a state, and waits until its ssh answers and its host key is
    pinned.
  - The work is in C(control/pis.py) and C(control/host_key.py).
extends_documentation_fragment:
  - mythic_beasts
  - mythic_beasts.ssh
attributes:
  check_mode:
    details: What only the provider can tell, such as what is in stock, isn't known before.
  idempotent:
    support: partial
    description: V(rebooted) reboots each time.
options:
  name:
    description: The Pi's name, 3 to 20 lower-case letters, digits and dashes.
    type: str
    required: true
  state:
    description:
      - V(present) rents it if it isn't there, V(absent) gives it back with all that is on its disk.
      - The others need it to be there.
    type: str
    choices: [present, absent, powered_on, powered_off, rebooted]
    default: present
  model:
    description: 3 or 4. A Pi that is there must be of it.
    type: int
  memory:
    description: In MB, at least. A Pi that is there must have it.
    type: int
  disk:
    description: In GB, a multiple of 10. Only for one that isn't there.
    type: int
    default: 10
  image:
    description: What it boots, by the provider's name. Only for one that isn't there.
    type: str
  ssh_key:
    description: Public keys that may log in as root, one a line. Only for one that isn't there.
    type: str
"""

EXAMPLES = r"""
- name: Rent a Pi
  mythic_pi:
    provider: "{{ farm_provider }}"
    name: farm-stretch-1
    model: 4
    memory: 4096
    image: rpi-bookworm-armhf
    ssh_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"

- name: Give it back
  mythic_pi:
    provider: "{{ farm_provider }}"
    name: farm-stretch-1
    state: absent
"""

RETURN = r"""
pi:
  description: Its name, address (IPv6), relay, relay_port, power, and is_up.
  type: dict
  returned: when it is there, outside of check mode
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.control_module import CONTROL_CODE, SSH, ControlModule

with CONTROL_CODE:
    from control import pis

STATES = ["present", "absent", "powered_on", "powered_off", "rebooted"]
OPTIONS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "model": {"type": "int"},
    "memory": {"type": "int"},
    "disk": {"type": "int", "default": 10},
    "image": {"type": "str"},
    "ssh_key": {"type": "str"},
}


def main() -> None:
    needed = [("state", "present", ("model", "memory", "image", "ssh_key"))]
    module = ControlModule({**OPTIONS, **SSH}, required_if=needed)
    asked = {name: module.params[name] for name in ("name", "state", "ssh_key", "timeout_s")}
    with module.account() as provider:
        kind = pis.Kind(*(module.params[name] for name in ("model", "memory", "disk", "image")))
        known_hosts, check = Path(module.params["known_hosts"]), module.check_mode
        wanted = pis.Wanted(kind=kind, known_hosts=known_hosts, check_mode=check, **asked)
        done = pis.bring(provider, wanted)
    pi = asdict(done.pi) if done.pi else None
    diff = {"before": done.before, "after": done.after}
    module.exit_json(changed=done.changed, pi=pi, diff=diff)


if __name__ == "__main__":
    main()
