"""What the builder's tests share: jobs, settings, and stand-ins for systemd's units."""

from __future__ import annotations

import hashlib
import struct
import zipfile
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


def elf32(needed: list[str], soname: str | None = None) -> bytes:
    """Return a little-endian ELF32 file whose dynamic section says just so (System V gABI)."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*needed, soname or ""])
    offsets, position = [], 1
    for name in [*needed, soname or ""]:
        offsets.append(position)
        position += len(name.encode()) + 1
    header, segment = 52, 32
    dynamic_at = header + 2 * segment
    entries = [(1, offset) for offset in offsets[:-1]]
    if soname:
        entries.append((14, offsets[-1]))
    strings_at = dynamic_at + 8 * (len(entries) + 3)
    entries += [(5, 0x10000 + strings_at), (10, len(names)), (0, 0)]
    dynamic = b"".join(struct.pack("<II", tag, value) for tag, value in entries)
    size = strings_at + len(names)
    return b"".join(
        (
            b"\x7fELF\x01\x01\x01" + bytes(9),
            struct.pack("<HHIIIIIHHHHHH", 3, 40, 1, 0, header, 0, 0, header, segment, 2, 0, 0, 0),
            struct.pack("<IIIIIIII", 1, 0, 0x10000, 0, size, size, 5, 4096),
            struct.pack(
                "<IIIIIIII",
                2,
                dynamic_at,
                0x10000 + dynamic_at,
                0,
                len(dynamic),
                len(dynamic),
                6,
                4,
            ),
            dynamic,
            names,
        )
    )


def write_wheel(path: Path, members: dict[str, bytes]) -> None:
    """Write an archive with `members`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)


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
