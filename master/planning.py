"""One planning as a whole: all that is followed, or what an operator asks for by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from master import db, plan, request, sync
from master.config import Config
from master.db import Connection, Cursor
from master.plan import Planned
from master.pypi import Index, UnknownProjectError, UpstreamProject
from master.queries import plan as sql
from master.tags import Target


@dataclass(frozen=True)
class Outcome:
    outstanding: dict[str, int]
    job_ids: list[int]
    already_built: list[str]
    queued: int
    changed: bool


def run(
    conn: Connection,
    index: Index,
    config: Config,
    *,
    targets: Sequence[Target],
    packages: Sequence[str],
    now: datetime,
    check: bool = False,
) -> Outcome:
    """Queues what is to be built, in one transaction.

    Projects among the packages that no sync reads are read from the index first. With check,
    nothing is written. Raises BadNameError, CannotBuildError, UnknownProjectError,
    IndexUnreachableError and OddProjectError.
    """
    db.hold(conn, db.Lock.SYNC)
    with db.transaction(conn) as reading:
        unread = request.not_followed(reading, packages)
    pages = [_page(conn, index, name, targets=targets, now=now, check=check) for name in unread]
    cursor: Cursor = conn.cursor()
    try:
        for page in pages:
            # Nothing but what was asked for is queued of it, now or by a later sync.
            sync.write(cursor, page, None, targets=[], newest=None, now=now, followed=False)
        if not check:
            # What is new of them holds, whether or not it can be built.
            conn.commit()
        if packages:
            planned = request.build(cursor, packages, targets, now)
        else:
            planned = _followed(cursor, targets, config.pypi_versions, now)
        bound = {
            "targets": [target.target_id for target in targets],
            "job_ids": planned.job_ids if packages else None,
        }
        cursor.execute(sql.OUTSTANDING, bound)
        outstanding = {row.name: row.outstanding for row in cursor.fetchall()}
        if check:
            conn.rollback()
        else:
            conn.commit()
    finally:
        conn.rollback()
    return Outcome(
        outstanding=outstanding,
        job_ids=planned.job_ids,
        already_built=planned.already_built,
        queued=planned.queued,
        changed=planned.changed,
    )


def _page(
    conn: Connection,
    index: Index,
    name: str,
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool,
) -> UpstreamProject:
    try:
        return index.project(name)
    except UnknownProjectError:
        # Nobody else learns it, of one that no sync reads.
        sync.gone(conn, name, targets=targets, now=now, check=check)
        raise


def _followed(
    cursor: Cursor, targets: Sequence[Target], newest: int | None, now: datetime
) -> Planned:
    total = Planned()
    cursor.execute(sql.FOLLOWED)
    for row in cursor.fetchall():
        planned = plan.project(cursor, row.project_id, targets, newest, now)
        total.queued += planned.queued
        total.skipped += planned.skipped
        if planned.changed:
            cursor.execute(sql.DIRTY, {"project_id": row.project_id, "now": now})
    return total
