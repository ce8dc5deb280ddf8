"""Brings what the index says of a project into the database, and queues what is new.

Each project is one transaction, whether a sync reads ten of them or all there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg2

from master import db, plan, state
from master.db import Connection, Cursor
from master.errors import FarmError
from master.names import project_name
from master.pypi import (
    BadPageError,
    Index,
    IndexUnreachableError,
    UnknownProjectError,
    UpstreamProject,
)
from master.queries import sync as sql
from master.tags import Target


class OddProjectError(FarmError):
    """What the index says of a project can't be stored."""


@dataclass(frozen=True)
class Synced:
    """What a sync did to one project."""

    versions: int = 0
    """That the index has."""
    new_versions: int = 0
    changed: bool = False
    queued: int = 0
    ignored: int = 0
    """Files and versions that can't be stored."""
    error: str | None = None


def follow(
    conn: Connection,
    spellings: Sequence[str],
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> list[str]:
    """Has the farm follow these projects and no others, whatever the index says of them.

    Returns the names of those of which jobs for the targets have left the queue by it. With check,
    nothing is written. Raises BadNameError and db.BusyError.
    """
    names = [project_name(spelling) for spelling in spellings]
    db.hold(conn, db.Lock.SYNC)
    with conn.cursor() as cursor:
        try:
            cursor.execute(sql.FOLLOW, {"names": names})
            dropped = plan.drop(cursor, targets, now)
        except BaseException:
            conn.rollback()
            raise
    if check:
        conn.rollback()
    else:
        conn.commit()
    return dropped


def projects(
    conn: Connection,
    index: Index,
    spellings: Sequence[str],
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool = True,
    check: bool = False,
) -> dict[str, Synced]:
    """Syncs each project; what one of them lacks is in its error, and stops none of the others.

    newest is how many of a project's newest versions get jobs, None for all. followed says that
    the farm follows these, as follow() notes; without it a known one stays what it is, and a new
    one isn't followed. With check, nothing is written. Raises BadNameError and db.BusyError.
    """
    by_name = {project_name(spelling): spelling for spelling in spellings}
    db.hold(conn, db.Lock.SYNC)
    done: dict[str, Synced] = {}
    deleted: list[str] = []
    unreachable = 0
    for name, spelling in by_name.items():
        if unreachable >= 3:
            # The index is down: it's no use to wait for it once for every project.
            done[name] = Synced(error=f"not tried, as the index {index.url} can't be read")
            continue
        try:
            upstream = index.project(name)
            unreachable = 0
            done[name] = project(
                conn,
                upstream,
                spelling,
                targets=targets,
                newest=newest,
                now=now,
                followed=followed,
                check=check,
            )
        except (UnknownProjectError, BadPageError, OddProjectError) as error:
            unreachable = 0
            done[name] = Synced(error=str(error))
            if isinstance(error, UnknownProjectError):
                deleted.append(name)
        except IndexUnreachableError as error:
            unreachable += 1
            done[name] = Synced(error=str(error))
    # An index that has none of several projects is hardly the one that they were read from: a
    # wrong address must not take all that the farm has off the site.
    if len(done) == 1 or any(synced.error is None for synced in done.values()):
        for name in deleted:
            lost = gone(conn, name, targets=targets, now=now, check=check)
            if lost is not None:
                why = f"{done[name].error}; what the farm has of it is not offered any longer"
                done[name] = replace(lost, error=why)
    if not check:
        _note(conn, done, now)
    return done


def _note(conn: Connection, done: dict[str, Synced], now: datetime) -> None:
    errors = [synced.error for synced in done.values() if synced.error]
    with db.transaction(conn) as cursor:
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            state.note(cursor, "last_sync_error", errors[0] + more, now)
        if len(errors) < len(done) or not done:
            state.note(cursor, "last_sync", f"{len(done) - len(errors)} projects", now)


def gone(
    conn: Connection,
    name: str,
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> Synced | None:
    """Stores that the index has the project no longer; None for one that the farm never knew.

    Its wheels stay in the store, for the day on which it comes back.
    """
    with db.transaction(conn) as cursor:
        cursor.execute(sql.KNOWN, {"name": name})
        if cursor.fetchone() is None:
            return None
    nothing = UpstreamProject(name, (), 0)
    return project(conn, nothing, None, targets=targets, newest=None, now=now, check=check)


def project(
    conn: Connection,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool = True,
    check: bool = False,
) -> Synced:
    """Stores one project in one transaction, and queues what the targets want of it.

    spelling is its author's; None leaves what is known. followed says that the farm follows it;
    without it a known one stays what it is, and one that isn't followed gets no jobs. Raises
    OddProjectError, with the project as it was.
    """
    with conn.cursor() as cursor:
        try:
            synced = write(
                cursor,
                upstream,
                spelling,
                targets=targets,
                newest=newest,
                now=now,
                followed=followed,
            )
        except BaseException:
            conn.rollback()
            raise
    if check:
        conn.rollback()
    else:
        conn.commit()
    return synced


def write(
    cursor: Cursor,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool,
) -> Synced:
    """What project() does, in a transaction of the caller's. Raises OddProjectError."""
    with _storable(upstream.name):
        cursor.execute(
            sql.PROJECT, {"name": upstream.name, "display_name": spelling, "followed": followed}
        )
        project_id, is_followed = cursor.fetchone()
        versions = upstream.versions
        bound = {
            "project_id": project_id,
            "version": [v.version for v in versions],
            "released_at": [v.released_at for v in versions],
            "yanked": [v.yanked for v in versions],
            "yanked_reason": [v.yanked_reason for v in versions],
            "requires_python": [v.requires_python for v in versions],
        }
        cursor.execute(sql.VERSIONS, bound)
        written = cursor.fetchall()
        cursor.execute(sql.VERSIONS_GONE, bound)
        changed = len(written) + cursor.rowcount
        changed += _files(cursor, project_id, upstream)
        newest = newest if followed or is_followed else 0
        planned = plan.project(cursor, project_id, targets, newest, now)
        cursor.execute(
            sql.SYNCED,
            {"project_id": project_id, "now": now, "changed": bool(changed or planned.changed)},
        )
        return Synced(
            versions=len(versions),
            new_versions=sum(row.is_new for row in written),
            changed=bool(changed or planned.changed),
            queued=planned.queued,
            ignored=upstream.ignored,
            error=_insecure(upstream),
        )


@contextmanager
def _storable(name: str) -> Iterator[None]:
    """Tells what the database or a parser refuses of a project. Raises OddProjectError."""
    try:
        yield
    except (psycopg2.DataError, psycopg2.IntegrityError, ValueError) as error:
        # The server's words have the whole row in them, which is as long as strangers like.
        cause = " ".join(str(error).split())[:300]
        raise OddProjectError(
            f"what the index says of {name} can't be stored ({cause}): the farm keeps "
            f"what it knew of it. See its page on the index; the next sync tries again"
        ) from error


def _insecure(upstream: UpstreamProject) -> str | None:
    if not upstream.insecure:
        return None
    some = ", ".join([*upstream.insecure[:3], *(["…"] if len(upstream.insecure) > 3 else [])])
    return (
        f"files of {upstream.name} are left out ({some}), as their addresses aren't https and "
        f"builders fetch from no others: see that pypi_url is an index that gives such addresses"
    )


def _files(cursor: Cursor, project_id: int, upstream: UpstreamProject) -> int:
    # One row a name: an index that lists a file twice doesn't stop the sync.
    unique = {file.filename: (v.version, file) for v in upstream.versions for file in v.files}
    rows = list(unique.values())
    bound = {
        "project_id": project_id,
        "version": [version for version, _ in rows],
        "filename": [file.filename for _, file in rows],
        "kind": [file.kind for _, file in rows],
        "url": [file.url for _, file in rows],
        "sha256": [file.sha256 for _, file in rows],
        "size_bytes": [file.size_bytes for _, file in rows],
        "uploaded_at": [file.uploaded_at for _, file in rows],
        "yanked": [file.yanked for _, file in rows],
        "requires_python": [file.requires_python for _, file in rows],
    }
    cursor.execute(sql.FILES, bound)
    changed: int = cursor.rowcount
    cursor.execute(sql.FILES_GONE, bound)
    changed += cursor.rowcount
    return changed
