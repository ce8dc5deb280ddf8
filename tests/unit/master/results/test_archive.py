"""A zip that isn't what it seems to be is refused, whatever it holds."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from master.results import archive
from master.results.refused import WheelRefusedError
from tests.support.wheels import Forge, examine, refused, verified


def make_link(info: zipfile.ZipInfo) -> None:
    if info.filename.endswith(".so"):
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


BAD_ZIP = {
    "an absolute path": (Forge(files={"/etc/passwd": b""}), "not a safe path"),
    "a path that leads out": (Forge(files={"demo/../../x": b""}), "not a safe path"),
    "a path on another drive": (Forge(files={"C:x": b""}), "not a safe path"),
    "a path with a backslash": (Forge(files={"..\\x": b""}), "not a safe path"),
    "a path with a line feed": (Forge(files={"a\nb": b""}), "not a safe path"),
    "a path with an empty part": (Forge(files={"a//b": b""}), "not a safe path"),
    "a file that is a folder, too": (Forge(files={"a": b"", "a/b": b""}), "a file and a folder"),
    "… with names between the two": (
        Forge(files={"d/a": b"", "d/a!": b"", "d/a.b/c": b"", "d/a/b/c": b""}),
        "a file and a folder",
    ),
    "a path that is too long": (Forge(files={"a/" * 600 + "b": b""}), "too long"),
    "a link": (Forge(entry=make_link), "is a link"),
    "bzip2": (Forge(method=zipfile.ZIP_BZIP2), "packed by method 12"),
    "LZMA": (Forge(method=zipfile.ZIP_LZMA), "method 14|not plain"),
    "a bomb": (Forge(files={"zeros": bytes(65 << 20)}), "would unpack to"),
}


@pytest.mark.parametrize(("forge", "why"), BAD_ZIP.values(), ids=BAD_ZIP.keys())
def test_a_zip_is_refused_that_has(tmp_path: Path, forge: Forge, why: str) -> None:
    with pytest.raises(WheelRefusedError, match=why):
        verified(tmp_path, forge.bytes(), forge.filename)


def test_a_zip_with_two_entries_of_one_name_is_refused(tmp_path: Path) -> None:
    forge = Forge(files={"demo/a": b"one", "demo/b": b"two"})
    data = forge.bytes().replace(b"demo/b", b"demo/a")
    assert "two entries with the same name" in refused(tmp_path, forge, data)


def test_a_central_directory_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    def swell(info: zipfile.ZipInfo) -> None:
        info.comment = bytes(0xFFFF)

    forge = Forge(files={f"demo/{number}": b"" for number in range(300)}, entry=swell)
    data = forge.bytes()
    tracemalloc.start()
    try:
        with pytest.raises(WheelRefusedError, match=r"directory has \d{8} bytes, and may have 16"):
            verified(tmp_path, data, forge.filename)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 << 20


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    forge = Forge()
    data = bytearray(forge.bytes())
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + at] |= 1
    assert "encrypted" in refused(tmp_path, forge, bytes(data))


@pytest.mark.parametrize("where", ["before", "behind", "comment"])
def test_bytes_around_the_zip_are_refused(tmp_path: Path, where: str) -> None:
    forge = Forge()
    data = forge.bytes()
    match where:
        case "before":
            data = b"#!/bin/sh\n" + data
        case "behind":
            data += b"\0"
        case "comment":
            data = data[:-2] + b"\1\0x"
    assert "zip" in refused(tmp_path, forge, data)


def test_a_second_end_in_the_zip64_format_is_refused(tmp_path: Path) -> None:
    """By it zipfile would read more into memory than the first one says."""

    def end_as_a_locator(info: zipfile.ZipInfo) -> None:
        info.comment = b"PK\6\7" + bytes(16)

    assert "zip64" in refused(tmp_path, Forge(entry=end_as_a_locator))


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 4)
    assert refused(tmp_path, Forge()) == "it has 5 entries, and may have 4"


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [(20, 1 << 30, "belongs to two entries"), (42, 1 << 31, "ends too early")],
    ids=["packed size", "offset"],
)
def test_an_entry_that_lies_outside_of_the_zip_is_refused(
    tmp_path: Path, at: int, value: int, why: str
) -> None:
    forge = Forge()
    data = bytearray(forge.bytes())
    struct.pack_into("<L", data, data.index(b"PK\1\2") + at, value)
    assert why in refused(tmp_path, forge, bytes(data))


def test_an_entry_that_has_another_name_in_its_local_header_is_refused(tmp_path: Path) -> None:
    forge = Forge(files={"demo/a.py": b"x = 1\n"})
    data = bytearray(forge.bytes())
    data[30] ^= 1  # of the first local header
    assert "File name in directory" in refused(tmp_path, forge, bytes(data))


def test_damaged_contents_are_refused(tmp_path: Path) -> None:
    forge = Forge(files={"demo/a.py": b"x = 1\n"}, method=zipfile.ZIP_STORED)
    data = forge.bytes().replace(b"x = 1\n", b"x = 2\n")
    assert "CRC" in refused(tmp_path, forge, data)


@pytest.mark.parametrize("crc_fits", [False, True])
def test_contents_that_are_longer_than_announced_are_refused(
    tmp_path: Path, *, crc_fits: bool
) -> None:
    forge = Forge(
        files={"demo/a.py": b"x = 1\n" * 100}, record=lambda text: text.replace(",600", ",10")
    )
    data = bytearray(forge.bytes())
    central = data.index(b"PK\1\2")
    struct.pack_into("<L", data, central + 24, 10)
    if crc_fits:
        struct.pack_into("<L", data, central + 16, zlib.crc32((b"x = 1\n" * 2)[:10]))
    why = "'demo/a.py' has another hash" if crc_fits else "Bad CRC-32"
    assert why in refused(tmp_path, forge, bytes(data))


def test_anything_cut_off_or_flipped_is_refused_or_the_same(tmp_path: Path) -> None:
    forge = Forge(files={"demo/a.py": b"x = 1\n"})
    data = forge.bytes()
    whole = examine(tmp_path, data, forge.filename)[1]
    for length in range(0, len(data), 7):
        refused(tmp_path, forge, data[:length])
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x20
        try:
            packed = examine(tmp_path, bytes(changed), forge.filename)[1]
        except WheelRefusedError:
            continue
        assert packed == whole
