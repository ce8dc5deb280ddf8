"""Write a wheel anew: the farm publishes its own zip, and never one of a builder's (PEP 427).

Equal contents give equal bytes, and each file is checked against RECORD while it is copied.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipInfo

from packaging.utils import parse_wheel_filename

from master.results.refused import WheelRefusedError
from master.results.verify import Wheel, digest, understood
from master.text import one_line

_HASHES = ("sha256", "sha384", "sha512")  # PEP 427: sha256 or better


@dataclass(frozen=True)
class Packed:
    """A wheel as it will be published."""

    path: Path
    size_bytes: int
    sha256: str


@understood()
def repack(wheel: Wheel, folder: Path) -> Packed:
    """Write the wheel into the folder under its filename, with a WHEEL and a RECORD that fit.

    Raises WheelRefusedError, and OSError when the disk is full.
    """
    path = folder / wheel.filename
    info = f"{wheel.dist_info}/"
    rows = []
    with path.open("w+b") as file:
        with zipfile.ZipFile(file, "w") as new:
            # As PEP 427 would have it, .dist-info stands last.
            for name in sorted(wheel.record, key=lambda name: (name.startswith(info), name)):
                recorded, contents = wheel.record[name][0].rstrip("="), _checked(wheel, name)
                if name == f"{info}WHEEL":
                    b"".join(contents)  # isn't published, and yet must be as RECORD says
                    own = _wheel_file(wheel)
                    recorded = _recorded("sha256", hashlib.sha256(own).digest())
                    contents = iter([own])
                entry = _entry(wheel.archive.files[name])
                with new.open(entry, "w") as target:
                    target.writelines(contents)
                rows.append((name, recorded, entry.file_size))
            record = io.StringIO()
            csv.writer(record, lineterminator="\n").writerows([*rows, (f"{info}RECORD", "", "")])
            new.writestr(_entry(wheel.archive.files[f"{info}RECORD"]), record.getvalue())
        return Packed(path, *digest(file))


def _entry(sent: ZipInfo) -> ZipInfo:
    """Return an entry for the same file, with ZipInfo's own time, which is always the same."""
    entry = ZipInfo(sent.filename)
    mode = sent.external_attr >> 16
    executable = stat.S_ISREG(mode) and mode & 0o111  # as pip sees it
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.file_size = sent.file_size  # past 2 GiB, the zip64 format is needed
    return entry


def _checked(wheel: Wheel, name: str) -> Iterator[bytes]:
    """Yield the contents of one file; refuse the wheel at its end if RECORD has others."""
    said, size = wheel.record[name]
    algorithm = said.partition("=")[0]
    if algorithm not in _HASHES:
        raise WheelRefusedError(f"{name!a} has no sha256 in its RECORD")
    if size not in {"", str(wheel.archive.files[name].file_size)}:
        raise WheelRefusedError(f"{name!a} has another size in its RECORD")
    hasher = hashlib.new(algorithm)
    for chunk in wheel.archive.chunks(name):
        hasher.update(chunk)
        yield chunk
    if _recorded(algorithm, hasher.digest()) != said.rstrip("="):
        raise WheelRefusedError(f"{name!a} has another hash in its RECORD")


def _wheel_file(wheel: Wheel) -> bytes:
    """Return a WHEEL with the build tag and the tags of the filename."""
    _, _, build, tags = parse_wheel_filename(wheel.filename)
    pure = str(wheel.headers.get("Root-Is-Purelib", "")).lower() == "true"
    lines = [
        "Wheel-Version: 1.0",
        f"Generator: {one_line(str(wheel.headers.get('Generator', '')))}",
        f"Root-Is-Purelib: {str(pure).lower()}",
        *(f"Tag: {tag}" for tag in sorted(map(str, tags))),
        *([f"Build: {''.join(map(str, build))}"] if build else []),
    ]
    return "".join(f"{text}\n" for text in lines).encode()


def _recorded(algorithm: str, raw: bytes) -> str:
    """Return a hash as RECORD has it (PEP 376)."""
    return f"{algorithm}={base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
