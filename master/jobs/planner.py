"""One planning as a whole: all that is followed, or what an operator asks for by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from master.config import Config
from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.jobs import policy, request, sql
from master.jobs.policy import Planned
from master.jobs.request import Asked
from master.targets.tags import Target
from master.upstream import project
from master.upstream.project import EmptyPageError, OddProjectError
from master.upstream.pypi import Index, UnknownProjectError, UnreadablePageError, UpstreamProject


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
    nothing is written. Raises CannotBuildError, with all that can't be built, and
    IndexUnreachableError.
    """
    db.hold(conn, db.Lock.SYNC)
    asked = request.read(packages)
    with db.transaction(conn) as reading:
        unread = request.not_followed(reading, asked)
    pages = _pages(conn, index, asked, unread, targets=targets, now=now, check=check)
    cursor: Cursor = conn.cursor()
    try:
        for page in pages:
            _store(cursor, page, asked, now)
        if not check:
            # What is new of them holds, whether or not it can be built.
            conn.commit()
        if packages:
            planned = request.build(cursor, asked, targets, now)
            asked.check()
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


def _pages(
    conn: Connection,
    index: Index,
    asked: Asked,
    names: Sequence[str],
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool,
) -> list[UpstreamProject]:
    """What the index has of these; those without a page are dropped from what was asked for."""
    pages = []
    for name in names:
        try:
            pages.append(index.project(name))
        except UnknownProjectError as error:
            # Nobody else learns it, of one that no sync reads.
            project.gone(conn, name, targets=targets, now=now, check=check)
            asked.drop(name, str(error))
        except UnreadablePageError as error:
            asked.drop(name, str(error))
    return pages


def _store(cursor: Cursor, page: UpstreamProject, asked: Asked, now: datetime) -> None:
    """Stores a page; one that can't be is dropped from what was asked for, and the rest stays."""
    cursor.execute("SAVEPOINT page")
    try:
        # Nothing but what was asked for is queued of it, now or by a later sync.
        project.write(cursor, page, None, targets=[], newest=None, now=now, followed=False)
    except OddProjectError as error:
        cursor.execute("ROLLBACK TO SAVEPOINT page")
        if isinstance(error, EmptyPageError):
            project.doubt(cursor, page.name, now)
        asked.drop(page.name, str(error))


def _followed(
    cursor: Cursor, targets: Sequence[Target], newest: int | None, now: datetime
) -> Planned:
    total = Planned()
    cursor.execute(sql.FOLLOWED)
    for row in cursor.fetchall():
        planned = policy.project(cursor, row.project_id, targets, newest, now)
        total.queued += planned.queued
        total.skipped += planned.skipped
        if planned.changed:
            cursor.execute(sql.DIRTY, {"project_id": row.project_id, "now": now})
    return total
