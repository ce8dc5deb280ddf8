#!/usr/bin/python
"""Ansible module: bring the database to the schema, reasons and targets of this version."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schema_migrate
short_description: Bring the database to the schema, the reasons and the targets of this version
description:
  - Applies the SQL files in C(master/database/schema) that the database lacks, as its owner,
    writes the codes of C(master/jobs/reasons.py) with their words, and makes the targets those of
    the inventory.
  - The work is in C(master/provision.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Lists what would be applied.
  diff_mode:
    support: full
    details: Shows the names of migrations.
  idempotent:
    support: full
    description: Each migration is applied once.
options:
  owner_password:
    description: Of the database role C(wheelyard_owner). Without it libpq looks for it.
    type: str
  targets:
    description:
      - The targets that the farm builds for, as the facts of each release of the inventory;
        others become inactive. Not touched without it.
      - Of the facts, C(name), C(python_version), C(interpreter_tag), C(abi_tag), C(platform_tag)
        and C(armv6) are used.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Bring the schema of the database
  schema_migrate:
    owner_password: "{{ lookup('ansible.builtin.file', farm_secrets_dir ~ '/db_owner') }}"
    targets:
      - name: bookworm
        python_version: "3.11"
        interpreter_tag: cp311
        abi_tag: cp311
        platform_tag: linux_armv7l
        armv6: true
"""

RETURN = r"""
applied:
  description: Migrations that were applied, or would be in check mode.
  type: list
  elements: str
  returned: always
reasons:
  description: Codes of reasons that were added or changed, or would be.
  type: list
  elements: str
  returned: always
targets:
  description: Targets that were added or changed, or would be.
  type: list
  elements: str
  returned: always
"""

from dataclasses import asdict

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.provision import provision


def main() -> None:
    module = MasterModule(
        {
            "owner_password": {"type": "str", "no_log": True},
            "targets": {"type": "list", "elements": "dict"},
        }
    )
    password, targets = module.params["owner_password"], module.params["targets"]
    with module.session("owner", password) as (conn, config):
        done = provision(conn, config, password, targets, check=module.check_mode)
    names = [*done.applied, *done.reasons, *done.targets]
    diff = {"before": "", "after": "".join(f"{name}\n" for name in names)}
    module.exit_json(changed=bool(names), diff=diff, **asdict(done))


if __name__ == "__main__":
    main()
