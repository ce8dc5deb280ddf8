#!/usr/bin/python
"""Ansible module: exchange jobs and results with a builder's spool."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: spool_exchange
short_description: Exchange jobs and results with a builder's spool
description:
  - Makes the spool of a Pi agree with what the master says, and returns what the spool then holds.
  - Adds the jobs that aren't there in any state. Removes results and unstarted jobs that the master
    no longer names, which is how it says that a result is recorded, and unstarted jobs that it
    takes back.
  - A job that is being built is left alone. Nothing here waits for a build.
  - A job that can't be used is left out and warned of, and the rest is done all the same.
  - A Pi whose code or service speaks another version of the protocol than the master only says
    which jobs it holds, and nothing there is changed, until site.yml has brought both to one.
  - Runs on a builder as its user C(wheelyard-builder). May be killed at any time and run again.
options:
  protocol:
    description: The version of the protocol that the master speaks, see C(protocol/__init__.py).
    type: int
    required: true
  jobs:
    description: Jobs to add, see C(protocol/job.py).
    type: list
    elements: dict
    default: []
  leased:
    description:
      - The keys of all jobs that this builder holds a lease of.
      - Whatever isn't among them is taken for recorded.
    type: list
    elements: str
    required: true
  revoke:
    description: The keys of jobs to take back, if they aren't started.
    type: list
    elements: str
    default: []
  now:
    description:
      - The master's time, in ISO 8601 with its offset from UTC.
      - A Pi whose clock differs by more than 5 minutes adds no jobs, and refuses.
      - Without it, the clocks aren't compared.
    type: str
  config_path:
    description: The builder's settings.
    type: path
    default: /etc/wheelyard/builder.json
  code_path:
    description: The folder that holds the packages C(builder) and C(protocol).
    type: path
    default: /opt/wheelyard
attributes:
  check_mode:
    description: Reports what the spool would hold, and changes nothing.
    support: full
  diff_mode:
    description: Shows the keys before and after.
    support: full
  idempotent:
    description: A second call changes nothing, unless the builder has gone on.
    support: full
author: Wheelyard
"""

EXAMPLES = r"""
- name: Hand over jobs, and ask what is finished
  spool_exchange:
    protocol: "{{ handout.protocol }}"
    jobs: "{{ handout.jobs }}"
    leased: "{{ handout.leased }}"
    revoke: "{{ handout.revoke }}"
    now: "{{ now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ') }}"
  register: exchange
"""

RETURN = r"""
left_out:
  description: What is wrong with each job that can't be used, one line a job.
  returned: success
  type: list
  elements: str
report:
  description:
    - What the spool holds now, and whether the builder takes more, see C(protocol/report.py).
    - Of a Pi that speaks another version, the keys alone.
  returned: success
  type: dict
"""

from dataclasses import asdict

from ansible.module_utils.builder_module import BuilderModule

OPTIONS = {
    "jobs": {"type": "list", "elements": "dict", "default": []},
    "leased": {"type": "list", "elements": "str", "required": True},
    "revoke": {"type": "list", "elements": "str", "default": []},
    "now": {"type": "str"},
}


def main() -> None:
    module = BuilderModule(OPTIONS)
    asked = {name: module.params[name] for name in OPTIONS}
    with module.settings() as settings:
        holdings = module.of_another_version(settings)
        if holdings is not None:
            module.exit_json(changed=False, report=holdings, left_out=[])
        from builder.spool.exchange import exchange  # noqa: PLC0415 -- the Pi's own copy

        done = asdict(exchange(settings, check=module.check_mode, **asked))
    if not module._diff:
        del done["diff"]
    module.exit_json(**done)


if __name__ == "__main__":
    main()
