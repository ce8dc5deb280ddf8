"""Whether an ELF file in a wheel is for a Raspberry Pi, and for which ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

from elftools.common.exceptions import ELFError
from elftools.elf.descriptions import describe_attr_tag_arm
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSubsection

MAGIC = b"\x7fELF"
HEADER_BYTES = 64
"""Of the larger one, Elf64_Ehdr (System V gABI, chapter 4)."""

MAX_SECTIONS = 200
MAX_ATTRIBUTES_BYTES = 4096
"""Of both, linkers write a tenth."""

_EABI_MASK, _EABI5, _HARD_FLOAT = 0xFF000000, 0x05000000, 0x400  # ELF for the Arm Architecture
_ARMV6 = {
    "TAG_CPU_ARCH": {1, 2, 3, 4, 5, 6, 7, 9},  # up to v6, v6KZ and v6K; 8 is v6T2
    "TAG_THUMB_ISA_USE": {0, 1},
    "TAG_ADVANCED_SIMD_ARCH": {0},
    "TAG_FP_ARCH": {0, 1, 2},  # up to VFPv2
    "TAG_ABI_VFP_ARGS": {1},  # in VFP registers
}
"""What the attributes of such code may be, where those that are missing are 0.

Addenda to, and Errata in, the ABI for the Arm Architecture, chapter 3.
"""


def trouble(head: bytes, *, is_64bit: bool = False) -> str | None:
    """Return why it isn't for little-endian ARM of these bits, to follow the file's name, or None.

    That of 32 bits must be for EABI 5, which the other is by itself.
    head is the first HEADER_BYTES of the file, or all of a shorter one: a small master may have no
    room for a whole library.
    """
    try:
        elf = ELFFile(io.BytesIO(head))
        machine, flags = elf["e_machine"], elf["e_flags"]
    except (ELFError, struct.error, ValueError, LookupError, AttributeError, TypeError):
        # pyelftools believes what it reads, so a broken header fails in many ways.
        return "is a broken ELF file"
    bits, wanted = (64, "EM_AARCH64") if is_64bit else (32, "EM_ARM")
    if machine != wanted or elf.elfclass != bits or not elf.little_endian:
        return f"is for {machine} with {elf.elfclass} bits, not {bits}-bit ARM"
    if not is_64bit and flags & _EABI_MASK != _EABI5:
        return "is for ARM, but not for its EABI 5"
    return None


def armv6_trouble(part: Callable[[int, int], bytes]) -> str | None:
    """Return why it isn't proven ARMv6 code with VFPv2 and hard floats, as trouble does, or None.

    part returns so many of its bytes from an offset on, or fewer at its end.
    """
    head = part(0, HEADER_BYTES)
    found = trouble(head)
    if found:
        return found
    try:
        elf = ELFFile(io.BytesIO(head))
        if not elf["e_flags"] & _HARD_FLOAT:
            return "isn't linked for hard floats"
        raw = _arm_attributes(elf, part)
        if raw is None:
            return "has no .ARM.attributes"
        said = _of_file(elf, raw)
        for tag, allowed in _ARMV6.items():
            if said.get(tag, 0) not in allowed:
                return f"has {describe_attr_tag_arm(tag, said.get(tag, 0), None)}"
        return None
    except Exception:  # noqa: BLE001 - in whichever way pyelftools fails, nothing is proven
        return "has .ARM.attributes that can't be read"


def _arm_attributes(elf: ELFFile, part: Callable[[int, int], bytes]) -> bytes | None:
    """Return its section of that type, by which alone it is found, as its name may be anything."""
    layout, count = elf.structs.Elf_Shdr, min(elf["e_shnum"], MAX_SECTIONS)
    table = io.BytesIO(part(elf["e_shoff"], count * layout.sizeof()))
    for _ in range(count):
        section = layout.parse_stream(table)
        if section.sh_type == "SHT_ARM_ATTRIBUTES":
            return part(section.sh_offset, min(section.sh_size, MAX_ATTRIBUTES_BYTES))
    return None


def _of_file(elf: ELFFile, raw: bytes) -> dict[str, object]:
    """Return the attributes of the whole file, which must be all that there are.

    Of more than these, pyelftools may read the same ones for ever.
    """
    vendor = ARMAttributesSubsection(io.BytesIO(raw), elf.structs, 1)
    scope = next(vendor.iter_subsubsections())
    end = scope.offset + scope.header.value
    if (raw[:1], vendor["vendor_name"], scope.header.tag, end) != (
        *(b"A", "aeabi", "TAG_FILE", len(raw)),
    ):
        raise ELFError("it has attributes of other kinds")
    return {attribute.tag: attribute.value for attribute in scope.iter_attributes()}
