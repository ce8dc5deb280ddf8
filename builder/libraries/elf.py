"""What a shared library says it needs, and for which ARM it is: a small reader of ELF.

Follows the System V gABI, chapters 4 and 5, for both word sizes and byte orders. Nothing is run
(ldd runs the loader on the file), and no offset in the file is trusted.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO, Optional

MAGIC = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME = 1, 5, 10, 14
# More than any linker writes; a file that says more is a lie.
_MAX_SEGMENTS = 512
_MAX_DYNAMIC_BYTES = 1 << 20
_MAX_NAMES = 1000
# A file's name is no longer (NAME_MAX of limits.h).
_MAX_NAME_BYTES = 255


HEADER_BYTES = 20
"""As far as e_machine."""
# ELFCLASS32 or ELFCLASS64, and ELFDATA2LSB; EM_ARM or EM_AARCH64
_ARM_32BIT = MAGIC + b"\x01\x01", b"\x28\x00"
_ARM_64BIT = MAGIC + b"\x02\x01", b"\xb7\x00"

_SHT_ARM_ATTRIBUTES = 0x70000003
_MAX_SECTIONS = 200
_MAX_ATTRIBUTES_BYTES = 4096
_HARD_FLOAT = 0x400
# What the attributes of ARMv6 code with VFPv2 may be, where those that are missing are 0 (Addenda
# to, and Errata in, the ABI for the Arm Architecture, chapter 3). The master holds wheels to it.
_ARMV6 = {
    6: ("Tag_CPU_arch", {1, 2, 3, 4, 5, 6, 7, 9}),  # up to v6, v6KZ and v6K; 8 is v6T2
    9: ("Tag_THUMB_ISA_use", {0, 1}),
    12: ("Tag_Advanced_SIMD_arch", {0}),
    10: ("Tag_FP_arch", {0, 1, 2}),
    28: ("Tag_ABI_VFP_args", {1}),
}
_TAG_COMPATIBILITY = 32


class ElfError(ValueError):
    """The file isn't an ELF file that can be read."""


@dataclass(frozen=True)
class Dynamic:
    """The names in one dynamic section."""

    soname: Optional[str]
    needed: tuple[str, ...]


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True)
class _Strings:
    """Where the string table lies in the file."""

    offset: int
    size: int


def is_native(head: bytes, *, is_64bit: bool = False) -> bool:
    """Return whether a file whose first HEADER_BYTES are `head` is an ELF file for such a Pi."""
    return (head[:6], head[18:]) == (_ARM_64BIT if is_64bit else _ARM_32BIT)


def not_armv6(stream: IO[bytes]) -> Optional[str]:
    """Return what says that an ELF file isn't ARMv6 code with VFPv2 and hard floats, or None.

    Raises ElfError for a file that isn't for a 32-bit ARM, or doesn't say for which.
    """
    head = _read(stream, 0, 52)
    if not is_native(head[:HEADER_BYTES]):
        raise ElfError("it isn't for a 32-bit ARM")
    table, flags = struct.unpack("<II", head[32:40])
    (count,) = struct.unpack("<H", head[48:50])
    if not flags & _HARD_FLOAT:
        return "it isn't linked for hard floats"
    raw = _read(stream, table, 40 * min(count, _MAX_SECTIONS))
    for _, kind, _, _, offset, size, *_ in struct.iter_unpack("<10I", raw):
        if kind == _SHT_ARM_ATTRIBUTES:
            said = _attributes(_read(stream, offset, min(size, _MAX_ATTRIBUTES_BYTES)))
            break
    else:
        raise ElfError("it has no .ARM.attributes")
    for tag, (name, allowed) in _ARMV6.items():
        if said.get(tag, 0) not in allowed:
            return f"{name} is {said.get(tag, 0)}"
    return None


def _attributes(raw: bytes) -> dict[int, int]:
    """Return the numbers among a file's attributes, by their tags."""
    # The version, a length, the vendor, Tag_File, and a length.
    if raw[:1] != b"A" or raw[5:12] != b"aeabi\0\1":
        raise ElfError("its .ARM.attributes begin with others than the file's")
    stream, said = io.BytesIO(raw[16:]), {}
    while stream.tell() < len(raw) - 16:
        tag = _uleb128(stream)
        is_text = tag in (4, 5) or (tag > _TAG_COMPATIBILITY and tag % 2)
        if not is_text:
            said[tag] = _uleb128(stream)
        if is_text or tag == _TAG_COMPATIBILITY:
            while _read(stream, stream.tell(), 1) != b"\0":
                pass
    return said


def _uleb128(stream: IO[bytes]) -> int:
    value = shift = 0
    while True:
        (byte,) = _read(stream, stream.tell(), 1)
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def dynamic(stream: IO[bytes]) -> Dynamic:
    """Return what the ELF file in `stream` needs; raises ElfError.

    An object file or a static program needs nothing.
    """
    try:
        order, wide, segments = _segments(stream)
        section = next((item for item in segments if item.kind == _PT_DYNAMIC), None)
        if section is None:
            return Dynamic(None, ())
        if section.size > _MAX_DYNAMIC_BYTES:
            raise ElfError("its dynamic section is too large")
        entries = _entries(_read(stream, section.offset, section.size), order, wide)
        strings = _strings(segments, entries)
    except struct.error as error:
        raise ElfError(f"it ends too early: {error}") from error
    sonames = [value for tag, value in entries if tag == _DT_SONAME][:1]
    needed = [value for tag, value in entries if tag == _DT_NEEDED]
    if len(needed) > _MAX_NAMES:
        raise ElfError(f"it needs {len(needed)} libraries, and may need {_MAX_NAMES}")
    names = [_name(stream, strings, value) for value in (*sonames, *needed)]
    return Dynamic(names[0] if sonames else None, tuple(names[len(sonames) :]))


def _segments(stream: IO[bytes]) -> tuple[str, bool, list[_Segment]]:
    ident = _read(stream, 0, 16)
    if ident[:4] != MAGIC or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise ElfError("it has no ELF header")
    wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
    # e_phoff, then e_phentsize and e_phnum, at their places in Elf32_Ehdr and Elf64_Ehdr.
    (table,) = struct.unpack(order + ("Q" if wide else "I"), _at(stream, wide, 32, 28))
    size, count = struct.unpack(order + "HH", _read(stream, 54 if wide else 42, 4))
    layout = order + ("IIQQQQQQ" if wide else "IIIIIIII")
    if count > _MAX_SEGMENTS or (count and size != struct.calcsize(layout)):
        raise ElfError("its program header table is wrong")
    raw = _read(stream, table, size * count)
    segments = []
    for fields in struct.iter_unpack(layout, raw):
        if wide:
            kind, _, offset, address, _, filesize = fields[:6]
        else:
            kind, offset, address, _, filesize = fields[:5]
        segments.append(_Segment(kind, offset, address, filesize))
    return order, wide, segments


def _at(stream: IO[bytes], wide: bool, wide_offset: int, offset: int) -> bytes:
    return _read(stream, wide_offset if wide else offset, 8 if wide else 4)


def _entries(raw: bytes, order: str, wide: bool) -> list[tuple[int, int]]:
    layout = order + ("QQ" if wide else "II")
    whole = len(raw) - len(raw) % struct.calcsize(layout)
    entries = []
    for tag, value in struct.iter_unpack(layout, raw[:whole]):
        if tag == 0:
            break
        entries.append((tag, value))
    return entries


def _strings(segments: list[_Segment], entries: list[tuple[int, int]]) -> _Strings:
    tags = dict(entries)
    if _DT_STRTAB not in tags:
        return _Strings(0, 0)
    address, size = tags[_DT_STRTAB], tags.get(_DT_STRSZ, 0)
    for item in segments:
        if item.kind == _PT_LOAD and item.address <= address < item.address + item.size:
            return _Strings(item.offset + address - item.address, size)
    raise ElfError("its string table is in no segment")


def _name(stream: IO[bytes], strings: _Strings, offset: int) -> str:
    # Never more than the name itself: names may overlap, and a table be as large as the file.
    left = strings.size - offset
    if left <= 0:
        raise ElfError("a name lies outside the string table")
    raw = _read(stream, strings.offset + offset, min(left, _MAX_NAME_BYTES + 1))
    name, end, _ = raw.partition(b"\0")
    if not end:
        raise ElfError(f"a name in it has no end, or more than {_MAX_NAME_BYTES} bytes")
    return name.decode("utf-8", "replace")


def _read(stream: IO[bytes], offset: int, size: int) -> bytes:
    try:
        stream.seek(offset)
        raw = stream.read(size)
    except (OSError, OverflowError, ValueError) as error:
        raise ElfError(f"offset {offset} can't be read") from error
    if len(raw) != size:
        raise ElfError("it ends too early")
    return raw
