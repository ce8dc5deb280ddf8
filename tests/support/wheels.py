"""Forge wheels for the tests: honest ones, and ones that lie in one chosen way."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from master.results.refused import WheelRefusedError
from master.results.repack import Packed, repack
from master.results.verify import Expected, Wheel, opened
from master.targets.tags import Target

BOOKWORM = Target(1, "bookworm", "3.11", "cp311", "cp311", "linux_armv7l", armv6=False)
TRIXIE = Target(2, "trixie", "3.13", "cp313", "cp313", "linux_armv7l", armv6=False)

_OBJECTS = Path(__file__).parents[1] / "fixtures/elf"


def linked(name: str) -> bytes:
    """Return a library that a real compiler made; make.sh beside it says with what."""
    return (_OBJECTS / f"{name}.so").read_bytes()


def elf(
    *needed: str,
    soname: str = "",
    bits: int = 32,
    little: bool = True,
    machine: int = 40,
    flags: int = 0x05000400,
) -> bytes:
    """Return the smallest ELF library: ARM, EABI 5, hard floats by default.

    It may have a dynamic section that says what it needs and is (System V gABI).
    """
    order = "<" if little else ">"
    ident = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1 if little else 2, 1]) + bytes(9)
    word = "L" if bits == 32 else "Q"
    size, entry_size, pair_size = (52, 32, 8) if bits == 32 else (64, 56, 16)
    segments = 2 if needed or soname else 0
    header = ident + struct.pack(
        f"{order}HHL3{word}L6H",
        *(
            3,
            machine,
            1,
            0,
            size if segments else 0,
            0,
            flags,
            size,
            entry_size,
            segments,
            40,
            0,
            0,
        ),
    )
    if not segments:
        return header
    strings, entries = b"\0", []
    for tag, name in [*((1, name) for name in needed), *([(14, soname)] if soname else [])]:
        entries.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    start, address = size + 2 * entry_size, 0x10000
    end = start + pair_size * (len(entries) + 3)
    entries += [(5, address + end), (10, len(strings)), (0, 0)]
    table = b""
    for kind, offset, access, stop in ((1, 0, 5, end + len(strings)), (2, start, 6, end)):
        place = (offset, address + offset, 0, stop - offset, stop - offset)
        if bits == 32:
            table += struct.pack(f"{order}8L", kind, *place, access, 4)
        else:
            table += struct.pack(f"{order}2L6Q", kind, access, *place, 8)
    pairs = b"".join(struct.pack(f"{order}2{word}", *entry) for entry in entries)
    return header + table + pairs + strings


@dataclass
class Forge:
    """What a wheel shall be; bytes() makes it."""

    project: str = "demo"
    version: str = "1.0"
    tag: str = "cp311-cp311-linux_armv7l"
    build: str = ""
    files: dict[str, bytes] = field(
        default_factory=lambda: {"demo/__init__.py": b"", "demo/_c.so": elf()}
    )
    info: str = ""
    """Name of the .dist-info folder; computed when empty."""
    metadata: str = ""
    wheel_file: str = ""
    record: Callable[[str], str] = lambda text: text
    """Changes RECORD before it is packed."""
    extra: Mapping[str, bytes] = field(default_factory=dict)
    """Files that RECORD doesn't have."""
    method: int = zipfile.ZIP_DEFLATED
    entry: Callable[[zipfile.ZipInfo], None] = lambda _info: None
    """Changes each entry before it is packed."""

    @property
    def filename(self) -> str:
        build = f"-{self.build}" if self.build else ""
        return f"{self.project.replace('-', '_')}-{self.version}{build}-{self.tag}.whl"

    @property
    def folder(self) -> str:
        """Of its metadata."""
        return self.info or f"{self.project.replace('-', '_')}-{self.version}.dist-info"

    def contents(self) -> dict[str, bytes]:
        info = self.folder
        metadata = self.metadata or (
            f"Metadata-Version: 2.1\nName: {self.project}\nVersion: {self.version}\n"
            "Requires-Python: >=3.9\nRequires-Dist: Some.Thing>=1\n"
            'Requires-Dist: only; extra == "more"\n\nA demo.\n'
        )
        python, abi, platform = self.tag.split("-")
        tags = "".join(
            f"Tag: {p}-{a}-{f}\n"
            for p in python.split(".")
            for a in abi.split(".")
            for f in platform.split(".")
        )
        build = f"Build: {self.build}\n" if self.build else ""
        wheel = self.wheel_file or (
            f"Wheel-Version: 1.0\nGenerator: forge\nRoot-Is-Purelib: false\n{tags}{build}"
        )
        files = dict(self.files)
        files[f"{info}/METADATA"] = metadata.encode()
        files[f"{info}/WHEEL"] = wheel.encode()
        rows = [f"{name},{digest(data)},{len(data)}\n" for name, data in files.items()]
        record = f"{info}/RECORD"
        files[record] = self.record("".join(rows) + f"{record},,\n").encode()
        return {**files, **self.extra}

    def bytes(self) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", self.method) as archive:
            for name, data in self.contents().items():
                info = zipfile.ZipInfo(name)
                info.external_attr = 0o100644 << 16
                info.compress_type = self.method
                self.entry(info)
                archive.writestr(info, data, info.compress_type)
        return packed.getvalue()

    def write(self, folder: Path) -> Path:
        """Return where it is in a folder, under its own name."""
        path = folder / self.filename
        path.write_bytes(self.bytes())
        return path


PURE = Forge(tag="py3-none-any", files={"demo.py": b""})
"""A wheel that serves every platform."""


def digest(data: bytes, algorithm: str = "sha256") -> str:
    raw = hashlib.new(algorithm, data).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def expected(data: bytes, filename: str) -> Expected:
    """Return what the job asks for, and what the builder says it sent."""
    return Expected(
        project="demo",
        version="1.0",
        target=BOOKWORM,
        filename=filename,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        max_bytes=64 << 20,
    )


def examine(
    tmp_path: Path, data: bytes, filename: str, change: Callable[[Expected], Expected] = lambda e: e
) -> tuple[Wheel, Packed]:
    """Return what the master finds out about a wheel, and what it makes of it."""
    path = tmp_path / "sent.whl"
    path.write_bytes(data)
    with opened(path, change(expected(data, filename))) as wheel:
        return wheel, repack(wheel, tmp_path)


def verified(
    tmp_path: Path, data: bytes, filename: str, change: Callable[[Expected], Expected] = lambda e: e
) -> Wheel:
    """Return what the master finds out about it; raises WheelRefusedError."""
    return examine(tmp_path, data, filename, change)[0]


def refused(tmp_path: Path, forge: Forge, data: bytes | None = None) -> str:
    """Return why the master refuses it."""
    with pytest.raises(WheelRefusedError) as caught:
        verified(tmp_path, forge.bytes() if data is None else data, forge.filename)
    return str(caught.value)


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
