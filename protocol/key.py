"""A job's key: what it is called in spools, units and folders, RELEASE-JOB-ATTEMPT."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEY = re.compile(r"([a-z][a-z0-9]*)-([1-9][0-9]{0,17})-([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Key:
    target: str
    job_id: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.target}-{self.job_id}-{self.attempt}"


def parse(text: object) -> Key | None:
    """The key that is written so, None for anything else: it may come from a builder."""
    match = _KEY.fullmatch(text) if isinstance(text, str) else None
    return Key(match[1], int(match[2]), int(match[3])) if match else None
