"""Read what the index has of projects that an operator asks for by name and that no sync reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.targets.tags import Target
from master.upstream import model, project, sql
from master.upstream.model import UpstreamProject
from master.upstream.project import OddProjectError
from master.upstream.pypi import (
    Index,
    IndexUnreachableError,
    UnknownProjectError,
    UnreadablePageError,
)


@dataclass
class Named:
    pages: list[UpstreamProject] = field(default_factory=list)
    """What was read and stored, or would be."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why there is nothing to store of the others."""
    changed: bool = False


def projects(
    conn: Connection,
    index: Index,
    names: Iterable[str],
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> Named:
    """Store what the index has of each that isn't followed, and leave it so.

    Of them nothing is queued, now or by a later sync, but what was built of an sdist that was
    replaced; what the index has no longer leaves the queues of the targets. With check, nothing is
    written. Raises db.BusyError.
    """
    db.lock(conn, db.Lock.SYNC)
    found = Named()
    unknown = []
    for name in names:
        if _is_followed(conn, name):
            continue
        try:
            page = index.project(name)
            stored = project.store(
                conn, page, None, targets=targets, newest=None, now=now, followed=False, check=check
            )
        except UnknownProjectError as error:
            unknown.append(name)
            found.unread[name] = str(error)
        except (UnreadablePageError, IndexUnreachableError, OddProjectError) as error:
            found.unread[name] = str(error)
        else:
            found.pages.append(page)
            found.changed |= stored.changed
    # Nobody else learns it, of those that no sync reads. But an index that has none of several is
    # hardly the one that they were read from.
    for name in unknown if found.pages or len(unknown) == 1 else ():
        project.gone(conn, name, targets=targets, now=now, check=check)
    return found


def write(cursor: Cursor, pages: Iterable[Mapping[str, Any]], now: datetime) -> None:
    """Store what projects() has read and, with check, not stored."""
    for page in pages:
        upstream = model.from_plain(page)
        project.write(cursor, upstream, None, targets=[], newest=None, now=now, followed=False)


def _is_followed(conn: Connection, name: str) -> bool:
    with db.transaction(conn) as cursor:
        cursor.execute(sql.KNOWN, {"name": name})
        row = cursor.fetchone()
    return bool(row and row.followed)
