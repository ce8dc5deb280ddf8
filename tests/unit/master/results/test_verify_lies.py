"""A wheel that lies is refused, for the reason for which it lies; code for others is data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.wheels import Forge, digest, elf, refused, verified

FOREIGN = elf(bits=64, machine=183, flags=0)

NOT_ITSELF = {
    "of another project": (Forge(project="other"), "the job is demo 1.0"),
    "of another version": (Forge(version="2.0"), "the job is demo 1.0"),
    "with a local version": (Forge(version="1.0+x"), "the job is demo 1.0"),
    "for another Python": (Forge(tag="cp313-cp313-linux_armv7l"), "can't install its tags"),
    "for another ABI": (Forge(tag="cp311-cp311d-linux_armv7l"), "can't install its tags"),
    "for another machine": (Forge(tag="cp311-cp311-linux_x86_64"), "can't install its tags"),
    "for a 64-bit Pi, and another Python": (
        Forge(tag="cp313-cp313-linux_aarch64"),
        "can't install its tags",
    ),
    "for a 64-bit Pi": (
        Forge(tag="cp311-cp311-linux_aarch64", files={"demo/_c.so": FOREIGN}),
        "'demo/_c.so' is for EM_AARCH64",
    ),
    "for the ARM of old, on a 64-bit kernel": (
        Forge(tag="cp311-cp311-linux_armv8l", files={"demo/_c.so": elf(flags=0)}),
        "'demo/_c.so' is for ARM, but not for its EABI 5",
    ),
    "for a 64-bit Pi, by what ctypes loads": (
        Forge(tag="py3-none-linux_aarch64", files={"demo/libdemo.so": FOREIGN}),
        "its tags are py3-none-linux_aarch64, and it has no code for 32-bit ARM",
    ),
    "for a 64-bit kernel in its name alone": (
        Forge(
            tag="cp311-cp311-linux_armv8l",
            wheel_file="Wheel-Version: 1.0\nTag: cp311-cp311-linux_armv7l\n",
        ),
        "its WHEEL has the tags cp311-cp311-linux_armv7l, and its name others",
    ),
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
    "with a METADATA whose Requires-Python is not text": (
        Forge(
            extra={
                "demo-1.0.dist-info/METADATA": b"Name: demo\nVersion: 1.0\nRequires-Python: \xff\n"
            }
        ),
        "METADATA has requires-python twice, or not readably",
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
        "isn't in version 1 of the format",
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
        "bad or duplicate line",
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
    "with a RECORD that is not text": (Forge(record=lambda text: text + '"\n'), "not a CSV"),
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
