"""Pause builders, so that they are given nothing new, and give them work again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.errors import FarmError
from master.fleet import sql
from master.text import one_line

By = Literal["operator", "upgrade"]


class UnknownBuilderError(FarmError):
    """The farm has no builder of this name; the message has the names of those that it has."""


@dataclass(frozen=True)
class Change:
    """Why each of the builders is paused, None where it is given work."""

    before: dict[str, str | None]
    after: dict[str, str | None]


def pause(
    conn: Connection,
    builders: Collection[str],
    reason: str | None,
    by: By,
    now: datetime,
    *,
    check: bool = False,
) -> Change:
    """Give builders nothing new until they are resumed.

    All that was leased to them before can be seen when this returns. What an operator has paused
    keeps the operator's reason in an upgrade. With check, nothing is written. Raises
    UnknownBuilderError and db.BusyError.
    """
    # A claim that is under way knows nothing of it.
    db.lock(conn, db.Lock.CLAIM)
    words = one_line(reason) or "no reason given"
    bound = {"names": list(builders), "reason": words, "by": by, "now": now}
    with db.transaction(conn, dry_run=check) as cursor:
        before = _reasons(cursor, builders)
        cursor.execute(sql.PAUSE, bound)
        return Change(before, _reasons(cursor, builders))


def resume(conn: Connection, builders: Collection[str], by: By, *, check: bool = False) -> Change:
    """Give builders work again.

    What an operator has paused stays paused in an upgrade. With check, nothing is written. Raises
    UnknownBuilderError.
    """
    with db.transaction(conn, dry_run=check) as cursor:
        before = _reasons(cursor, builders)
        cursor.execute(sql.RESUME, {"names": list(builders), "by": by})
        return Change(before, _reasons(cursor, builders))


def _reasons(cursor: Cursor, builders: Collection[str]) -> dict[str, str | None]:
    cursor.execute(sql.PAUSES)
    found = {row.name: row.paused_reason for row in cursor.fetchall()}
    unknown = sorted(set(builders) - found.keys())
    if unknown:
        raise UnknownBuilderError(
            f"the farm doesn't know {', '.join(unknown)}; it knows {', '.join(found) or 'no Pi'}. A"
            f" new Pi is known after ansible-playbook site.yml and the round that follows"
        )
    return {name: found[name] for name in sorted(builders)}
