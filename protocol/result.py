"""How a build ended, as a Pi tells it: result.json, beside log.txt and perhaps a wheel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Optional

from protocol import VERSION, MessageError, NewerError, fields, key

MAX_BYTES = 1 << 20
MAX_LOG_BYTES = 4 << 20
MAX_APT_PACKAGES = 200

# What kept an sdist, where the same job may fare better later.
NETWORK = "network"
"""No connection, or a server in trouble."""
MISSING = "missing"
"""The server doesn't have the file: perhaps not yet, where the index is ahead of it."""
OTHER_FILE = "other-file"
"""Its size or hash is another than the index promised: perhaps the index is behind."""
FETCH_CODES = (NETWORK, MISSING, OTHER_FILE)

_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")  # Debian Policy 5.6.1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WheelFile:
    """The file that a build made."""

    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class UnitResult:
    """How the unit of a build ended, as systemd says it."""

    result: str
    """The word for it: systemd.exec(5), $SERVICE_RESULT."""
    exit_status: int = 0
    """Of pip, or the number of the signal that ended it."""

    @property
    def succeeded(self) -> bool:
        """Whether pip itself said that all is well."""
        return self.result == "success"

    def __str__(self) -> str:
        return f"{self.result}, status {self.exit_status}"


@dataclass(frozen=True)
class Result:
    """How an attempt ended: a wheel, or the reason of its failure, or the unit that failed."""

    key: str
    status: str
    """built or failed."""
    reason: Optional[str]
    """Why it failed, if the Pi knows it without reading the log."""
    started_at: Optional[datetime]
    finished_at: Optional[datetime]
    duration_s: Optional[float]
    wheel: Optional[WheelFile] = None
    apt_packages: tuple[str, ...] = ()
    fetch: Optional[str] = None
    """What kept the sdist, if that is why it failed: one of FETCH_CODES."""
    unit: Optional[UnitResult] = None
    """How the build ended, if it failed and the log says why."""
    timeout_s: int = 0
    """For how long a build may run on that Pi."""


def parse(document: object) -> Result:
    """Return the result in `document`; raises MessageError, and NewerError for one that must wait.

    Times and apt packages that can't be right are left out: the build is none the worse for them.
    """
    said = fields.mapping(document, "it")
    version = fields.version(said)
    if version > VERSION:
        raise NewerError(
            f"it is of version {version} of the protocol, and the master knows {VERSION}: run "
            "ansible-playbook site.yml for the master"
        )
    status = fields.text(said.get("status"), "status")
    if status not in {"built", "failed"}:
        raise MessageError("status is neither built nor failed")
    built = status == "built"
    packages = said.get("apt_packages") or []
    if not isinstance(packages, list):
        raise MessageError("apt_packages is not a list")
    good = {p for p in packages if isinstance(p, str) and _APT_PACKAGE.fullmatch(p)}
    fetch = said.get("fetch")
    words = fields.one_line(said.get("reason"))
    unit = None if built or words else _unit(said.get("unit"))
    reason = None if built or unit else words or "no reason given"
    return Result(
        key=key.check(fields.text(said.get("key"), "key")),
        status=status,
        reason=reason,
        started_at=fields.time(said.get("started_at")),
        finished_at=fields.time(said.get("finished_at")),
        duration_s=_duration(said.get("duration_s")),
        wheel=_wheel(fields.mapping(said.get("wheel"), "wheel")) if built else None,
        apt_packages=tuple(sorted(good)[:MAX_APT_PACKAGES]),
        fetch=next((code for code in FETCH_CODES if reason and code == fetch), None),
        unit=unit,
        timeout_s=fields.integer(said.get("timeout_s", 0), "timeout_s"),
    )


def _wheel(document: Mapping[str, Any]) -> WheelFile:
    filename = fields.text(document.get("filename"), "the wheel's name")
    sha256 = fields.text(document.get("sha256"), "the wheel's SHA-256")
    if "/" in filename or filename in {".", ".."} or not filename.isprintable():
        raise MessageError("the wheel's name is not a valid file name")
    if not _SHA256.fullmatch(sha256):
        raise MessageError("the wheel's SHA-256 is not valid")
    return WheelFile(filename, fields.integer(document.get("size_bytes"), "its size"), sha256)


def _unit(raw: object) -> Optional[UnitResult]:
    """Return how the unit ended; versions 1 and 2 say it in the reason's words."""
    if raw is None:
        return None
    document = fields.mapping(raw, "unit")
    return UnitResult(
        fields.text(document.get("result"), "its result"),
        fields.integer(document.get("exit_status"), "its exit status"),
    )


def _duration(raw: object) -> Optional[float]:
    """Return seconds, if it is a number that could be true."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    # An integer may have more digits than a float has room for.
    return float(raw) if 0 <= raw < 1e9 else None


def dump(result: Result) -> dict[str, Any]:
    """Return `result` as plain data for JSON."""
    times = {name: fields.iso(getattr(result, name)) for name in ("started_at", "finished_at")}
    return {"protocol": VERSION, **asdict(result), **times}
