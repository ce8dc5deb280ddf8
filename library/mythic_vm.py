#!/usr/bin/python
"""Ansible module: rent a virtual machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mythic_vm
short_description: Rent a virtual machine from Mythic Beasts
description:
  - Rents one if it isn't there, with an IPv6 address alone, and waits until its ssh answers and its
    host key is pinned. It gives none back, as the farm's memory is on it.
  - The work is in C(control/vms.py).
extends_documentation_fragment:
  - mythic_beasts
  - mythic_beasts.ssh
attributes:
  check_mode:
    details: What only the provider can tell, such as what is in stock, isn't known before.
  idempotent:
    support: full
    description: One that is there is left as it is.
options:
  name:
    description: Its name, at most 20 lower-case letters and digits.
    type: str
    required: true
  product:
    description: The provider's product, such as V(VPSX16).
    type: str
    required: true
  disk_size:
    description: In MB, one of the sizes that the provider has.
    type: int
    required: true
  image:
    description: What it boots, by the provider's name, one with cloud-init.
    type: str
    required: true
  zone:
    description: Where it runs.
    type: str
    required: true
  ssh_key:
    description: Public key that may log in as root. Only for one that isn't there.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Rent the database's VM
  mythic_vm:
    provider: "{{ farm_provider }}"
    name: farmdb
    product: VPSX16
    disk_size: 102400
    image: cloudinit-debian-bookworm.raw.gz
    zone: uk
    ssh_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
"""

RETURN = r"""
address:
  description: Its address, IPv6.
  type: str
  returned: when it is there
price:
  description: What the API says that it costs.
  type: str
  returned: in check mode, when it isn't there
"""

from pathlib import Path

from ansible.module_utils.control_module import CONTROL_CODE, SSH, ControlModule

with CONTROL_CODE:
    from control import vms

KIND = ("product", "disk_size", "image", "zone")
OPTIONS = {name: {"type": "str", "required": True} for name in ("name", "ssh_key", *KIND)}
OPTIONS["disk_size"] = {"type": "int", "required": True}


def main() -> None:
    module = ControlModule({**OPTIONS, **SSH})
    asked = {name: module.params[name] for name in ("name", "ssh_key", "timeout_s")}
    with module.account() as provider:
        kind = vms.Kind(*(module.params[name] for name in KIND))
        known_hosts, check = Path(module.params["known_hosts"]), module.check_mode
        wanted = vms.Wanted(kind=kind, known_hosts=known_hosts, check_mode=check, **asked)
        done = vms.present(provider, wanted)
    diff = {"before": {} if done.changed else done.after, "after": done.after}
    module.exit_json(changed=done.changed, address=done.address, price=done.price, diff=diff)


if __name__ == "__main__":
    main()
