"""Reads a wheel's zip with no tolerance (APPNOTE.TXT, PEP 427).

Installers read zips differently: some by the central directory, some from the front. So every byte
here must belong to exactly one entry, and both descriptions of an entry must say the same. The
standard library's zipfile overlooks all of that; it only confirms at the end that it sees the same.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

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
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_HAS_DESCRIPTOR, _UTF8 = 0x08, 0x800
_FLAGS_ALLOWED = 0x06 | _HAS_DESCRIPTOR | _UTF8  # 0x06 is how hard deflate tried
_ZIP64_EXTRA = 0x0001


@dataclass(frozen=True)
class Entry:
    """One file or folder, as the central directory has it."""

    name: str
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    header_offset: int
    data_offset: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True)
class _Central:
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    attributes: int


class Archive:
    """An open wheel whose structure is sound; its contents are only checked as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises WheelRefusedError when anything about the zip isn't plain."""
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size
        self.entries = self._read_structure()
        self._by_name = {entry.name: entry for entry in self.entries}
        self._check_names()
        self._check_sizes()
        self._check_against_zipfile()

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.is_folder]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def read(self, name: str, limit: int) -> bytes:
        """The contents of a small file of at most limit bytes. Raises WheelRefusedError."""
        entry = self._by_name.get(name)
        if entry is None:
            raise WheelRefusedError(f"it has no {name}")
        if entry.size_bytes > limit:
            raise WheelRefusedError(f"{name} has {entry.size_bytes} bytes, and may have {limit}")
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The contents, piece by piece. Raises WheelRefusedError when they aren't as announced."""
        crc = size = 0
        for chunk in self._unpack(entry):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            if size > entry.size_bytes:
                break
            yield chunk
        if size != entry.size_bytes:
            raise WheelRefusedError(f"{_shown(entry.name)} isn't as long as the zip says")
        if crc != entry.crc:
            raise WheelRefusedError(f"{_shown(entry.name)} is damaged: its CRC is wrong")

    def _unpack(self, entry: Entry) -> Iterator[bytes]:
        self._file.seek(entry.data_offset)
        left = entry.packed_bytes
        if entry.method == _STORED:
            while left:
                chunk = self._exactly(min(left, CHUNK))
                left -= len(chunk)
                yield chunk
            return
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            while left and not inflate.eof:
                packed = self._exactly(min(left, CHUNK))
                left -= len(packed)
                while packed and not inflate.eof:
                    yield inflate.decompress(packed, CHUNK)
                    packed = inflate.unconsumed_tail
            while not inflate.eof:
                # All is read, but the last piece may have been larger than CHUNK.
                rest = inflate.decompress(b"", CHUNK)
                if not rest:
                    break
                yield rest
        except zlib.error as error:
            raise WheelRefusedError(f"{_shown(entry.name)} can't be unpacked: {error}") from error
        if left or not inflate.eof or inflate.unused_data:
            raise WheelRefusedError(f"{_shown(entry.name)} doesn't end where the zip says")

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise WheelRefusedError("the zip ends too early")
        return data

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._exactly(size)

    def _read_structure(self) -> list[Entry]:
        if self.size_bytes < _END.size:
            raise WheelRefusedError("it is no zip: too short")
        end = self.size_bytes - _END.size
        magic, disk, start_disk, here, count, size, offset, comment = _END.unpack(
            self._at(end, _END.size)
        )
        if magic != b"PK\5\6" or comment:
            raise WheelRefusedError("it is no zip that ends where the file ends")
        if disk or start_disk or here != count or count == 0xFFFF or offset == 0xFFFFFFFF:
            raise WheelRefusedError("its zip is in parts or in the zip64 format")
        if offset + size != end:
            raise WheelRefusedError("its zip has data before or behind the central directory")
        if count > MAX_ENTRIES:
            raise WheelRefusedError(f"it has {count} entries, and may have {MAX_ENTRIES}")
        if size > MAX_DIRECTORY_BYTES:
            raise WheelRefusedError(
                f"its central directory has {size} bytes, and may have {MAX_DIRECTORY_BYTES}"
            )
        central = list(self._central(offset, size, count))
        # In the order in which they lie, so that a gap or an overlap shows.
        position, entries = 0, {}
        for one in sorted(central, key=lambda one: one.offset):
            if one.offset != position:
                raise WheelRefusedError("its zip has data that belongs to no entry, or to two")
            entry, position = self._local(one)
            entries[one.offset] = entry
        if position != offset:
            raise WheelRefusedError("its zip has data that belongs to no entry")
        return [entries[one.offset] for one in central]

    def _central(self, offset: int, size: int, count: int) -> Iterator[_Central]:
        data = self._at(offset, size)
        position = 0
        for _ in range(count):
            if position + _CENTRAL.size > size:
                raise WheelRefusedError("its zip has a broken central directory")
            (
                magic, _made_by, _needs, flags, method, _time, _date, crc, packed, full,
                name_length, extra_length, comment_length, disk, _internal, attributes, local,
            ) = _CENTRAL.unpack_from(data, position)  # fmt: skip
            position += _CENTRAL.size
            name = data[position : position + name_length]
            extra = data[position + name_length : position + name_length + extra_length]
            position += name_length + extra_length + comment_length
            if magic != b"PK\1\2" or position > size or disk:
                raise WheelRefusedError("its zip has a broken central directory")
            if comment_length or _has_zip64(extra):
                raise WheelRefusedError(f"{_shown(name)} has a comment or is in the zip64 format")
            yield _Central(name, flags, method, crc, packed, full, local, attributes >> 16)
        if position != size:
            raise WheelRefusedError("its zip has a broken central directory")

    def _local(self, one: _Central) -> tuple[Entry, int]:
        """The entry, and the offset at which it ends."""
        magic, _, flags, method, _, _, crc, packed, full, name_length, extra_length = _LOCAL.unpack(
            self._at(one.offset, _LOCAL.size)
        )
        start = one.offset + _LOCAL.size
        names = self._at(start, name_length + extra_length)
        shown = _shown(one.raw_name)
        if magic != b"PK\3\4" or names[:name_length] != one.raw_name:
            raise WheelRefusedError(f"{shown} has another name in its local header")
        if (flags, method) != (one.flags, one.method) or _has_zip64(names[name_length:]):
            raise WheelRefusedError(f"{shown} is described differently in its local header")
        if flags & ~_FLAGS_ALLOWED:
            raise WheelRefusedError(f"{shown} is encrypted or otherwise not plain")
        if method not in {_STORED, _DEFLATED}:
            raise WheelRefusedError(f"{shown} is packed by method {method}, not stored or deflated")
        said, true = (crc, packed, full), (one.crc, one.packed_bytes, one.size_bytes)
        descriptor = bool(flags & _HAS_DESCRIPTOR)
        if said != true and not (descriptor and said == (0, 0, 0)):
            raise WheelRefusedError(f"{shown} is described differently in its local header")
        if method == _STORED and one.packed_bytes != one.size_bytes:
            raise WheelRefusedError(f"{shown} is stored, yet its two sizes differ")
        kind = stat.S_IFMT(one.attributes)
        entry = Entry(
            name=_decoded(one),
            method=method,
            crc=one.crc,
            packed_bytes=one.packed_bytes,
            size_bytes=one.size_bytes,
            header_offset=one.offset,
            data_offset=start + name_length + extra_length,
        )
        if kind not in ({0, stat.S_IFDIR} if entry.is_folder else {0, stat.S_IFREG}):
            raise WheelRefusedError(f"{shown} is a link or a device, not a file")
        finish = entry.data_offset + entry.packed_bytes
        return entry, finish + (self._descriptor(one, finish) if descriptor else 0)

    def _descriptor(self, one: _Central, offset: int) -> int:
        """The length of the data descriptor at offset, with or without its magic."""
        sizes = struct.pack("<3L", one.crc, one.packed_bytes, one.size_bytes)
        for form in (b"PK\7\x08" + sizes, sizes):
            if self._at(offset, len(form)) == form:
                return len(form)
        raise WheelRefusedError(f"{_shown(one.raw_name)} is described differently behind its data")

    def _check_names(self) -> None:
        if len(self._by_name) != len(self.entries):
            raise WheelRefusedError("its zip has two entries of one name")
        for entry in self.entries:
            parts = entry.name.removesuffix("/").split("/")
            unsafe = any(part in {"", ".", ".."} for part in parts) or ":" in parts[0]
            if unsafe or "\\" in entry.name or not entry.name.isprintable():
                raise WheelRefusedError(f"{_shown(entry.name)} is no safe path")
            if len(entry.name.encode()) > MAX_NAME_BYTES:
                raise WheelRefusedError(f"{_shown(entry.name)} is a path that is too long")
            if entry.is_folder and entry.size_bytes:
                raise WheelRefusedError(f"{_shown(entry.name)} is a folder with contents")
        # Sorted so, what is in a folder comes right after a file of its name: to keep every folder
        # of every path would take gigabytes for some wheels.
        paths = sorted(entry.name.replace("/", "\0") for entry in self.entries)
        for path, following in pairwise(paths):
            if not path.endswith("\0") and following.startswith(path + "\0"):
                name = path.replace("\0", "/")
                raise WheelRefusedError(f"{_shown(name)} is a file and a folder")

    def _check_sizes(self) -> None:
        total = sum(entry.size_bytes for entry in self.entries)
        allowed = min(MAX_TOTAL_BYTES, max(FREE_BYTES, MAX_RATIO * self.size_bytes))
        if total > allowed:
            raise WheelRefusedError(f"it would unpack to {total} bytes, and may to {allowed}")

    def _check_against_zipfile(self) -> None:
        """What pip sees through the standard library is what was looked through here."""
        try:
            with zipfile.ZipFile(self._file) as other:
                seen = [(i.filename, i.header_offset, i.file_size) for i in other.infolist()]
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise WheelRefusedError(f"Python's zipfile can't read it: {error}") from error
        if seen != [(e.name, e.header_offset, e.size_bytes) for e in self.entries]:
            raise WheelRefusedError("Python's zipfile reads it differently")


def _decoded(one: _Central) -> str:
    try:
        return one.raw_name.decode("utf-8" if one.flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise WheelRefusedError(f"{_shown(one.raw_name)} is no name in ASCII or UTF-8") from error


def _has_zip64(extra: bytes) -> bool:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == _ZIP64_EXTRA:
            return True
        position += 4 + length
    return False


def _shown(name: str | bytes) -> str:
    """A name from the zip, fit for a message."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return ascii(text[:100])[1:-1] or "an entry without a name"
