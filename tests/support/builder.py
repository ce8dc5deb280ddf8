"""What the builder's tests share: jobs, settings, and stand-ins for systemd's units."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.config import Config, Release
from builder.sandbox.units import UnitError
from protocol.job import Job, Sdist
from protocol.result import UnitResult

RELEASE = Release(
    name="bookworm",
    python_version="3.11",
    interpreter_tag="cp311",
    abi_tag="cp311",
    platform_tag="linux_armv7l",
    machine="armv7l",
    armv6=False,
)


def config(folder: Path, **changes: Any) -> Config:
    """Return settings under `folder`, with its directories made and room to spare."""
    values: dict[str, Any] = {
        "release": RELEASE,
        "spool_dir": folder / "spool",
        "work_dir": folder / "work",
        "rootfs_dir": folder / "rootfs",
        "status_path": folder / "run" / "status.json",
        "min_free_bytes": 0,
    }
    made = Config(**{**values, **changes})
    for path in (made.spool_dir, made.work_dir, made.rootfs):
        path.mkdir(parents=True, exist_ok=True)
    made.status_path.parent.mkdir(exist_ok=True)
    return made


def job(key: str = "bookworm-1-1", **changes: Any) -> Job:
    """Return a job like those that the master hands over."""
    values: dict[str, Any] = {
        "project": "demo",
        "version": "1.0",
        "target": "bookworm",
        "sdist": Sdist("demo-1.0.tar.gz", "https://localhost/demo-1.0.tar.gz", "0" * 64),
    }
    return Job(key=key, **{**values, **changes})


def sha256(raw: bytes) -> str:
    """Return the digest that a job carries."""
    return hashlib.sha256(raw).hexdigest()


class FakeUnits:
    """Stands in for systemd: a "build" is a function that is given the build's folder."""

    def __init__(self, work: Path, build: Callable[[Path], UnitResult] | None = None) -> None:
        self.work = work
        self.act = build or (lambda _: UnitResult("success"))
        self.refuses_root = ""
        self.under_way: set[str] = set()
        self.calls: list[str] = []

    def start_root(self, key: str) -> None:
        self.calls.append(f"root {key}")
        if self.refuses_root:
            raise UnitError(self.refuses_root)
        for name in ("in", "out"):
            (self.work / key / name).mkdir(parents=True)
        (self.work / key / "log").touch()

    def build(self, key: str, timeout_s: float | None = None) -> UnitResult:  # noqa: ARG002 -- systemd.Units has it
        self.calls.append(f"build {key}")
        return self.act(self.work / key)

    def is_building(self, key: str) -> bool:
        return key in self.under_way

    def end_processes(self, key: str) -> None:
        self.calls.append(f"end {key}")

    def remove(self, key: str) -> None:
        self.calls.append(f"remove {key}")
        for path in sorted((self.work / key).rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        if (self.work / key).exists():
            (self.work / key).rmdir()
