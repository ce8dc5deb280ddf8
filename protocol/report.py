"""What a Pi says of its spool, once a round. It runs strangers' code: none of it is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from protocol import VERSION, MessageError, fields, key
from protocol.key import Key

MAX_KEYS = 1000
"""In one list; a spool holds a few."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Running:
    """A build under way."""

    key: Key
    started_at: Optional[datetime]


@dataclass(frozen=True)
class Rootfs:
    """The tree in which it builds."""

    digest: str
    """SHA-256 of what it is made of, its packages with their versions included."""
    made_at: Optional[datetime]
    failed: bool = False
    """The last try to make it anew, on the Pi's own schedule, ended with an error."""


@dataclass(frozen=True)
class Report:
    """What a spool holds, and whether more may come."""

    queued: tuple[Key, ...]
    """In the order in which they will be built."""
    running: tuple[Running, ...]
    done: tuple[Key, ...]
    refuses: Optional[str] = None
    """Why the builder takes no jobs."""
    free_bytes: Optional[int] = None
    """The room on the spool's disk."""
    service: Optional[str] = None
    """What systemd says of the builder service."""
    version: Optional[str] = None
    """Of the builder's code."""
    rootfs: Optional[Rootfs] = None
    """None while there is none."""

    @property
    def started(self) -> frozenset[Key]:
        """What it builds, and what it has built."""
        return frozenset((*(build.key for build in self.running), *self.done))

    @property
    def holds(self) -> frozenset[Key]:
        """Every job that the spool has, in whatever state."""
        return self.started.union(self.queued)


def parse(document: object) -> Report:
    """Return the report in `document`; raises MessageError.

    Of one in another version only the keys count, which every version has: its Pi keeps what it
    holds, and takes nothing more.
    """
    said = fields.mapping(document, "the report")
    version = fields.version(said)
    queued, done = (tuple(map(key.read, _list(said, name))) for name in ("queued", "done"))
    running = tuple(map(_running, _list(said, "running")))
    if version != VERSION:
        return Report(queued, running, done, refuses=other_version(version))
    free_bytes = said.get("free_bytes")
    return Report(
        queued,
        running,
        done,
        refuses=_words(said, "refuses"),
        free_bytes=None if free_bytes is None else fields.integer(free_bytes, "free_bytes"),
        service=_words(said, "service"),
        version=_words(said, "version"),
        rootfs=_rootfs(said.get("rootfs")),
    )


def read(document: object) -> Optional[Report]:
    """Return the report in `document`, or None if it is none: its Pi counts as not heard."""
    try:
        return parse(document)
    except MessageError:
        return None


def other_version(version: int) -> str:
    """Return why a Pi of this version takes no jobs from a master of ours, and the way out."""
    behind = "this Pi" if version < VERSION else "the master"
    return (
        f"it speaks version {version} of the protocol, and the master version {VERSION}: run "
        f"ansible-playbook site.yml for {behind}"
    )


def _running(raw: object) -> Running:
    build = fields.mapping(raw, "what is running")
    return Running(key.read(build.get("key")), fields.time(build.get("started_at")))


def _rootfs(raw: object) -> Optional[Rootfs]:
    if raw is None:
        return None
    said = fields.mapping(raw, "the rootfs")
    digest = fields.text(said.get("digest"), "the rootfs' digest")
    if not _SHA256.fullmatch(digest):
        raise MessageError("the rootfs' digest is not a valid SHA-256")
    return Rootfs(digest, fields.time(said.get("made_at")), said.get("failed") is True)


def _list(said: Mapping[str, Any], name: str) -> list[Any]:
    found = said.get(name)
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise MessageError(f"{name} is not a list of at most {MAX_KEYS}")
    return found


def _words(said: Mapping[str, Any], name: str) -> Optional[str]:
    words = said.get(name)
    return None if words is None else fields.one_line(fields.text(words, name)) or "?"


def dump(report: Report) -> dict[str, Any]:
    """Return `report` as plain data for JSON."""
    return {
        "protocol": VERSION,
        "queued": [str(one) for one in report.queued],
        "running": [
            {"key": str(build.key), "started_at": fields.iso(build.started_at)}
            for build in report.running
        ],
        "done": [str(one) for one in report.done],
        "refuses": report.refuses,
        "free_bytes": report.free_bytes,
        "service": report.service,
        "version": report.version,
        "rootfs": report.rootfs
        and {
            "digest": report.rootfs.digest,
            "made_at": fields.iso(report.rootfs.made_at),
            "failed": report.rootfs.failed,
        },
    }
