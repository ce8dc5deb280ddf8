"""The targets that the farm builds for, as the inventory's release facts say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from master.database import connection as db
from master.database.connection import Connection
from master.errors import FarmError
from master.targets import sql
from master.targets.tags import Target

FACTS = ("name", "python_version", "interpreter_tag", "abi_tag", "platform_tag", "armv6")


class UnknownTargetError(FarmError):
    """The farm doesn't build for it."""


class MissingFactError(FarmError):
    """A release of the inventory lacks a fact."""


def check(facts: Iterable[Mapping[str, str]]) -> None:
    """Raise MissingFactError for a target whose facts are not all there."""
    for target in facts:
        lacking = [fact for fact in FACTS if fact not in target]
        if lacking:
            raise MissingFactError(
                f"the release {target.get('name')!r} has no {', '.join(lacking)}:"
                " add what is missing to its file in releases/"
            )


def register(conn: Connection, facts: Iterable[Mapping[str, str]], *, check: bool) -> list[str]:
    """Make the active targets those that are given, and return the names of what changed.

    Targets that are not among them become inactive: they get no jobs and keep their wheels.
    With check, nothing is written.
    """
    rows = [{key: str(target[key]) for key in FACTS} for target in facts]
    changed: list[str] = []
    with db.transaction(conn, dry_run=check) as cursor:
        for row in rows:
            cursor.execute(sql.UPSERT, row)
            changed += [found.name for found in cursor.fetchall()]
        cursor.execute(sql.RETIRE, {"names": [row["name"] for row in rows]})
        changed += [found.name for found in cursor.fetchall()]
    return sorted(changed)


def active(conn: Connection, names: Sequence[str] | None) -> list[Target]:
    """Return the active targets, or those of them that are named. Raises UnknownTargetError."""
    with db.transaction(conn) as cursor:
        cursor.execute(sql.ACTIVE)
        found = {row.name: Target(**row._asdict()) for row in cursor.fetchall()}
    unknown = sorted(set(names or ()) - set(found))
    if unknown:
        raise UnknownTargetError(
            f"the farm doesn't build for {', '.join(unknown)}, but for "
            f"{', '.join(found) or 'nothing yet'}: run ansible-playbook site.yml, which takes the "
            f"releases from the inventory"
        )
    return [target for name, target in found.items() if names is None or name in names]
