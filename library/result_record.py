#!/usr/bin/python
"""Ansible module: record what a round brought back from the builders."""

from __future__ import annotations

DOCUMENTATION = r"""
module: result_record
short_description: Record what a round brought back
description:
  - Takes note of each builder's report, ends the leases that were lost, verifies and records
    the results that stand in C(incoming/), and moves their wheels into the store.
  - The work is in C(master/fleet/leases.py) and C(master/results).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Reports which results would be recorded, without verifying them.
  diff_mode:
    details: RV(recorded) shows it.
  idempotent:
    support: full
    description: A result is recorded once.
options:
  exchanges:
    description:
      - For each builder that was to be talked to, the C(report) of its spool, or null if it
        couldn't be reached, and beside it what the master knows.
      - That is the keys whose results were fetched whole, as C(collected), and those of the jobs
        that were handed over just before the report, as C(handed).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Record what came back
  result_record:
    exchanges:
      pi1:
        report:
          protocol: 3
          queued: []
          running: []
          done:
            - bookworm-12-1
          refuses: null
        collected:
          - bookworm-12-1
        handed: []
      pi2:
        report: null
        collected: []
        handed: []
"""

RETURN = r"""
recorded:
  description: >-
    Key, status (built, failed, skipped, when another target's wheel has come to serve this one
    meanwhile, or waiting, when its sdist couldn't be fetched and is tried again later), reason and
    file name of each result that was recorded.
  type: list
  elements: dict
  returned: always
refused:
  description: Key, builder and reason of each result that the farm doesn't wait for.
  type: list
  elements: dict
  returned: always
lost:
  description: Key, builder and reason of each lease that ended without a result.
  type: list
  elements: dict
  returned: always
"""

from dataclasses import asdict

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.results import collect


def main() -> None:
    module = MasterModule({"exchanges": {"type": "dict", "required": True}})
    with module.session("queue") as (conn, config):
        exchanges = module.params["exchanges"]
        gathered = collect.gather(conn, config, exchanges, module.now, check=module.check_mode)
    facts = asdict(gathered)
    stopped = facts.pop("stopped")
    changed = any(facts.values())
    if stopped:
        module.fail_json(msg=stopped, changed=changed, **facts)
    module.exit_json(changed=changed, **facts)


if __name__ == "__main__":
    main()
