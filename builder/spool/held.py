"""A job in the spool, with what this builder remembers of it between two tries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Optional

from protocol import MessageError, fields, job
from protocol.job import Job


@dataclass(frozen=True)
class Held(Job):
    """Times are seconds since the epoch."""

    queued_at: float = 0.0
    started_at: Optional[float] = None
    interrupted: int = 0

    def waiting(self, **changes: Any) -> Held:
        """Return the same job, not started, with `changes`."""
        return replace(self, started_at=None, **changes)


def hold(added: Job, queued_at: float) -> Held:
    """Return `added` as the spool keeps it."""
    return Held(**{**vars(added), "queued_at": queued_at})


def parse(document: object) -> Held:
    """Return the job in a file of the spool; raises MessageError."""
    parsed, said = job.parse(document), fields.mapping(document, "it")
    started_at = said.get("started_at")
    return Held(
        **vars(parsed),
        queued_at=_time(said.get("queued_at", 0.0)),
        started_at=None if started_at is None else _time(started_at),
        interrupted=fields.integer(said.get("interrupted", 0), "interrupted"),
    )


def _time(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise MessageError(f"{raw!r:.100} is not a valid time")
    return float(raw)
