"""A job as it travels through the spool, and the result that comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Optional

# RELEASE-JOB-ATTEMPT: a file name, a unit's instance and a folder on the master at once.
KEY = re.compile(r"[a-z][a-z0-9]*-[0-9]{1,18}-[0-9]{1,9}", re.ASCII)
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,254}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class JobError(ValueError):
    """A job can't be used; the message says which and why."""


def check_key(key: str) -> str:
    """Return `key` if it is one; raises JobError."""
    if not KEY.fullmatch(key):
        raise JobError(f"{key!r} is no job key: it must look like bookworm-12-1")
    return key


@dataclass(frozen=True)
class Sdist:
    """The one source file of a job, as PyPI lists it."""

    filename: str
    url: str
    sha256: str
    size_bytes: Optional[int] = None


@dataclass(frozen=True)
class Job:
    """One attempt to build one version for one target.

    The first fields are the master's; the rest is what this builder remembers between two tries.
    Times are seconds since the epoch.
    """

    key: str
    project: str
    version: str
    release: str
    sdist: Sdist
    priority: int = 0
    queued_at: float = 0.0
    started_at: Optional[float] = None
    interrupted: int = 0

    def waiting(self, **changes: Any) -> Job:
        """The same job, not started, with `changes`."""
        return replace(self, started_at=None, **changes)


@dataclass(frozen=True)
class WheelFile:
    """The file that a build made."""

    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Result:
    """How an attempt ended. Times are ISO 8601, UTC.

    `fetch` says what kept the sdist, where the same job may fare better later: see fetch.py.
    """

    key: str
    status: str
    reason: Optional[str]
    started_at: str
    finished_at: str
    duration_s: float
    wheel: Optional[WheelFile] = None
    apt_packages: tuple[str, ...] = ()
    fetch: Optional[str] = None


def parse(document: Any) -> Job:
    """Return the job in `document`; keys that this version doesn't know are left out.

    Raises JobError when a field is missing or can't be right: a job is checked before it touches
    the spool, so that no name in it leads anywhere else.
    """
    try:
        known = {item.name for item in fields(Job)}
        values = {name: value for name, value in document.items() if name in known}
        source = {item.name: values["sdist"].get(item.name) for item in fields(Sdist)}
        job = Job(**{**values, "sdist": Sdist(**source)})
        check_key(job.key)
        texts = (job.project, job.version, job.release, job.sdist.filename, job.sdist.url)
        if not all(isinstance(text, str) and text for text in texts):
            raise JobError("a name is missing")
        if not _FILENAME.fullmatch(job.sdist.filename):
            raise JobError(f"{job.sdist.filename!r} is no name of an sdist")
        if not _SHA256.fullmatch(job.sdist.sha256):
            raise JobError(f"{job.sdist.sha256!r} is no SHA-256")
        if not job.sdist.url.startswith("https://"):
            raise JobError(f"{job.sdist.url!r} is not an https address")
        if not job.key.startswith(f"{job.release}-"):
            raise JobError(f"its release is {job.release!r}")
    except (JobError, KeyError, TypeError, AttributeError) as error:
        key = document.get("key") if isinstance(document, dict) else None
        raise JobError(f"job {key!r} can't be used: {error}") from error
    return job


def parse_each(documents: Iterable[Any]) -> tuple[list[Job], list[str]]:
    """Return the jobs in `documents`, and for each that can't be used a line that says why."""
    jobs, left_out = [], []
    for document in documents:
        try:
            jobs.append(parse(document))
        except JobError as error:
            left_out.append(str(error))
    return jobs, left_out


def dump(item: Any) -> dict[str, Any]:
    """Return a Job or Result as plain data for JSON."""
    return asdict(item)
