"""A wheel says that it serves ARMv6 where all of its code is proven to, and nowhere else."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from master.results import elf
from master.results.verify import Expected
from tests.support.wheels import BOOKWORM, Forge, digest, examine, linked, unpacked, verified
from tests.support.wheels import elf as forged

BOTH = "demo-1.0-cp311-cp311-linux_armv6l.linux_armv7l.whl"
ARMV7 = "demo-1.0-cp311-cp311-linux_armv7l.whl"
V6 = linked("v6")
ATTRIBUTES = V6[V6.index(b"A.\0\0\0aeabi\0") :][: 1 + ord(".")]


def raspbian(expected: Expected) -> Expected:
    """Return the same job, for a release whose compiler makes ARMv6 code."""
    return replace(expected, target=replace(BOOKWORM, armv6=True))


def trouble(data: bytes) -> str | None:
    return elf.armv6_trouble(lambda offset, size: data[offset : offset + size])


@pytest.mark.parametrize("name", ["v6", "v6kz", "stripped"])
def test_code_for_armv6_is_proven(name: str) -> None:
    assert trouble(linked(name)) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("v7", "has Tag_CPU_arch: v7"),
        ("thumb2", "has Tag_CPU_arch: v6T2"),
        ("neon", "has Tag_Advanced_SIMD_arch: NEONv1"),
        ("vfpv3", "has Tag_FP_arch: VFPv3-D16"),
        ("softfp", "isn't linked for hard floats"),
        ("none", "has no .ARM.attributes"),
    ],
)
def test_code_that_a_first_pi_may_not_run_is_told(name: str, says: str) -> None:
    assert trouble(linked(name)) == says


def changed(old: bytes, new: bytes) -> bytes:
    """Return the object with other attributes of the same length."""
    assert ATTRIBUTES.count(old) == 1
    return V6.replace(ATTRIBUTES, ATTRIBUTES.replace(old, new))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (V6[:20], "is a broken ELF file"),
        (forged(bits=64, machine=183, flags=0), "is for EM_AARCH64 with 64 bits, not 32-bit ARM"),
        (forged(), "has no .ARM.attributes"),
        (V6.replace(b"aeabi", b"other"), "has .ARM.attributes that can't be read"),
        (changed(b"A", b"B"), "has .ARM.attributes that can't be read"),
        # Whatever follows it would be believed, or read for ever.
        (changed(b"aeabi\0\1", b"aeabi\0\2"), "has .ARM.attributes that can't be read"),
        (
            changed(b"aeabi\0\1$", b"aeabi\0\1\5"),
            "has .ARM.attributes that can't be read",
        ),
        (V6[: V6.index(ATTRIBUTES) + 20], "has .ARM.attributes that can't be read"),
        # Tag_CPU_arch, Tag_THUMB_ISA_use and Tag_ABI_VFP_args, with values that there aren't yet.
        (changed(b"\6\6\x08\1", b"\6\x7f\x08\1"), "has .ARM.attributes that can't be read"),
        (changed(b"\x09\1", b"\x09\2"), "has Tag_THUMB_ISA_use: Thumb-2"),
        (changed(b"\x1c\1", b"\x1c\0"), "has Tag_ABI_VFP_args: AAPCS"),
        (changed(b"\6\6\x08\1", b"\x08\1\x08\1"), "has Tag_CPU_arch: Pre-v4"),
    ],
    ids=[
        *("cut off", "arm64", "no sections", "another vendor's", "another version"),
        *("of a section", "more of them", "a file that ends", "a new architecture"),
        *("Thumb-2 on ARMv6", "soft floats", "none said"),
    ],
)
def test_what_is_missing_or_not_as_agreed_is_no_proof(data: bytes, says: str) -> None:
    assert trouble(data) == says


def test_no_bytes_make_a_reader_fail_or_go_on_for_ever() -> None:
    chance = random.Random(1)
    start = V6.index(ATTRIBUTES)
    for _ in range(500):
        data = bytearray(V6)
        for _ in range(chance.randint(1, 4)):
            data[start + chance.randrange(len(ATTRIBUTES))] = chance.randrange(256)
        trouble(bytes(data))


def test_as_many_sections_as_there_can_be_are_not_all_read() -> None:
    read = []

    def part(offset: int, size: int) -> bytes:
        read.append(size)
        return V6[offset : offset + size].ljust(size, b"\0")

    data = bytearray(V6[:52])
    struct.pack_into("<H", data, 48, 0xFFFF)
    assert (
        elf.armv6_trouble(lambda o, n: bytes(data) if not o else part(len(V6), n))
        == "has no .ARM.attributes"
    )
    assert sum(read) <= elf.MAX_SECTIONS * 40


@pytest.mark.parametrize(
    ("forge", "filename", "says"),
    [
        (Forge(files={"demo/_c.so": V6}), BOTH, None),
        (Forge(files={"demo/_c.so": V6, "demo/b.so": linked("stripped")}), BOTH, None),
        (Forge(tag="cp311-cp311-linux_armv6l", files={"demo/_c.so": V6}), BOTH, None),
        (Forge(tag="cp311-cp311-linux_armv8l", files={"demo/_c.so": V6}), BOTH, None),
        (Forge(files={"demo.py": b""}), BOTH, None),
        (
            Forge(files={"demo/_c.so": V6, "demo/d.so": linked("v7")}),
            *(ARMV7, "demo/d.so has Tag_CPU_arch: v7"),
        ),
        (
            Forge(files={"demo/_c.so": V6, "demo/tool": linked("neon")}),
            *(ARMV7, "demo/tool has Tag_Advanced_SIMD_arch: NEONv1"),
        ),
        (
            Forge(tag="cp311-cp311-linux_armv6l", files={"demo/_c.so": linked("none")}),
            *(ARMV7, "demo/_c.so has no .ARM.attributes"),
        ),
        (
            Forge(tag="py3-none-any", files={"tool": linked("v7")}),
            "demo-1.0-py3-none-any.whl",
            None,
        ),
    ],
    ids=[
        *("ARMv6", "two of them", "said by its author", "on a 64-bit kernel", "no code", "mixed"),
        *("a program", "said, and not proven", "for any"),
    ],
)
def test_the_platform_tag_is_what_is_proven_of_every_file(
    tmp_path: Path, forge: Forge, filename: str, says: str | None
) -> None:
    wheel = verified(tmp_path, forge.bytes(), forge.filename, raspbian)
    assert (wheel.filename, wheel.not_armv6) == (filename, says)


def test_a_release_that_promises_no_armv6_code_is_not_looked_at(tmp_path: Path) -> None:
    for name in ("v6", "v7"):
        forge = Forge(files={"demo/_c.so": linked(name)})
        wheel = verified(tmp_path, forge.bytes(), forge.filename)
        assert (wheel.filename, wheel.not_armv6) == (ARMV7, None)


def test_a_wheel_for_armv6_says_so_inside_too(tmp_path: Path) -> None:
    forge = Forge(files={"demo/_c.so": V6})
    _, packed = examine(tmp_path, forge.bytes(), forge.filename, raspbian)
    assert packed.path.name == BOTH
    found = unpacked(packed.path)
    text = found["demo-1.0.dist-info/WHEEL"]
    assert [line for line in text.decode().splitlines() if line.startswith("Tag: ")] == [
        *("Tag: cp311-cp311-linux_armv6l", "Tag: cp311-cp311-linux_armv7l")
    ]
    row = f"demo-1.0.dist-info/WHEEL,{digest(text)},{len(text)}\n"
    assert row in found["demo-1.0.dist-info/RECORD"].decode()


@pytest.mark.parametrize(
    ("code", "taken_by"), [("v6", ["linux_armv6l", "linux_armv7l"]), ("v7", ["linux_armv7l"])]
)
def test_pip_takes_it_on_each_pi_that_runs_it(
    tmp_path: Path, code: str, taken_by: list[str]
) -> None:
    forge = Forge(files={"demo/_c.so": linked(code)})
    examine(tmp_path, forge.bytes(), forge.filename, raspbian)
    (tmp_path / "sent.whl").unlink()
    command = [*(sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check")]
    command += [*("install", "--dry-run", "--no-index", "--find-links", str(tmp_path), "--no-deps")]
    command += [*("--target", str(tmp_path / "into"), "--only-binary", ":all:", "demo")]
    command += [*("--python-version", "3.11", "--platform")]
    platforms = ("linux_armv6l", "linux_armv7l", "linux_aarch64")
    done = [subprocess.run([*command, one], check=False, capture_output=True) for one in platforms]
    assert [p for p, d in zip(platforms, done, strict=True) if d.returncode == 0] == taken_by


def padded(megabytes: int) -> bytes:
    """Return the object with so much between its code and what its end says of it."""
    at = V6.index(ATTRIBUTES)
    gap = random.Random(1).randbytes(1 << 20) * megabytes
    data = bytearray(V6[:at] + gap + V6[at:])
    (table,) = struct.unpack_from("<L", data, 32)
    struct.pack_into("<L", data, 32, table + len(gap))
    (count,) = struct.unpack_from("<H", data, 48)
    for number in range(count):
        field = table + len(gap) + 40 * number + 16
        (offset,) = struct.unpack_from("<L", data, field)
        if offset >= at:
            struct.pack_into("<L", data, field, offset + len(gap))
    return bytes(data)


def test_a_library_of_any_size_is_looked_at_in_little_memory(tmp_path: Path) -> None:
    """A master may have 1 GiB of it, and a round half of that."""
    forge = Forge(files={"demo/_c.so": padded(20)})
    data = forge.bytes()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert verified(tmp_path, data, forge.filename, raspbian).not_armv6 is None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes - before < 8 << 20
