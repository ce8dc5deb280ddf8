"""A Pi's own compiler is held to what the master asks of wheels."""

from __future__ import annotations

import io

import pytest
from elftools.elf.enums import ENUM_ATTR_TAG_ARM

from builder.libraries import elf
from master.results import elf as masters
from tests.support.wheels import elf as forged
from tests.support.wheels import linked


def test_master_and_pi_ask_the_same_of_armv6_code() -> None:
    asked = {tag: allowed for tag, (_, allowed) in elf._ARMV6.items()}
    assert asked == {ENUM_ATTR_TAG_ARM[tag]: allowed for tag, allowed in masters._ARMV6.items()}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("v6", None),
        ("v6kz", None),
        ("stripped", None),
        ("v7", "Tag_CPU_arch is 10"),
        ("thumb2", "Tag_CPU_arch is 8"),
        ("neon", "Tag_Advanced_SIMD_arch is 1"),
        ("vfpv3", "Tag_FP_arch is 4"),
        ("softfp", "it isn't linked for hard floats"),
    ],
)
def test_code_that_not_every_pi_runs_is_told(name: str, says: str | None) -> None:
    assert elf.not_armv6(io.BytesIO(linked(name))) == says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (linked("none"), "it has no .ARM.attributes"),
        (linked("v6").replace(b"aeabi", b"other"), "begin with others than the file's"),
        (linked("v6")[:1000], "it ends too early"),
        (forged(machine=183), "it isn't for a 32-bit ARM"),
        (b"", "it ends too early"),
    ],
)
def test_an_object_that_doesnt_say_what_it_is_for_can_not_be_read(data: bytes, says: str) -> None:
    with pytest.raises(elf.ElfError, match=says):
        elf.not_armv6(io.BytesIO(data))
