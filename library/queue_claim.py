#!/usr/bin/python
"""Ansible module: lease jobs to builders."""

from __future__ import annotations

DOCUMENTATION = r"""
module: queue_claim
short_description: Lease jobs to builders
description:
  - Leases pending jobs to every builder whose spool is low, in one transaction for the whole
    fleet, and says what each builder is to be told in this round.
  - The work is in C(master/fleet/claim.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Reports what would be handed out.
  diff_mode:
    details: RV(handouts) shows it.
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
    For each builder that is to be talked to now: its name as builder, the version of the
    protocol, the new jobs, the keys of all that it holds as leased, and the keys that it shall
    give back as revoke.
  type: list
  elements: dict
  returned: always
leased:
  description: How many jobs were leased.
  type: int
  returned: always
stale:
  description: Whether the farm knows more than its site shows.
  type: bool
  returned: always
left_out:
  description: Which builders get nothing, as their target isn't known on the master.
  type: str
  returned: always
paused:
  description: Why nothing is handed out, when the disk of the master is nearly full.
  type: str
  returned: always
"""

from dataclasses import asdict

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.fleet import claim
    from master.status import due


def main() -> None:
    module = MasterModule({"builders": {"type": "dict"}})
    with module.session("queue") as (conn, config):
        builders = module.params["builders"]
        claims = claim.claim(conn, config, module.now, builders, check=module.check_mode)
        stale = due.is_stale(conn, config, module.now)
    for why in filter(None, (claims.paused, claims.left_out)):
        module.warn(why)
    module.exit_json(changed=claims.leased > 0, stale=stale, **asdict(claims))


if __name__ == "__main__":
    main()
