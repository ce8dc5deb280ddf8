"""Whether a library in a wheel is for a Raspberry Pi with a 32-bit system."""

from __future__ import annotations

import struct
from typing import IO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from master.wheels.refused import WheelRefusedError

MAGIC = b"\x7fELF"

_EABI_MASK, _EABI5 = 0xFF000000, 0x05000000  # ELF for the Arm Architecture, e_flags


def check(name: str, file: IO[bytes]) -> None:
    """Raises WheelRefusedError unless the ELF file is 32-bit little-endian ARM with EABI 5."""
    try:
        elf = ELFFile(file)
        machine, flags = elf["e_machine"], elf["e_flags"]
    except (ELFError, struct.error, ValueError, LookupError, AttributeError, TypeError) as error:
        # pyelftools takes offsets from the file, so a broken one fails in many ways.
        raise WheelRefusedError(f"{name} is a broken ELF file") from error
    if machine != "EM_ARM" or elf.elfclass != 32 or not elf.little_endian:
        raise WheelRefusedError(f"{name} is for {machine} with {elf.elfclass} bits, not 32-bit ARM")
    if flags & _EABI_MASK != _EABI5:
        raise WheelRefusedError(f"{name} is for ARM, but not for its EABI 5")
