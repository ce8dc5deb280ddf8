"""What a builder sends back of one job: result.json, log.txt and perhaps a wheel. Untrusted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from master.jobs import retry
from master.results.refused import WheelRefusedError
from master.results.verify import regular_file
from master.text import one_line

MAX_RESULT_BYTES = 1 << 20
MAX_LOG_BYTES = 4 << 20
MAX_APT_PACKAGES = 200

_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")  # Debian Policy 5.6.1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SentWheel:
    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Result:
    reason: str | None
    """Why the build failed; None when it ended well."""
    started_at: datetime | None
    finished_at: datetime
    duration_s: float | None
    wheel: SentWheel | None
    apt_packages: tuple[str, ...]
    fetch: str | None = None
    """What kept the sdist, if that is why it failed: one of retry.CODES."""


def read(folder: Path, key: str, leased_at: datetime, now: datetime) -> Result:
    """The result in the folder; one that isn't as agreed is a failed build that says so."""
    try:
        with regular_file(folder / "result.json") as file:
            data = file.read(MAX_RESULT_BYTES + 1)
        if len(data) > MAX_RESULT_BYTES:
            raise ValueError("it's too long")
        raw = json.loads(data)
        if not isinstance(raw, Mapping) or raw.get("key") != key:
            raise ValueError("it's of another job")
        return _parse(raw, leased_at, now)
    except (WheelRefusedError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"result refused: result.json isn't as agreed: {one_line(str(error))}"
        return Result(reason, None, now, None, None, ())


def _parse(raw: Mapping[str, Any], leased_at: datetime, now: datetime) -> Result:
    if raw["status"] not in {"built", "failed"}:
        raise ValueError("status is neither built nor failed")
    built = raw["status"] == "built"
    started_at = _time(raw.get("started_at"), leased_at, now)
    finished_at = _time(raw.get("finished_at"), leased_at, now) or now
    packages = raw.get("apt_packages") or []
    if not isinstance(packages, list):
        raise TypeError("apt_packages is no list")
    good = [p for p in packages if isinstance(p, str) and _APT_PACKAGE.fullmatch(p)]
    return Result(
        reason=None if built else one_line(raw.get("reason")) or "no reason given",
        started_at=min(started_at, finished_at) if started_at else None,
        finished_at=finished_at,
        duration_s=_duration(raw.get("duration_s")),
        wheel=_wheel(raw["wheel"]) if built else None,
        apt_packages=tuple(sorted(set(good))[:MAX_APT_PACKAGES]),
        fetch=None if built else next((c for c in retry.CODES if c == raw.get("fetch")), None),
    )


def _wheel(raw: Any) -> SentWheel:
    filename, size_bytes, sha256 = raw["filename"], raw["size_bytes"], raw["sha256"]
    if not (isinstance(filename, str) and type(size_bytes) is int and isinstance(sha256, str)):
        raise TypeError("wheel isn't described")
    if "/" in filename or filename in {"", ".", ".."} or not filename.isprintable():
        raise ValueError("the wheel's name is none of a file")
    if not _SHA256.fullmatch(sha256):
        raise ValueError("the wheel has no sha256")
    return SentWheel(filename, size_bytes, sha256)


def _duration(value: Any) -> float | None:
    """Seconds, if it is a number that could be true."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # An integer may have more digits than a float has room for.
    return float(value) if 0 <= value < 1e9 else None


def _time(value: object, leased_at: datetime, now: datetime) -> datetime | None:
    """A time by the builder's clock, which may be wrong: nothing was before the lease or is yet."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None:
        return None
    time = time.replace(tzinfo=time.tzinfo or UTC)
    try:
        return max(leased_at - timedelta(minutes=1), min(time, now))
    except OverflowError:
        return None


def read_log(folder: Path) -> str:
    """The log as text that PostgreSQL and a page can hold; its end is cut off past the limit."""
    try:
        with regular_file(folder / "log.txt") as file:
            data = file.read(MAX_LOG_BYTES)
            more = os.fstat(file.fileno()).st_size - len(data)
    except WheelRefusedError:
        return "(no log came with this result)\n"
    text = data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if more <= 0 else f"{text}\n(… {more} bytes more were cut off by the master)\n"
