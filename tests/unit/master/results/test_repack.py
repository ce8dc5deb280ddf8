"""What is published is the master's own zip: it holds what RECORD has, and nothing else."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from master.results import verify
from master.results.repack import repack
from tests.support.wheels import Forge, digest, elf, examine, expected, unpacked

COMMA = "demo/a, b.py"


def quoted(record: str) -> str:
    return record.replace(COMMA, f'"{COMMA}"')


def published(tmp_path: Path, forge: Forge, data: bytes | None = None) -> bytes:
    _, packed = examine(tmp_path, forge.bytes() if data is None else data, forge.filename)
    return packed.path.read_bytes()


def test_a_wheel_keeps_its_contents(tmp_path: Path) -> None:
    files = {COMMA: b"x = 1\n", "demo/_c.py": b"x = 2\n" * 100_000}
    forge = Forge(files=files, record=quoted)
    wheel, packed = examine(tmp_path, forge.bytes(), forge.filename)
    assert packed.path == tmp_path / wheel.filename
    data = packed.path.read_bytes()
    assert (packed.size_bytes, packed.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    found = unpacked(packed.path)
    rows = list(csv.reader(found.pop("demo-1.0.dist-info/RECORD").decode().splitlines()))
    sent = forge.contents()
    del sent["demo-1.0.dist-info/RECORD"]
    assert found == sent
    assert rows == [
        *([name, digest(contents), str(len(contents))] for name, contents in found.items()),
        ["demo-1.0.dist-info/RECORD", "", ""],
    ]


def test_pip_installs_what_is_published(tmp_path: Path) -> None:
    def make_executable(info: zipfile.ZipInfo) -> None:
        if info.filename.endswith("/run"):
            info.external_attr = (stat.S_IFREG | 0o4711) << 16

    files = {
        COMMA: b"x = 1\n",
        "demo/run": b"#!/bin/sh\n",
        "demo-1.0.data/scripts/go": b"#!/bin/sh\n",
    }
    forge = Forge(tag="py3-none-any", files=files, entry=make_executable, record=quoted)
    _, packed = examine(tmp_path, forge.bytes(), forge.filename)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", tmp_path / "site", packed.path], check=True)
    assert (tmp_path / "site" / COMMA).read_bytes() == b"x = 1\n"
    assert (tmp_path / "site" / "bin/go").read_bytes() == b"#!/bin/sh\n"
    assert os.access(tmp_path / "site" / "demo/run", os.X_OK)
    assert (tmp_path / "site" / "demo/run").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("platform", ["linux_armv8l", "linux_aarch64"])
@pytest.mark.parametrize("python", ["cp311-cp311", "cp39-abi3", "py2.py3-none"])
@pytest.mark.parametrize(
    "files",
    [{"demo/_c.so": elf(), "demo/uno.elf": elf(machine=83, flags=0)}, {"demo/run": b"#!/bin/sh\n"}],
    ids=["code", "no code"],
)
def test_what_has_the_platform_of_a_64_bit_kernel_is_published_for_32_bit_pis(
    tmp_path: Path, python: str, platform: str, files: dict[str, bytes]
) -> None:
    forge = Forge(tag=f"{python}-{platform}", files=files)
    wheel, packed = examine(tmp_path, forge.bytes(), forge.filename)
    right = Forge(tag=f"{python}-linux_armv7l", files=files)
    assert packed.path.name == right.filename
    assert wheel.tags == parse_wheel_filename(right.filename)[3]
    # WHEEL and RECORD too.
    assert packed.path.read_bytes() == published(tmp_path, right)


def date(info: zipfile.ZipInfo) -> None:
    info.date_time = (2020, 2, 2, 2, 2, 2)


def open_to_all(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFREG | 0o4666) << 16


def no_mode(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0


def comment(info: zipfile.ZipInfo) -> None:
    info.comment = b"x"


def zip64(info: zipfile.ZipInfo) -> None:
    info.extra = struct.pack("<2HQ", 1, 8, 0)


def backwards(text: str) -> str:
    return "".join(reversed(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    "otherwise",
    [
        Forge(method=zipfile.ZIP_STORED),
        Forge(entry=date),
        Forge(entry=open_to_all),
        Forge(entry=comment),
        Forge(entry=zip64),
        Forge(record=backwards),
        Forge(record=lambda text: text.replace("\n", "\r\n")),
        Forge(files=dict(reversed(Forge().files.items()))),
        Forge(extra={"demo/": b"", "empty/": b""}, entry=no_mode),
    ],
    ids=[
        "stored",
        "a time",
        "modes",
        "comments",
        "zip64 fields",
        "RECORD",
        "its lines",
        "order",
        "folders",
    ],
)
def test_equal_contents_give_equal_bytes(tmp_path: Path, otherwise: Forge) -> None:
    assert published(tmp_path, otherwise) == published(tmp_path, Forge())


@pytest.mark.parametrize(
    ("field", "at"), [("method", 8), ("crc", 14), ("packed size", 18), ("size", 22)]
)
def test_a_second_description_of_an_entry_is_not_published(
    tmp_path: Path, field: str, at: int
) -> None:
    data = bytearray(Forge().bytes())
    data[at] ^= 1  # of the first local header
    assert published(tmp_path, Forge(), bytes(data)) == published(tmp_path, Forge()), field


def test_bytes_between_the_entries_are_not_published(tmp_path: Path) -> None:
    data = Forge().bytes()
    end = data.rindex(b"PK\5\6")
    (directory,) = struct.unpack_from("<L", data, end + 16)
    moved = struct.pack("<L", directory + 4)
    data = data[:directory] + b"gap!" + data[directory : end + 16] + moved + data[end + 20 :]
    assert published(tmp_path, Forge(), data) == published(tmp_path, Forge())


def test_contents_past_the_announced_end_are_not_published(tmp_path: Path) -> None:
    said, more = b"x = 1\n", b"x = 1\nevil"
    honest = Forge(files={"demo/a.py": said})
    forge = Forge(
        files={"demo/a.py": more},
        record=lambda text: text.replace(f"{digest(more)},10", f"{digest(said)},6"),
        method=zipfile.ZIP_STORED,
    )
    data = bytearray(forge.bytes())
    struct.pack_into("<3L", data, data.index(b"PK\1\2") + 16, zlib.crc32(said), 6, 6)
    assert b"evil" in data
    assert published(tmp_path, forge, bytes(data)) == published(tmp_path, honest)


def test_it_is_sorted_and_dated_alike_with_dist_info_last(tmp_path: Path) -> None:
    forge = Forge(files={"z.py": b"", "demo/b.py": b"", "demo/a.py": b"", "demo/_.so": elf()})
    _, packed = examine(tmp_path, forge.bytes(), forge.filename)
    with zipfile.ZipFile(packed.path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == [
        *("demo/_.so", "demo/a.py", "demo/b.py", "z.py"),
        *(f"demo-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")),
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}


@pytest.mark.parametrize(
    ("filename", "said"),
    [
        ("demo-1.0-3-cp36-abi3-linux_armv7l.whl", ["Tag: cp36-abi3-linux_armv7l", "Build: 3"]),
        ("demo-1.0-cp311-abi3-linux_armv7l.whl", ["Tag: cp311-abi3-linux_armv7l"]),
        (
            "demo-1.0-2x-cp311-abi3-linux_armv6l.linux_armv7l.whl",
            ["Tag: cp311-abi3-linux_armv6l", "Tag: cp311-abi3-linux_armv7l", "Build: 2x"],
        ),
    ],
)
def test_what_wheel_says_follows_the_name(tmp_path: Path, filename: str, said: list[str]) -> None:
    forge = Forge(tag="cp36-abi3-linux_armv7l", build="7")
    path = tmp_path / "sent.whl"
    path.write_bytes(forge.bytes())
    with verify.opened(path, expected(forge.bytes(), forge.filename)) as wheel:
        packed = repack(replace(wheel, filename=filename), tmp_path)
    assert packed.path.name == filename
    found = unpacked(packed.path)
    text = found["demo-1.0.dist-info/WHEEL"]
    assert text.decode().splitlines() == [
        *("Wheel-Version: 1.0", "Generator: forge", "Root-Is-Purelib: false", *said)
    ]
    row = f"demo-1.0.dist-info/WHEEL,{digest(text)},{len(text)}\n"
    assert row in found["demo-1.0.dist-info/RECORD"].decode()


@pytest.mark.parametrize("said", ["true", "TRUE", "false", "", "yes\nX: y"])
def test_wheel_is_written_of_its_known_fields_alone(tmp_path: Path, said: str) -> None:
    text = f"Wheel-Version: 1.9\nGenerator: a\x1b[31m\nRoot-Is-Purelib: {said}\nTag: py3-none-any\n"
    forge = Forge(tag="py3-none-any", files={}, wheel_file=text)
    _, packed = examine(tmp_path, forge.bytes(), forge.filename)
    pure = str(said.lower() == "true").lower()
    assert unpacked(packed.path)["demo-1.0.dist-info/WHEEL"].decode() == (
        f"Wheel-Version: 1.0\nGenerator: a [31m\nRoot-Is-Purelib: {pure}\nTag: py3-none-any\n"
    )


def test_a_file_of_any_size_is_copied_in_little_memory(tmp_path: Path) -> None:
    """A master may have 1 GiB of it, and a round half of that."""
    forge = Forge(
        files={"demo/_c.so": elf() + bytes(32 << 20) + random.Random(1).randbytes(8 << 20)}
    )
    path = tmp_path / "sent.whl"
    path.write_bytes(forge.bytes())
    expects = expected(forge.bytes(), forge.filename)
    tracemalloc.start()
    try:
        with verify.opened(path, expects) as wheel:
            repack(wheel, tmp_path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 << 20
