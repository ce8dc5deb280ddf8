"""One run of the sync: the projects that the farm follows, and what was asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from master.config import Config
from master.database.connection import Connection
from master.jobs import request
from master.targets import registry
from master.upstream import named, sync
from master.upstream.named import Named
from master.upstream.project import Synced
from master.upstream.pypi import Index

MAX_ERRORS = 10


@dataclass(frozen=True)
class Run:
    """What a run has done."""

    synced: dict[str, Synced]
    dropped: list[str]
    """Projects that aren't followed, of which jobs have left the queue by it."""
    named: Named
    check: bool

    @property
    def changed(self) -> bool:
        synced = any(one.changed for one in self.synced.values())
        return bool(self.dropped or self.named.changed or synced)

    @cached_property
    def errors(self) -> list[str]:
        """What went wrong, a few lines at most."""
        lines = sync.errors(self.synced)
        more = len(lines) - MAX_ERRORS
        return [*lines[:MAX_ERRORS], f"and {more} more"] if more > 0 else lines

    @property
    def failure(self) -> str | None:
        """What went wrong in one line, where nothing else was done."""
        is_total = all(one.error is not None for one in self.synced.values())
        return sync.failure(self.synced) if is_total else None

    @property
    def warnings(self) -> list[str]:
        """What went wrong, after how much of it did."""
        failed = sum(one.error is not None for one in self.synced.values())
        head = f"{failed} of {len(self.synced)} projects could not be synced:"
        return [head, *self.errors] if failed else []

    @property
    def facts(self) -> dict[str, Any]:
        """All of it as data; the pages only where they are not in the database."""
        return {
            **sync.totals(self.synced),
            "dropped": self.dropped,
            "unread": self.named.unread,
            "pages": [asdict(page) for page in self.named.pages if self.check],
            "errors": self.errors,
        }


def run(
    conn: Connection,
    config: Config,
    index: Index,
    *,
    projects: Sequence[str] | None,
    packages: Sequence[str],
    targets: Sequence[str] | None,
    accept_losses: bool,
    now: datetime,
    check: bool,
) -> Run:
    """Sync these projects, or those of the settings, then what the packages name beside them.

    Jobs are planned for the targets of these names, None for all, but with packages for none. With
    accept_losses, the index is believed, however much would vanish. With check, nothing is written.
    Raises UnknownTargetError, BadNameError and db.BusyError.
    """
    names = dict.fromkeys(name for name, _ in request.read(packages)[0])
    chosen = registry.active(conn, targets)
    everyone = registry.active(conn, None)
    # Named packages are all that is queued, and by job_request.
    plan: dict[str, Any] = {"targets": [] if packages else chosen, "now": now, "check": check}
    is_all = projects is None
    dropped = sync.follow(conn, config.pypi_projects, **plan) if is_all else []
    synced = sync.projects(
        conn,
        index,
        config.pypi_projects if projects is None else projects,
        followed=is_all,
        newest=config.pypi_versions,
        max_loss=None if accept_losses else config.pypi_max_loss,
        **plan,
    )
    found = named.projects(conn, index, names, targets=everyone, now=now, check=check)
    return Run(synced, dropped, found, check)
