"""How a lease goes on or ends without a result: by what its builder says, or by its silence."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from master.config import Config
from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.fleet import sql
from master.jobs import transitions
from master.jobs.reasons import Code, Reason
from protocol import report as reports
from protocol.key import Key
from protocol.report import Report

LOST_LIMIT = 3
FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(seconds=60)
LONGEST_ROUND = timedelta(minutes=10)
"""A contact that comes later than this after it was due tells that the master was away."""


@dataclass(frozen=True)
class EndedLease:
    """A lease that has ended."""

    key: str
    builder: str
    failed: bool
    """Lost for the third time; else the job is pending again."""
    reason: str


def report(
    conn: Connection,
    config: Config,
    builder: str,
    said: Report,
    now: datetime,
    *,
    handed: Collection[str],
) -> list[EndedLease]:
    """Take note of a builder's report; the leases that it has lost are ended at once.

    handed has the keys of the jobs that it was given just before.
    """

    def judge(lease: Any) -> tuple[bool, str] | None:
        key = Key(lease.target, lease.job_id, lease.attempt)
        if key in said.holds:
            return None
        if lease.revoking:
            return False, "given back"
        if lease.handed_at is not None:
            return True, "no longer has it"
        if said.refuses:
            return False, f"refuses: {said.refuses}"
        # Leased after this report was asked for, perhaps; but it can't stay so for ever.
        if str(key) in handed or lease.leased_at < now - _patience(config):
            return True, "didn't take it"
        return None

    with db.transaction(conn) as cursor:
        row = _builder(cursor, builder, now)
        if row is None:
            return []
        cursor.execute(
            sql.SEEN,
            {
                "builder_id": row.builder_id,
                "now": now,
                "report": json.dumps(reports.dump(said)),
                "refuses": said.refuses,
            },
        )
        ended = _judge_leases(cursor, builder, row.builder_id, judge, now)
        for key in said.holds:
            cursor.execute(
                sql.SHOWN,
                {
                    "job_id": key.job_id,
                    "attempt": key.attempt,
                    "builder_id": row.builder_id,
                    "now": now,
                    "started": key in said.started,
                },
            )
    return ended


def missing(conn: Connection, config: Config, builder: str, now: datetime) -> list[EndedLease]:
    """Take note that a builder couldn't be talked to.

    It is left alone for a while, longer each time. What was never seen in its spool goes back at
    once, the rest when builder_lost_after_s is over, which begins anew when the master was away.
    """
    with db.transaction(conn) as cursor:
        row = _builder(cursor, builder, now)
        if row is None:
            return []
        since = row.missing_since or now
        silent = now - since
        wait = min(max(silent, FIRST_BACKOFF), LONGEST_BACKOFF)
        bound = {"builder_id": row.builder_id, "since": since, "next": now + wait}
        cursor.execute(sql.MISSED, bound)
        lost = silent >= _patience(config)

        def judge(lease: Any) -> tuple[bool, str] | None:
            if lost:
                return True, f"not seen for {int(silent.total_seconds() // 60)} min"
            return (False, "can't be reached") if lease.handed_at is None else None

        return _judge_leases(cursor, builder, row.builder_id, judge, now)


def _patience(config: Config) -> timedelta:
    return timedelta(seconds=config.builder_lost_after_s)


def _builder(cursor: Cursor, name: str, now: datetime) -> Any:
    cursor.execute(sql.BUILDER, {"name": name, "now": now, "longest_round": LONGEST_ROUND})
    return cursor.fetchone()


def _judge_leases(
    cursor: Cursor,
    builder: str,
    builder_id: int,
    judge: Callable[[Any], tuple[bool, str] | None],
    now: datetime,
) -> list[EndedLease]:
    """End the leases for which judge says whether it counts as lost, and why."""
    cursor.execute(sql.HELD, {"builder_id": builder_id})
    ended = []
    for lease in cursor.fetchall():
        verdict = judge(lease)
        if verdict is None:
            continue
        counts, why = verdict
        key = str(Key(lease.target, lease.job_id, lease.attempt))
        failed = counts and lease.lost_count + 1 >= LOST_LIMIT
        if failed:
            words = f"builder-lost: {LOST_LIMIT} times, the last one was {builder} ({why})"
            reason = Reason(Code.BUILDER_LOST, words)
            transitions.finish(cursor, lease.job_id, "failed", reason, now, lost=True)
            cursor.execute(
                sql.FAILED_BUILD,
                {
                    "job_id": lease.job_id,
                    "attempt": lease.attempt,
                    "builder_id": builder_id,
                    "reason_code": reason.code,
                    "reason": reason.words,
                    "now": now,
                },
            )
        else:
            transitions.give_back(cursor, [lease.job_id], why, now, lost=counts)
        ended.append(EndedLease(key, builder, failed, why))
    return ended
