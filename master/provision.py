"""Bring the database to this version: its schema, the codes of reasons, and the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from master.config import Config
from master.database import migrate
from master.database.connection import Connection
from master.jobs import reasons
from master.targets import registry


@dataclass(frozen=True)
class Provisioned:
    """The names of what was added or changed, or would be."""

    applied: list[str]
    reasons: list[str]
    targets: list[str]


def provision(
    conn: Connection,
    config: Config,
    password: str | None,
    targets: Sequence[Mapping[str, str]] | None,
    *,
    check: bool,
) -> Provisioned:
    """Migrate, and register the codes and the targets; None leaves the targets as they are.

    With check, nothing is written. Raises MissingFactError, MigrationError, and BusyError while
    another migration runs.
    """
    registry.check(targets or ())
    applied = migrate.pending(conn) if check else migrate.migrate(conn, config, password)
    if check and applied:
        # Its tables may not be there yet.
        codes = sorted(str(code) for code in reasons.WORDS)
        return Provisioned(applied, codes, sorted(target["name"] for target in targets or ()))
    codes = reasons.register(conn, check=check)
    changed = [] if targets is None else registry.register(conn, targets, check=check)
    return Provisioned(applied, codes, changed)
