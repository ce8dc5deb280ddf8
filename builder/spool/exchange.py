"""One exchange with the master: the spool is made to agree, and what it then holds is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from builder.config import Config
from builder.spool import reconcile
from builder.spool.spool import Snapshot, Spool
from protocol import job as protocol_job
from protocol import report as protocol_report


@dataclass(frozen=True)
class Exchanged:
    changed: bool
    report: dict[str, Any]
    left_out: list[str]
    """What is wrong with each job that can't be used."""
    diff: dict[str, str]
    """The keys before and after."""


def exchange(
    config: Config,
    *,
    jobs: Sequence[Mapping[str, Any]],
    leased: Sequence[str],
    revoke: Sequence[str],
    now: Optional[str],
    check: bool,
) -> Exchanged:
    """Do as the master says and return what to tell it; with `check`, nothing is changed.

    `now` is the time there; where it differs too much from the Pi's own, no jobs are added. Raises
    OSError and ValueError.
    """
    # One that is wrong mustn't keep the others away. The report doesn't show it, so the master
    # counts it as not taken.
    added, left_out = protocol_job.parse_each(jobs)
    refuses = clock = now and reconcile.wrong_clock(now, datetime.now(timezone.utc))
    spool = Spool(config.spool_dir)
    before = spool.snapshot()
    changes = reconcile.plan(before, [] if clock else added, leased, revoke)
    if check:
        after = reconcile.after(before, changes)
    else:
        refuses = reconcile.apply(spool, changes) or clock
        after = spool.snapshot()
    said = reconcile.report(config, after, reconcile.service_state(), refuses)
    return Exchanged(
        changed=bool(changes),
        report=protocol_report.dump(said),
        left_out=left_out,
        diff={"before": _listing(before), "after": _listing(after)},
    )


def _listing(snapshot: Snapshot) -> str:
    lines = [f"queued {job.key}" for job in snapshot.queued]
    lines += [f"running {job.key}" for job in snapshot.running]
    lines += [f"done {key}" for key in snapshot.done]
    return "".join(f"{line}\n" for line in sorted(lines))
