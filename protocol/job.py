"""A job as the master hands it to a Pi."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional

from protocol import VERSION, MessageError, fields, key

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,254}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Sdist:
    """The one source file of a job, as PyPI lists it."""

    filename: str
    url: str
    sha256: str
    size_bytes: Optional[int] = None


@dataclass(frozen=True)
class Job:
    """One attempt to build one version for one target."""

    key: str
    project: str
    version: str
    target: str
    sdist: Sdist
    priority: int = 0


def parse(document: object) -> Job:
    """Return the job in `document`; what this version doesn't know of it is left out.

    Raises MessageError when a field is missing or can't be right: a job is checked before it
    touches the spool, so that no name in it leads anywhere else.
    """
    said = document.get("key") if isinstance(document, Mapping) else None
    try:
        return _parse(fields.mapping(document, "it"))
    except MessageError as error:
        raise MessageError(f"job {said!r} can't be used: {error}") from error


def _parse(document: Mapping[str, Any]) -> Job:
    version = fields.version(document)
    if version > VERSION:
        raise MessageError(f"it is of version {version} of the protocol, and not of {VERSION}")
    job = Job(
        key=key.check(document.get("key", "")),
        project=fields.text(document.get("project"), "its project"),
        version=fields.text(document.get("version"), "its version"),
        # Version 1 called it so.
        target=fields.text(document.get("release" if version == 1 else "target"), "its target"),
        sdist=_sdist(fields.mapping(document.get("sdist"), "its sdist")),
        priority=fields.integer(document.get("priority", 0), "its priority"),
    )
    if job.target != key.read(job.key).target:
        raise MessageError(f"its target is {job.target!r}")
    return job


def _sdist(document: Mapping[str, Any]) -> Sdist:
    size_bytes = document.get("size_bytes")
    sdist = Sdist(
        filename=fields.text(document.get("filename"), "the name of its sdist"),
        url=fields.text(document.get("url"), "the address of its sdist"),
        sha256=fields.text(document.get("sha256"), "the SHA-256 of its sdist"),
        size_bytes=None if size_bytes is None else fields.integer(size_bytes, "the sdist's size"),
    )
    if not _FILENAME.fullmatch(sdist.filename):
        raise MessageError(f"{sdist.filename!r} is not a valid name of an sdist")
    if not _SHA256.fullmatch(sdist.sha256):
        raise MessageError(f"{sdist.sha256!r} is not a valid SHA-256")
    if not sdist.url.startswith("https://"):
        raise MessageError(f"{sdist.url!r} is not an https address")
    return sdist


def parse_each(documents: Iterable[object]) -> tuple[list[Job], list[str]]:
    """Return the jobs in `documents`, and for each that can't be used a line that says why."""
    jobs, left_out = [], []
    for document in documents:
        try:
            jobs.append(parse(document))
        except MessageError as error:
            left_out.append(str(error))
    return jobs, left_out


def dump(job: Job) -> dict[str, Any]:
    """Return `job` as plain data for JSON."""
    return {"protocol": VERSION, **asdict(job)}
