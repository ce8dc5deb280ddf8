#!/usr/bin/python
"""Ansible module: records what a round brought back from the builders."""

from __future__ import annotations

DOCUMENTATION = r"""
module: result_record
short_description: Record what a round brought back
description:
  - Takes note of each builder's report, ends the leases that were lost, verifies and records
    the results that stand in C(incoming/), and moves their wheels into the store.
  - Runs on the master, as its user and with the Python of its environment.
  - The work is in C(master/fleet/leases.py) and C(master/results).
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Says which results would be recorded, without a look into them.
  diff_mode:
    support: none
    description: RV(recorded) says it.
  idempotent:
    support: full
    description: A result is recorded once.
options:
  reports:
    description:
      - For each builder that was to be talked to, the report of its spool, or null if it couldn't
        be reached.
      - A report's C(collected) lists the keys whose results were fetched whole (default is all
        that is C(done)), its C(handed) those of the jobs that were handed over just before it.
    type: dict
    required: true
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
"""

EXAMPLES = r"""
- name: Record what came back
  result_record:
    reports:
      pi1:
        queued: []
        running: []
        done:
          - bookworm-12-1
        refuses: null
      pi2: null
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
from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule

try:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError
    from master.results import collect
except ImportError as missing:
    IMPORT_ERROR: ImportError | None = missing
else:
    IMPORT_ERROR = None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "reports": {"type": "dict", "required": True},
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
            gathered = collect.gather(
                conn, config, module.params["reports"], datetime.now(UTC), check=module.check_mode
            )
    except FarmError as error:
        module.fail_json(msg=str(error))
    facts = {
        "recorded": [asdict(one) for one in gathered.recorded],
        "refused": [asdict(one) for one in gathered.refused],
        "lost": [asdict(one) for one in gathered.lost],
    }
    changed = any(facts.values())
    if gathered.stopped:
        module.fail_json(msg=gathered.stopped, changed=changed, **facts)
    module.exit_json(changed=changed, **facts)


if __name__ == "__main__":
    main()
