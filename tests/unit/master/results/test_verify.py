"""Wheels that lie are refused, each for the reason for which it lies."""

from __future__ import annotations

import os
import resource
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from master.results import archive
from master.results.refused import WheelRefusedError
from master.results.verify import MAX_RECORD_BYTES, Expected, Wheel, opened
from tests.support.wheels import Forge, digest, elf, examine, expected


def verified(
    tmp_path: Path, data: bytes, filename: str, change: Callable[[Expected], Expected] = lambda e: e
) -> Wheel:
    return examine(tmp_path, data, filename, change)[0]


def refused(tmp_path: Path, forge: Forge, data: bytes | None = None) -> str:
    with pytest.raises(WheelRefusedError) as caught:
        verified(tmp_path, forge.bytes() if data is None else data, forge.filename)
    return str(caught.value)


def test_an_honest_wheel_is_found_out_about(tmp_path: Path) -> None:
    forge = Forge()
    wheel = verified(tmp_path, forge.bytes(), forge.filename)
    assert wheel.filename == "demo-1.0-cp311-cp311-linux_armv7l.whl"
    assert wheel.metadata == forge.contents()["demo-1.0.dist-info/METADATA"]
    assert wheel.requires_python == ">=3.9"
    assert wheel.dependencies == ("some-thing",)
    assert wheel.libraries == ("demo/_c.so",)
    assert not wheel.serves_every_platform


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-linux_armv7l",
        "cp311-cp311-linux_armv6l",
        "cp311-cp311-linux_armv6l.linux_armv7l",
        "cp39-abi3-linux_armv7l",
        "cp39.cp313-abi3-linux_armv7l",
        "cp311-none-any",
        "py3-none-linux_armv7l",
        "py3-none-any",
        "py2.py3-none-any",
        "py2.py3-none-linux_armv7l",
        "cp27.cp39.cp311-none-linux_armv6l.linux_armv7l",
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_tags_that_the_target_can_install_are_taken(tmp_path: Path, tag: str, method: int) -> None:
    forge = Forge(tag=tag, files={"demo.py": b"x = 1\n" * 1000}, method=method)
    wheel = verified(tmp_path, forge.bytes(), forge.filename)
    assert wheel.filename == f"demo-1.0-{tag}.whl"
    assert wheel.serves_every_platform == tag.endswith("-any")


def test_a_wheel_for_any_platform_that_holds_a_library_serves_its_own_only(tmp_path: Path) -> None:
    forge = Forge(tag="py3-none-any")
    assert not verified(tmp_path, forge.bytes(), forge.filename).serves_every_platform


def test_its_name_is_computed_from_the_job(tmp_path: Path) -> None:
    forge = Forge(project="De.Mo", version="1.0.0", info="De.Mo-1.0.0.dist-info")
    wheel = verified(tmp_path, forge.bytes(), forge.filename, lambda e: replace(e, project="de-mo"))
    assert wheel.filename == "de_mo-1.0-cp311-cp311-linux_armv7l.whl"


def test_folders_streamed_entries_and_better_hashes_are_taken(tmp_path: Path) -> None:
    class Pipe:
        """Can't seek, so that zipfile writes data descriptors."""

        def __init__(self, path: Path) -> None:
            self.file = path.open("wb")

        def write(self, data: bytes) -> int:
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    forge = Forge(record=lambda text: text.replace(digest(elf()), digest(elf(), "sha512")))
    path = tmp_path / "streamed.zip"
    pipe = Pipe(path)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        folder = zipfile.ZipInfo("demo/")
        folder.external_attr = (stat.S_IFDIR | 0o755) << 16
        archive.writestr(folder, b"")
        for name, data in forge.contents().items():
            archive.writestr(name, data)
    pipe.file.close()
    assert verified(tmp_path, path.read_bytes(), forge.filename).libraries == ("demo/_c.so",)


# What its name, its tags and its own files say

FOREIGN = elf(bits=64, machine=183, flags=0)

NOT_ITSELF = {
    "of another project": (Forge(project="other"), "the job is demo 1.0"),
    "of another version": (Forge(version="2.0"), "the job is demo 1.0"),
    "with a local version": (Forge(version="1.0+x"), "the job is demo 1.0"),
    "for another Python": (Forge(tag="cp313-cp313-linux_armv7l"), "can't install its tags"),
    "for another ABI": (Forge(tag="cp311-cp311d-linux_armv7l"), "can't install its tags"),
    "for another machine": (Forge(tag="cp311-cp311-linux_aarch64"), "can't install its tags"),
    "as manylinux, which nobody has seen to": (
        Forge(tag="cp311-cp311-manylinux_2_36_armv7l"),
        "can't install its tags",
    ),
    "for other machines as well": (
        Forge(tag="cp311-cp311-linux_armv7l.linux_x86_64"),
        "also says that it serves cp311-cp311-linux_x86_64",
    ),
    "for other Pythons as well": (
        Forge(tag="cp311.cp312-cp311-linux_armv7l"),
        "also says that it serves cp312-cp311-linux_armv7l",
    ),
    "for other Pythons of other machines as well": (
        Forge(tag="py2.py3-none-linux_armv7l.linux_aarch64"),
        "also says that it serves py2-none-linux_aarch64, py3-none-linux_aarch64",
    ),
    "for the stable ABI of another platform as well": (
        Forge(tag="cp39-abi3-linux_armv7l.linux_aarch64"),
        "also says that it serves cp39-abi3-linux_aarch64",
    ),
    "for the stable ABI of any platform as well": (
        Forge(tag="cp39-abi3-linux_armv7l.any"),
        "also says that it serves cp39-abi3-any",
    ),
    "for what is no Python as well": (
        Forge(tag="py3.demo-none-linux_armv7l"),
        "also says that it serves demo-none-linux_armv7l",
    ),
    "with a METADATA of another project": (
        Forge(metadata="Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"),
        "METADATA is of 'other' '1.0'",
    ),
    "with a METADATA of another version": (
        Forge(metadata="Metadata-Version: 2.1\nName: demo\nVersion: 1.1\n"),
        "METADATA is of 'demo' '1.1'",
    ),
    "with two names in METADATA": (
        Forge(metadata="Metadata-Version: 2.1\nName: demo\nName: other\nVersion: 1.0\n"),
        "METADATA has name twice",
    ),
    "with a METADATA that is too long": (
        Forge(metadata="Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\n" + "x" * (4 << 20)),
        "METADATA has 4194351 bytes",
    ),
    "with a METADATA of too many headers": (
        Forge(
            metadata="Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
            + "Classifier: x\n" * 50_000
        ),
        "METADATA has more than 50000 lines of headers",
    ),
    "with a METADATA whose Requires-Python is no text": (
        Forge(
            extra={
                "demo-1.0.dist-info/METADATA": b"Name: demo\nVersion: 1.0\nRequires-Python: \xff\n"
            }
        ),
        "METADATA has requires-python twice or in no readable way",
    ),
    "with other tags in WHEEL": (
        Forge(wheel_file="Wheel-Version: 1.0\nTag: py3-none-any\n"),
        "WHEEL has the tags py3-none-any",
    ),
    "with another build tag in WHEEL": (
        Forge(wheel_file="Wheel-Version: 1.0\nTag: cp311-cp311-linux_armv7l\nBuild: 7\n"),
        "differ in the build tag",
    ),
    "of a format to come": (
        Forge(wheel_file="Wheel-Version: 2.0\nTag: cp311-cp311-linux_armv7l\n"),
        "isn't of the format 1",
    ),
    "with a .dist-info of another project": (
        Forge(info="other-1.0.dist-info"),
        "'other-1.0.dist-info' is of another project",
    ),
    "with two .dist-info folders": (
        Forge(extra={"other-1.0.dist-info/METADATA": b""}),
        "has 2 .dist-info folders",
    ),
    "with a .data folder of another project": (
        Forge(files={"other-1.0.data/scripts/sh": b""}),
        ".data folder of another",
    ),
    "with a file that RECORD lacks": (Forge(extra={"more.py": b""}), "'more.py' isn't in"),
    "with a line in RECORD for no file": (
        Forge(record=lambda text: text + f"gone.py,{digest(b'')},0\n"),
        "has 'gone.py', which isn't there",
    ),
    "with two lines in RECORD for one file": (
        Forge(record=lambda text: text + text),
        "wrong or double line",
    ),
    "with a wrong hash in RECORD": (
        Forge(record=lambda text: text.replace(digest(b""), digest(b"other"))),
        "'demo/__init__.py' has another hash",
    ),
    "with a wrong hash of WHEEL in RECORD": (
        Forge(record=lambda text: text.replace("/WHEEL,sha256=", "/WHEEL,sha256=x")),
        "'demo-1.0.dist-info/WHEEL' has another hash",
    ),
    "with a wrong size in RECORD": (
        Forge(record=lambda text: text.replace(f"{digest(b'')},0", f"{digest(b'')},1")),
        "has another size",
    ),
    "with a weak hash in RECORD": (
        Forge(record=lambda text: text.replace(digest(b""), digest(b"", "md5"))),
        "has no sha256",
    ),
    "with no hash in RECORD": (
        Forge(record=lambda text: text.replace(digest(b""), "")),
        "has no sha256",
    ),
    "with a line in RECORD that is too long": (
        Forge(record=lambda text: text.replace(digest(b""), digest(b"") + "=" * 5000)),
        "RECORD has a line that is too long",
    ),
    "with a RECORD that is no text": (Forge(record=lambda text: text + '"\n'), "no CSV"),
    "with a library for a PC": (
        Forge(files={"demo/_c.so": elf(bits=64, machine=62, flags=0)}),
        "'demo/_c.so' is for EM_X86_64 with 64 bits",
    ),
    "with a library for a 64-bit Pi": (
        Forge(files={"demo/_c.so": elf(bits=64, machine=183, flags=0)}),
        "is for EM_AARCH64",
    ),
    "with a library for big-endian ARM": (
        Forge(files={"demo/_c.so": elf(little=False)}),
        "not 32-bit ARM",
    ),
    "with a library for the ARM of old": (
        Forge(files={"demo/_c.so": elf(flags=0)}),
        "not for its EABI 5",
    ),
    "with a library that is broken": (
        Forge(files={"demo/_c.so": elf()[:20]}),
        "'demo/_c.so' is a broken ELF file",
    ),
    "with a foreign module, and says that it serves all": (
        Forge(tag="py3-none-any", files={"demo/_c.so": FOREIGN}),
        "is for EM_AARCH64",
    ),
    "with a foreign module of a package without __init__": (
        Forge(files={"space/name/_c.abi3.so": FOREIGN}),
        "is for EM_AARCH64",
    ),
    "with a foreign module that is called like a library": (
        Forge(files={"libdemo.cpython-311-arm-linux-gnueabihf.so": FOREIGN}),
        "is for EM_AARCH64",
    ),
    "with a foreign module that is still to be laid out": (
        Forge(files={"demo-1.0.data/platlib/demo/_c.so": FOREIGN}),
        "is for EM_AARCH64",
    ),
    "with a foreign library that was bundled": (
        Forge(files={"demo.libs/libz-1a2b.so.1.2": FOREIGN}),
        "is for EM_AARCH64",
    ),
}


@pytest.mark.parametrize(("forge", "why"), NOT_ITSELF.values(), ids=NOT_ITSELF.keys())
def test_a_wheel_is_refused(tmp_path: Path, forge: Forge, why: str) -> None:
    assert why in refused(tmp_path, forge)


DATA = {
    "a program for a 64-bit Pi": ("demo/bin/pulse64", FOREIGN),
    "a program for a PC": ("demo-1.0.data/scripts/demo", elf(bits=64, machine=62, flags=0)),
    "firmware for AVR": ("demo/firmware/uno.elf", elf(machine=83, flags=0)),
    "firmware for ESP32": ("demo/firmware/esp32.bin", elf(machine=94, flags=0)),
    "firmware for old ARM": ("demo/firmware/arm7.elf", elf(flags=0)),
    "an object file that is broken": ("demo/tests/name.o", elf()[:20]),
    "a broken library that no import finds": ("demo/test-data/broken.so", b"\x7fELF"),
    "a library for ctypes, of another processor": ("demo/lib/x86_64/libdemo.so", FOREIGN),
    "a module of no importable name": ("demo/_c-arm64.so", FOREIGN),
    "what a compiler is to find": ("demo-1.0.data/headers/_c.so", FOREIGN),
    "what lies outside of site-packages": ("demo-1.0.data/data/lib/_c.so", FOREIGN),
}


@pytest.mark.parametrize(("path", "data"), DATA.values(), ids=DATA.keys())
@pytest.mark.parametrize("tag", ["py3-none-any", "cp311-cp311-linux_armv7l"])
def test_code_for_other_processors_is_data(
    tmp_path: Path, tag: str, path: str, data: bytes
) -> None:
    forge = Forge(tag=tag, files={"demo/__init__.py": b"", path: data})
    wheel = verified(tmp_path, forge.bytes(), forge.filename)
    assert wheel.native == ()
    assert wheel.serves_every_platform == tag.endswith("-any")


@pytest.mark.parametrize(
    ("path", "loaded"),
    [
        ("demo/bin/pulse", False),
        ("demo/firmware/cortex-m.elf", False),
        ("demo/_c.cpython-311-arm-linux-gnueabihf.so", True),
        ("demo/lib/armv7l/libdemo.so", True),
        ("demo.libs/libz-1a2b.so.1.2", True),
    ],
)
def test_of_what_is_for_a_pi_libraries_keep_a_wheel_to_its_release(
    tmp_path: Path, path: str, *, loaded: bool
) -> None:
    forge = Forge(tag="py3-none-any", files={"demo/__init__.py": b"", path: elf()})
    wheel = verified(tmp_path, forge.bytes(), forge.filename)
    assert wheel.native == (path,)
    assert wheel.serves_every_platform is not loaded


def test_the_body_of_metadata_is_not_read(tmp_path: Path) -> None:
    forge = Forge()
    metadata = forge.contents()["demo-1.0.dist-info/METADATA"].decode()
    mail = "Content-Type: message/rfc822\n\n"
    forge.metadata = metadata.replace("\n\n", f"\n{mail * 5000}")
    wheel = verified(tmp_path, forge.bytes(), forge.filename)
    assert wheel.requires_python == ">=3.9"
    assert wheel.dependencies == ("some-thing",)


def test_a_requirement_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    forge = Forge()
    metadata = forge.contents()["demo-1.0.dist-info/METADATA"].decode()
    forge.metadata = "Requires-Dist: long" + ",".join([">=1"] * 3000) + "\n" + metadata
    assert verified(tmp_path, forge.bytes(), forge.filename).dependencies == ("some-thing",)


@pytest.mark.parametrize("row", ["x" * 100 + "{},,\n", "ab,"], ids=["rows", "fields"])
def test_the_largest_record_takes_little_memory(tmp_path: Path, row: str) -> None:
    """A master may have 1 GiB of it."""
    rows = "".join(row.format(number) for number in range(MAX_RECORD_BYTES // len(row)))
    forge = Forge(record=lambda _text: rows[:MAX_RECORD_BYTES])
    data = forge.bytes()
    tracemalloc.start()
    try:
        assert "RECORD" in refused(tmp_path, forge, data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 << 20


def test_a_library_of_any_size_is_checked_without_writing_a_file(tmp_path: Path) -> None:
    """With a full /tmp, it would be tried again in each round, and nobody told."""
    forge = Forge(files={"demo/_c.so": elf() + bytes(10 << 20)})
    path = tmp_path / "sent.whl"
    path.write_bytes(forge.bytes())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with opened(path, expected(forge.bytes(), forge.filename)) as wheel:
            assert wheel.libraries == ("demo/_c.so",)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# What arrived


def test_what_arrived_is_what_was_sent(tmp_path: Path) -> None:
    forge = Forge()
    for change in (
        lambda e: replace(e, size_bytes=e.size_bytes + 1),
        lambda e: replace(e, sha256="0" * 64),
    ):
        with pytest.raises(WheelRefusedError, match="isn't what the builder says"):
            verified(tmp_path, forge.bytes(), forge.filename, change)


def test_a_wheel_may_not_be_too_large(tmp_path: Path) -> None:
    forge = Forge()
    with pytest.raises(WheelRefusedError, match="and may have 10"):
        verified(tmp_path, forge.bytes(), forge.filename, lambda e: replace(e, max_bytes=10))


@pytest.mark.parametrize(
    "filename",
    [
        "../demo-1.0-py3-none-any.whl",
        "demo-1.0-../../x-none-any.whl",
        "demo-1.0-py3-none-any.whl\n",
        "demo-1.0.tar.gz",
        "demo.whl",
        "demo-1.0-py3-none-any-x-y.whl",
        "demo-1.0-" + "p" * 300 + "-none-any.whl",
        "",
    ],
)
def test_a_name_that_is_none_of_a_wheel_is_refused(tmp_path: Path, filename: str) -> None:
    with pytest.raises(WheelRefusedError, match="no name of a wheel"):
        verified(tmp_path, Forge().bytes(), filename)


@pytest.mark.parametrize("make", ["link", "pipe", "folder", "nothing"])
def test_only_a_plain_file_is_read(tmp_path: Path, make: str) -> None:
    forge = Forge()
    path = tmp_path / "sent.whl"
    (tmp_path / "real.whl").write_bytes(forge.bytes())
    match make:
        case "link":
            path.symlink_to(tmp_path / "real.whl")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with (
        pytest.raises(WheelRefusedError, match=r"didn't arrive|no plain file"),
        opened(path, expected(b"", forge.filename)),
    ):
        pass


# The zip itself


def set_flag(info: zipfile.ZipInfo) -> None:
    info.flag_bits |= 1


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
    assert "two entries of one name" in refused(tmp_path, forge, data)


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
