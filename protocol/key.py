"""A job's key, TARGET-JOB-ATTEMPT: a file name, a unit's instance and a folder at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from protocol import MessageError

# Each has one spelling. A Pi's trial build is job 0. The builder's polkit rule has the same.
PATTERN = r"[a-z][a-z0-9]*-(?:0|[1-9][0-9]{0,17})-(?:0|[1-9][0-9]{0,8})"
_KEY = re.compile(PATTERN)


@dataclass(frozen=True)
class Key:
    """One attempt at one job."""

    target: str
    job_id: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.target}-{self.job_id}-{self.attempt}"


def parse(text: object) -> Optional[Key]:
    """Return the key that is written so, or None for anything else."""
    if not isinstance(text, str) or not _KEY.fullmatch(text):
        return None
    target, job_id, attempt = text.split("-")
    return Key(target, int(job_id), int(attempt))


def read(text: object) -> Key:
    """Return the key that is written so; raises MessageError for anything else."""
    found = parse(text)
    if found is None:
        # Of anything else no more than its type: it may be as deep as strangers like.
        shown = repr(text[:100]) if isinstance(text, str) else f"a {type(text).__name__}"
        raise MessageError(f"{shown} is not a valid job key: one looks like bookworm-12-1")
    return found


def check(text: str) -> str:
    """Return `text` if it is a key; raises MessageError."""
    return str(read(text))
