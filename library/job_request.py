#!/usr/bin/python
"""Ansible module: queue what is asked for by name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: job_request
short_description: Queue what is asked for by name
description:
  - Queues just these packages, before all else; failed ones again, and whatever number of versions
    the settings want.
  - All is done by what the database knows of the index. M(pypi_sync) with the same packages reads
    it before.
  - The work is in C(master/jobs/request.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Reports what would be queued.
  diff_mode:
    details: RV(queued) shows it.
  idempotent:
    support: full
    description: What is queued or built is left alone.
options:
  packages:
    description: NAME for a project's newest version, or NAME==VERSION.
    type: list
    elements: str
    required: true
  targets:
    description: Names of the targets. All active ones without it.
    type: list
    elements: str
  unread:
    description: Projects of which M(pypi_sync) could store nothing, each with the reason.
    type: dict
    default: {}
  pages:
    description: What M(pypi_sync) has read and, as it was in check mode, not stored.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Build these now, of which pypi_sync has read the pages
  job_request:
    packages: [numpy, scipy==1.4.1]
    targets: [bookworm]
    unread: "{{ sync.unread }}"
    pages: "{{ sync.pages }}"
"""

RETURN = r"""
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
    from master.database import connection as db
    from master.jobs import request
    from master.targets import registry
    from master.upstream import named


def main() -> None:
    module = MasterModule(
        {
            "packages": {"type": "list", "elements": "str", "required": True},
            "targets": {"type": "list", "elements": "str"},
            "unread": {"type": "dict", "default": {}},
            "pages": {"type": "list", "elements": "dict", "default": []},
        }
    )
    packages, unread = module.params["packages"], module.params["unread"]
    with module.session("sync") as (conn, _config):
        targets = registry.active(conn, module.params["targets"])
        db.lock(conn, db.Lock.SYNC)
        with db.transaction(conn, dry_run=module.check_mode) as cursor:
            named.write(cursor, module.params["pages"], module.now)
            planned = request.queue(cursor, packages, unread, targets, module.now)
    module.exit_json(
        changed=planned.changed,
        job_ids=planned.job_ids,
        already_built=planned.already_built,
        queued=planned.queued,
    )


if __name__ == "__main__":
    main()
