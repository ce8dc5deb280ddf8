#!/usr/bin/python
"""Ansible module: leases jobs to builders."""

from __future__ import annotations

DOCUMENTATION = r"""
module: queue_claim
short_description: Lease jobs to builders
description:
  - Leases pending jobs to every builder whose spool is low, in one transaction for the whole
    fleet, and says what each builder is to be told in this round.
  - Runs on the master, as its user and with the Python of its environment.
  - The work is in C(master/fleet/claim.py).
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Says what would be handed out.
  diff_mode:
    support: none
    description: RV(handouts) says it.
  idempotent:
    support: full
    description: A spool that is full gets no more.
options:
  builders:
    description:
      - The builders of the inventory, as the name of the target of each. New ones are taken up,
        and those that are missing here give their jobs back.
      - Without it, the builders are those that the database knows.
    type: dict
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
"""

EXAMPLES = r"""
- name: Lease jobs to every builder whose spool is low
  queue_claim:
    builders:
      pi1: bookworm
      pi2: trixie
  register: round_claim
"""

RETURN = r"""
handouts:
  description: >-
    For each builder that is to be talked to now: its name as builder, the new jobs, the keys of
    all that it holds as leased, and the keys that it shall give back as revoke.
  type: list
  elements: dict
  returned: always
leased:
  description: How many jobs were leased.
  type: int
  returned: always
outdated:
  description: Whether the farm knows more than its site shows.
  type: bool
  returned: always
left_out:
  description: Which builders get nothing, when their target isn't known on the master.
  type: str
  returned: always
paused:
  description: Why nothing is handed out, when the disk of the master is nearly full.
  type: str
  returned: always
"""

from dataclasses import asdict
from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule

try:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError
    from master.fleet import claim
    from master.status import due
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "builders": {"type": "dict"},
            "config_path": {"type": "path", "default": "/etc/wheelyard/master.json"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR is not None:
        module.fail_json(
            msg=f"this host is no provisioned master ({IMPORT_ERROR}):"
            " run ansible-playbook site.yml"
        )
    try:
        config = master_config.load(module.params["config_path"])
        with db.session(config, "queue") as conn:
            claims = claim.claim(
                conn,
                config,
                datetime.now(UTC),
                module.params["builders"],
                check=module.check_mode,
            )
            outdated = due.is_outdated(conn, config)
    except FarmError as error:
        module.fail_json(msg=str(error))
    for why in filter(None, (claims.paused, claims.left_out)):
        module.warn(why)
    module.exit_json(
        changed=claims.leased > 0,
        handouts=[asdict(handout) for handout in claims.handouts],
        leased=claims.leased,
        outdated=outdated,
        paused=claims.paused,
        left_out=claims.left_out,
    )


if __name__ == "__main__":
    main()
