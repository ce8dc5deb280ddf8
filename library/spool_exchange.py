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

import fcntl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from builder.spool.spool import Snapshot


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "protocol": {"type": "int", "required": True},
            "jobs": {"type": "list", "elements": "dict", "default": []},
            "leased": {"type": "list", "elements": "str", "required": True},
            "revoke": {"type": "list", "elements": "str", "default": []},
            "now": {"type": "str"},
            "config_path": {"type": "path", "default": "/etc/wheelyard/builder.json"},
            "code_path": {"type": "path", "default": "/opt/wheelyard"},
        },
        supports_check_mode=True,
    )
    sys.path.insert(0, module.params["code_path"])
    try:
        from builder import config  # noqa: PLC0415 -- the Pi's own copy
    except ImportError as error:
        module.fail_json(
            msg=f"this host is not a provisioned builder: {error}; run ansible-playbook site.yml"
        )
    try:
        settings = config.load(Path(module.params["config_path"]))
        spoken = _spoken(settings.status_path, module.params["protocol"])
        if spoken != module.params["protocol"]:
            holdings = {"protocol": spoken, **_holdings(settings.spool_dir)}
            module.exit_json(changed=False, report=holdings, left_out=[])
        from builder.spool import reconcile, spool  # noqa: PLC0415 -- as above
        from protocol import job, report  # noqa: PLC0415 -- as above

        # One that is wrong mustn't keep the others away. The report doesn't show it, so the master
        # counts it as not taken.
        jobs, left_out = job.parse_each(module.params["jobs"])
        clock = None
        if module.params["now"]:
            clock = reconcile.wrong_clock(module.params["now"], datetime.now(UTC))
        store = spool.Spool(settings.spool_dir)
        before = store.snapshot()
        changes = reconcile.plan(
            before, [] if clock else jobs, module.params["leased"], module.params["revoke"]
        )
        refuses = clock
        if module.check_mode:
            after = reconcile.after(before, changes)
        else:
            refuses = reconcile.apply(store, changes) or clock
            after = store.snapshot()
        said = reconcile.report(settings, after, reconcile.service_state(), refuses)
    except (config.ConfigError, OSError, ValueError) as error:
        module.fail_json(msg=f"the spool can't be brought to agree: {error}")
    result = {"changed": bool(changes), "report": report.dump(said), "left_out": left_out}
    if module._diff:
        result["diff"] = {"before": _listing(before), "after": _listing(after)}
    module.exit_json(**result)


def _spoken(status_path: Path, wanted: int) -> int:
    """Return the version that this Pi speaks, which is `wanted` if code and service agree on it."""
    try:
        from builder.spool.status import spoken  # noqa: PLC0415 -- as above
        from protocol import VERSION  # noqa: PLC0415 -- as above
    except ImportError:
        # The code of before there were versions.
        return 1
    return VERSION if wanted != VERSION else spoken(status_path)


def _holdings(spool: Path) -> dict[str, Any]:
    """Return the keys of what a spool of any version holds."""
    with (spool / "lock").open("w") as lock:
        # A job that is on its way from state to state must not seem lost.
        fcntl.flock(lock, fcntl.LOCK_EX)
        queued, running, done = (
            sorted(path.stem for path in (spool / state).glob("*.json"))
            for state in ("jobs", "running", "done")
        )
    return {"queued": queued, "running": [{"key": key} for key in running], "done": done}


def _listing(snapshot: Snapshot) -> str:
    lines = [f"queued {job.key}" for job in snapshot.queued]
    lines += [f"running {job.key}" for job in snapshot.running]
    lines += [f"done {key}" for key in snapshot.done]
    return "".join(f"{line}\n" for line in sorted(lines))


if __name__ == "__main__":
    main()
