#!/usr/bin/python
"""Ansible module: brings the database to the schema, reasons and targets of this version."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schema_migrate
short_description: Bring the database to the schema, the reasons and the targets of this version
description:
  - Applies the SQL files in C(master/database/schema) that the database lacks, as its owner,
    writes the codes of C(master/jobs/reasons.py) with their words, and makes the targets those of
    the inventory.
  - Runs on the master, as its user and with the Python of its environment.
  - The work is in C(master/database/migrate.py), C(master/jobs/reasons.py) and
    C(master/targets/registry.py).
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Lists what would be applied.
  diff_mode:
    support: full
    description: Shows the names of migrations.
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
      - Of the facts, C(name), C(python_version), C(interpreter_tag), C(abi_tag) and
        C(platform_tag) are used.
    type: list
    elements: dict
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
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

from ansible.module_utils.basic import AnsibleModule

try:
    import psycopg2

    from master import config as master_config
    from master.database import connection as db
    from master.database import migrate
    from master.errors import FarmError
    from master.jobs import reasons
    from master.targets import registry as master_targets
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "owner_password": {"type": "str", "no_log": True},
            "targets": {"type": "list", "elements": "dict"},
            "config_path": {"type": "path", "default": "/etc/wheelyard/master.json"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR is not None:
        module.fail_json(
            msg=f"this host is no provisioned master ({IMPORT_ERROR}):"
            " run ansible-playbook site.yml"
        )
    password = module.params["owner_password"]
    targets = module.params["targets"]
    for target in targets or ():
        lacking = [fact for fact in master_targets.FACTS if fact not in target]
        if lacking:
            module.fail_json(
                msg=f"the release {target.get('name')!r} has no {', '.join(lacking)}:"
                " add what is missing to its file in playbooks/group_vars"
            )
    try:
        config = master_config.load(module.params["config_path"])
        with db.session(config, "owner", password) as conn:
            if module.check_mode:
                applied = migrate.pending(conn)
            else:
                applied = migrate.migrate(conn, config, password)
            if module.check_mode and applied:
                # Its tables may not be there yet.
                codes = sorted(str(code) for code in reasons.WORDS)
                changed = sorted(target["name"] for target in targets or ())
            else:
                codes = reasons.register(conn, check=module.check_mode)
                changed = []
                if targets is not None:
                    changed = master_targets.register(conn, targets, check=module.check_mode)
    except FarmError as error:
        module.fail_json(msg=str(error))
    except psycopg2.Error as error:
        module.fail_json(
            msg=f"a migration of {config.database.name} at {config.database.host} failed and was"
            f" rolled back: {error}. Restore the schema that this version expects, or report it"
        )
    module.exit_json(
        changed=bool(applied or codes or changed),
        applied=applied,
        reasons=codes,
        targets=changed,
        diff={"before": "", "after": "".join(f"{name}\n" for name in applied + codes + changed)},
    )


if __name__ == "__main__":
    main()
