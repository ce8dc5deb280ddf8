"""What arrived is what was sent, and an honest wheel is found out about."""

from __future__ import annotations

import os
import resource
import stat
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from master.results.refused import WheelRefusedError
from master.results.verify import MAX_RECORD_BYTES, Expected, opened
from master.targets.tags import Target
from tests.support.wheels import Forge, digest, elf, expected, refused, verified


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
    # For ARMv6 it is only where that is proven.
    *parts, platform = tag.split("-")
    platform = "any" if platform == "any" else "linux_armv7l"
    assert wheel.filename == f"demo-1.0-{'-'.join(parts)}-{platform}.whl"
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


def test_a_64_bit_release_gets_what_is_for_its_own_pis(tmp_path: Path) -> None:
    target = Target(3, "trixie64", "3.13", "cp313", "cp313", "linux_aarch64", armv6=False)

    def change(asked: Expected) -> Expected:
        return replace(asked, target=target)

    name = "demo/_c.cpython-313-{}.so"
    own, foreign = name.format("aarch64-linux-gnu"), name.format("arm-linux-gnueabihf")
    tag, aarch64 = "cp313-cp313-linux_aarch64", elf(bits=64, machine=183, flags=0)
    forge = Forge(tag=tag, files={"demo/__init__.py": b"", own: aarch64, foreign: elf()})
    assert verified(tmp_path, forge.bytes(), forge.filename, change).native == (own,)
    forge = Forge(tag=tag, files={"demo/__init__.py": b"", own: elf()})
    with pytest.raises(WheelRefusedError, match="EM_ARM with 32 bits, not 64-bit ARM"):
        verified(tmp_path, forge.bytes(), forge.filename, change)
    forge = Forge(tag="cp313-cp313-linux_armv8l", files={"demo/__init__.py": b"", own: aarch64})
    with pytest.raises(WheelRefusedError, match="can't install its tags"):
        verified(tmp_path, forge.bytes(), forge.filename, change)


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
    with pytest.raises(WheelRefusedError, match="not a valid name of a wheel"):
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
        pytest.raises(WheelRefusedError, match=r"didn't arrive|not a regular file"),
        opened(path, expected(b"", forge.filename)),
    ):
        pass
