"""Whether an ELF file in a wheel is for a Raspberry Pi, with a 32-bit system or a 64-bit one."""

from __future__ import annotations

import io
import struct

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"
HEADER_BYTES = 64
"""Of the larger one, Elf64_Ehdr (System V gABI, chapter 4)."""

_EABI_MASK, _EABI5 = 0xFF000000, 0x05000000  # ELF for the Arm Architecture, e_flags


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
