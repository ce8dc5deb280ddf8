#!/usr/bin/python
"""Ansible module: read what the index has of some projects, and queue what is new."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pypi_sync
short_description: Read what the index has released, and queue it
description:
  - Reads each project's page of the package index (PEP 691, PEP 503), stores its versions and
    files, and queues those that the targets want. Each project is one transaction.
  - What waits in the queue and is no longer wanted by the settings is skipped, and comes back when
    they want it again. What was asked for by name stays, and so does what is leased or done.
  - A version whose sdist was replaced by another is queued again, and its wheel no longer offered.
  - If more would vanish than the settings allow in one sync, those projects stay as they are.
  - The work is in C(master/upstream/run.py) and C(master/jobs/policy.py).
extends_documentation_fragment: master
attributes:
  check_mode:
    details: Reads the index, and reports what would be new.
  diff_mode:
    details: The counts show it.
  idempotent:
    support: full
    description: What is known already changes nothing.
options:
  projects:
    description:
      - Names of the projects. Those of the settings without it, and only those are then followed.
      - Naming a project here doesn't change whether it is followed; a new one isn't. One that
        isn't followed gets no jobs by this.
    type: list
    elements: str
  packages:
    description:
      - NAME or NAME==VERSION of what M(job_request) is to queue after this. Those of their projects
        that the farm doesn't follow are read, too, and stay so.
      - With it, nothing is queued here, and only what the index has no longer leaves the queue.
    type: list
    elements: str
    default: []
  targets:
    description: Names of the targets whose jobs are planned. All active ones without it.
    type: list
    elements: str
  accept_losses:
    description: Whether to believe the index, however much would vanish by it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Sync with PyPI
  pypi_sync:

- name: Read one project, and queue nothing
  pypi_sync:
    projects:
      - spidev
    targets: []
"""

RETURN = r"""
began_at:
  description: When, ISO 8601. What is queued meanwhile may be built before all is read.
  type: str
  returned: success
projects:
  description: How many projects were to be read.
  type: int
  returned: success
failed:
  description: How many of them have an error, and are as they were.
  type: int
  returned: success
new_versions:
  description: How many versions are new.
  type: int
  returned: success
queued:
  description: How many jobs were queued.
  type: int
  returned: success
ignored:
  description: >-
    How many versions and files can't be used. C(playbooks/status.yml -e ignored=true) lists them.
  type: int
  returned: success
lost:
  description: How many versions that the farm had are no longer offered.
  type: int
  returned: success
dropped:
  description: Projects that aren't followed, of which jobs have left the queue by this.
  type: list
  elements: str
  returned: success
unread:
  description: Projects of O(packages) of which nothing could be stored, each with the reason.
  type: dict
  returned: success
pages:
  description: What would be stored of the projects of O(packages), for M(job_request).
  type: list
  elements: dict
  returned: success, and empty unless in check mode
errors:
  description: >-
    What went wrong, ten lines at most. Projects that aren't named there are synced all the same.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.master_module import MASTER_CODE, MasterModule

with MASTER_CODE:
    from master.upstream import pypi, run

OPTIONS = {
    "projects": {"type": "list", "elements": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "targets": {"type": "list", "elements": "str"},
    "accept_losses": {"type": "bool", "default": False},
}


def main() -> None:
    module = MasterModule(OPTIONS)
    asked = {name: module.params[name] for name in OPTIONS}
    with (
        module.session("sync") as (conn, config),
        pypi.Index(config.pypi_url, config.site_url) as index,
    ):
        done = run.run(conn, config, index, now=module.now, check=module.check_mode, **asked)
    if done.failure:
        module.fail_json(msg=done.failure, errors=done.errors)
    for line in done.warnings:
        module.warn(line)
    module.exit_json(changed=done.changed, began_at=module.now.isoformat(), **done.facts)


if __name__ == "__main__":
    main()
