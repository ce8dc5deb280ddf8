"""Open a wheel's zip within limits, and read what is in it (PEP 427).

zipfile reads it as pip does, by the central directory. Whatever else may lie in a stranger's zip is
not refused: it is never copied.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO
from zipfile import ZipInfo

from master.results.refused import WheelRefusedError

MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 16 << 20
"""Read as a whole, here and by zipfile. A name and what goes with it take some 150 bytes, and twice
that for each of MAX_ENTRIES are allowed; but an entry's extra field alone may have 64 KiB."""
MAX_TOTAL_BYTES = 4 << 30
MAX_RATIO = 100
"""Unpacked to packed size of the whole, above FREE_BYTES: a zip bomb has 1000."""
FREE_BYTES = 64 << 20
MAX_NAME_BYTES = 1024
CHUNK = 1 << 18

_END = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR_BYTES = 20
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_UTF8 = 0x800
_FLAGS_ALLOWED = 0x06 | 0x08 | _UTF8  # how hard deflate tried, and sizes that follow the data


class Archive:
    """An open wheel whose names and sizes are sound; its contents are checked as they are read."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        """Raise WheelRefusedError, or what zipfile raises."""
        _check_directory(file, size_bytes)
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        _check_names([entry.orig_filename for entry in entries])
        _check_sizes(entries, size_bytes)
        for entry in entries:
            _check_entry(entry)
        self.files = {entry.filename: entry for entry in entries if not entry.is_dir()}
        """By their paths. A folder has nothing of its own that pip would install."""

    def read(self, name: str, limit: int) -> bytes:
        """Return the contents of a file of at most limit bytes, or raise WheelRefusedError."""
        entry = self.files.get(name)
        if entry is None:
            raise WheelRefusedError(f"it has no {name}")
        if entry.file_size > limit:
            raise WheelRefusedError(f"{name} has {entry.file_size} bytes, and may have {limit}")
        return b"".join(self.chunks(name))

    def part(self, name: str, offset: int, size_bytes: int) -> bytes:
        """Return so much of the file from an offset on, or less at its end, its CRC unchecked."""
        with self._zip.open(name) as file:
            # To seek, zipfile would read many times as much at once.
            while skipped := file.read(min(CHUNK, offset)):
                offset -= len(skipped)
            return file.read(size_bytes)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the contents, piece by piece; zipfile raises BadZipFile at a wrong CRC."""
        with self._zip.open(name) as file:
            while chunk := file.read(CHUNK):
                yield chunk


def _check_directory(file: BinaryIO, size_bytes: int) -> None:
    """Check what zipfile would read into memory at once, each entry as an object."""
    end = size_bytes - _END.size
    file.seek(max(0, end - _ZIP64_LOCATOR_BYTES))
    tail = file.read()
    if end < 0 or not tail[-_END.size :].startswith(b"PK\5\6") or tail[-2:] != b"\0\0":
        raise WheelRefusedError("it is not a zip that ends where the file ends")
    if tail.startswith(b"PK\6\7"):
        raise WheelRefusedError("its zip is in the zip64 format")
    size, offset = _END.unpack(tail[-_END.size :])[5:7]
    if offset + size != end:
        raise WheelRefusedError("its zip has data before or after the central directory")
    if size > MAX_DIRECTORY_BYTES:
        raise WheelRefusedError(
            f"its central directory has {size} bytes, and may have {MAX_DIRECTORY_BYTES}"
        )
    file.seek(offset)
    count = file.read(size).count(b"PK\1\2")
    if count > MAX_ENTRIES:
        raise WheelRefusedError(f"it has {count} entries, and may have {MAX_ENTRIES}")


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise WheelRefusedError("its zip has two entries with the same name")
    for name in names:
        parts = name.removesuffix("/").split("/")
        unsafe = any(part in {"", ".", ".."} for part in parts) or ":" in parts[0]
        if unsafe or "\\" in name or not name.isprintable():
            raise WheelRefusedError(f"{_shown(name)} is not a safe path")
        if len(name.encode()) > MAX_NAME_BYTES:
            raise WheelRefusedError(f"{_shown(name)} is a path that is too long")
    # Sorted so, what is in a folder comes right after a file of its name: to keep every folder
    # of every path would take gigabytes for some wheels.
    paths = sorted(name.replace("/", "\0") for name in names)
    for path, following in pairwise(paths):
        if not path.endswith("\0") and following.startswith(path + "\0"):
            name = path.replace("\0", "/")
            raise WheelRefusedError(f"{_shown(name)} is both a file and a folder")


def _check_sizes(entries: list[ZipInfo], size_bytes: int) -> None:
    total = sum(entry.file_size for entry in entries)
    allowed = min(MAX_TOTAL_BYTES, max(FREE_BYTES, MAX_RATIO * size_bytes))
    if total > allowed:
        raise WheelRefusedError(f"it would unpack to {total} bytes, and may unpack to {allowed}")
    # Entries that share their bytes could be read for years without unpacking to anything.
    if sum(entry.compress_size for entry in entries) > size_bytes:
        raise WheelRefusedError("its zip has data that belongs to two entries")
    if any(entry.header_offset > size_bytes for entry in entries):
        raise WheelRefusedError("its zip ends too early")


def _check_entry(entry: ZipInfo) -> None:
    shown = _shown(entry.filename)
    if not (entry.flag_bits & _UTF8 or entry.filename.isascii()):
        raise WheelRefusedError(f"{shown} is not a name in ASCII or UTF-8")
    if entry.flag_bits & ~_FLAGS_ALLOWED:
        raise WheelRefusedError(f"{shown} is encrypted or otherwise not plain")
    if entry.compress_type not in _METHODS:
        method = entry.compress_type
        raise WheelRefusedError(f"{shown} is packed by method {method}, not stored or deflated")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in ({0, stat.S_IFDIR} if entry.is_dir() else {0, stat.S_IFREG}):
        raise WheelRefusedError(f"{shown} is a link or a device, not a file")


def _shown(name: str) -> str:
    """Return a name from the zip, fit for a message."""
    return ascii(name[:100])[1:-1] or "an entry without a name"
