#!/usr/bin/python
"""Ansible module: queues what is to be built."""

from __future__ import annotations

DOCUMENTATION = r"""
module: job_request
short_description: Queue what is to be built
description:
  - Without O(packages), queues what each target wants of the projects that the farm follows and
    has no job for, and skips what waits and is no longer wanted.
  - With O(packages), queues just these, before all else; failed ones again, and whatever number
    of versions the settings want. A project that the farm doesn't follow is read from the index
    first.
  - The work is in C(master/jobs/policy.py) and C(master/jobs/request.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Says what would be queued.
  diff_mode:
    details: RV(outstanding) says it.
  idempotent:
    support: full
    description: What is queued or built is left alone.
options:
  targets:
    description: Names of the targets. All active ones without it.
    type: list
    elements: str
  packages:
    description: NAME for a project's newest version, or NAME==VERSION.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Build these now
  job_request:
    targets:
      - bookworm
    packages:
      - numpy
      - scipy==1.4.1
"""

RETURN = r"""
outstanding:
  description: For each target, how many jobs are pending or leased; of O(packages), if there are.
  type: dict
  returned: always
job_ids:
  description: Jobs of O(packages).
  type: list
  elements: int
  returned: always
already_built:
  description: Those of O(packages) that have a wheel already.
  type: list
  elements: str
  returned: always
queued:
  description: How many jobs were added to the queue.
  type: int
  returned: always
"""

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.jobs import planner
    from master.targets import registry
    from master.upstream import pypi


def main() -> None:
    module = MasterModule(
        {
            "targets": {"type": "list", "elements": "str"},
            "packages": {"type": "list", "elements": "str", "default": []},
        }
    )
    with (
        module.session("sync") as (conn, config),
        pypi.Index(config.pypi_url, config.site_url) as index,
    ):
        outcome = planner.run(
            conn,
            index,
            config,
            targets=registry.active(conn, module.params["targets"]),
            packages=module.params["packages"],
            now=module.now,
            check=module.check_mode,
        )
    module.exit_json(
        changed=outcome.changed,
        outstanding=outcome.outstanding,
        job_ids=outcome.job_ids,
        already_built=outcome.already_built,
        queued=outcome.queued,
    )


if __name__ == "__main__":
    main()
