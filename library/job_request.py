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
  - Runs on the master, as its user and with the Python of its environment.
  - The work is in C(master/jobs/policy.py) and C(master/jobs/request.py).
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Says what would be queued.
  diff_mode:
    support: none
    description: RV(outstanding) says it.
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
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
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

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule

try:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError
    from master.jobs import planner
    from master.targets import registry as master_targets
    from master.upstream import pypi
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "targets": {"type": "list", "elements": "str"},
            "packages": {"type": "list", "elements": "str", "default": []},
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
        with (
            db.session(config, "sync") as conn,
            pypi.Index(config.pypi_url, config.site_url) as index,
        ):
            outcome = planner.run(
                conn,
                index,
                config,
                targets=master_targets.active(conn, module.params["targets"]),
                packages=module.params["packages"],
                now=datetime.now(UTC),
                check=module.check_mode,
            )
    except FarmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed,
        outstanding=outcome.outstanding,
        job_ids=outcome.job_ids,
        already_built=outcome.already_built,
        queued=outcome.queued,
    )


if __name__ == "__main__":
    main()
