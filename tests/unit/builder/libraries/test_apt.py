"""A wheel's libraries lead to apt packages, whatever the tree calls its folders."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from builder.libraries import apt
from builder.libraries.elf import MAGIC, Dynamic, ElfError, dynamic
from builder.libraries.rootfs import Rootfs
from tests.support.wheels import Forge, elf

TRIPLET = "arm-linux-gnueabihf"


@pytest.fixture
def rootfs(tmp_path: Path) -> Rootfs:
    """Return a merged-/usr tree in which dpkg knows files under /lib and under /usr/lib."""
    root = tmp_path / "rootfs"
    libraries = root / "usr/lib" / TRIPLET
    libraries.mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    (root / "etc/ld.so.conf.d/arm.conf").write_text(
        f"# Multiarch support\n/usr/local/lib/{TRIPLET}\n/lib/{TRIPLET}\n/usr/lib/{TRIPLET}\n"
    )
    (libraries / "libc.so.6").touch()
    (libraries / "liblzo2.so.2.0.0").touch()
    (libraries / "liblzo2.so.2").symlink_to("liblzo2.so.2.0.0")
    (libraries / "libblas.so.3").symlink_to("/etc/alternatives/libblas.so.3")
    (root / "etc/alternatives").mkdir()
    (root / "etc/alternatives/libblas.so.3").symlink_to(f"/usr/lib/{TRIPLET}/blas/libblas.so.3")
    (libraries / "blas").mkdir()
    (libraries / "blas/libblas.so.3").touch()
    (libraries / "libescape.so.1").symlink_to("../../../../../../../etc/passwd")
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "libc6:armhf.list").write_text(f"/.\n/lib/{TRIPLET}/libc.so.6\n")
    (info / "liblzo2-2:armhf.list").write_text(
        f"/lib/{TRIPLET}/liblzo2.so.2.0.0\n/lib/{TRIPLET}/liblzo2.so.2\n"
    )
    (info / "libblas3:armhf.list").write_text(f"/usr/lib/{TRIPLET}/blas/libblas.so.3\n")
    (info.parent / "status").write_text(
        "Package: bash\nStatus: install ok installed\nEssential: yes\nDepends: libc6 (>= 2.36)\n\n"
        "Package: libc6\nStatus: install ok installed\n\n"
        "Package: liblzo2-2\nStatus: install ok installed\n"
    )
    return Rootfs(root)


def look(tmp_path: Path, rootfs: Rootfs, members: dict[str, bytes]) -> apt.AptPackages:
    wheel = Forge(files=members).write(tmp_path)
    return apt.needs(wheel, rootfs, scratch=tmp_path, max_bytes=1 << 20)


def test_a_library_s_package_is_found_under_the_other_name_of_its_folder(
    tmp_path: Path, rootfs: Rootfs
) -> None:
    found = look(tmp_path, rootfs, {"lzo.so": elf("liblzo2.so.2", "libc.so.6")})
    assert found == apt.AptPackages(("liblzo2-2",), ())


def test_a_link_by_way_of_alternatives_leads_to_its_package(tmp_path: Path, rootfs: Rootfs) -> None:
    found = look(tmp_path, rootfs, {"numpy.so": elf("libblas.so.3")})
    assert found.names == ("libblas3",)


def test_libraries_inside_the_wheel_need_nothing(tmp_path: Path, rootfs: Rootfs) -> None:
    members = {
        "a.so": elf("libz-1234.so.1", "libinner.so.5"),
        "a.libs/libz-1234.so.1": elf(),
        "a.libs/other-name.so": elf(soname="libinner.so.5"),
    }
    assert look(tmp_path, rootfs, members) == apt.AptPackages((), ())


def test_an_elf_file_is_told_by_its_first_bytes(tmp_path: Path, rootfs: Rootfs) -> None:
    members = {"bin/tool": elf("liblzo2.so.2"), "fake.so": b"#!/bin/sh", "empty.so": b""}
    assert look(tmp_path, rootfs, members).names == ("liblzo2-2",)


FOREIGN = elf("liblzo2.so.2", machine=183)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("demo/bin/pulse64", FOREIGN),
        ("demo/lib/arm64/libdemo.so", FOREIGN[:4] + b"\x02" + FOREIGN[5:]),
        ("demo/lib/mips/libdemo.so", elf("liblzo2.so.2")[:5] + b"\x02" + FOREIGN[6:]),
        ("demo/tests/broken.so", FOREIGN[:90]),
        ("demo/tests/empty.o", MAGIC),
        ("demo/firmware.elf", elf("liblzo2.so.2")[:90]),
    ],
)
def test_code_that_is_not_for_a_pi_needs_nothing(
    tmp_path: Path, rootfs: Rootfs, path: str, data: bytes
) -> None:
    assert look(tmp_path, rootfs, {path: data}) == apt.AptPackages((), ())


def test_a_library_for_another_processor_is_not_there(tmp_path: Path, rootfs: Rootfs) -> None:
    members = {"a.so": elf("libinner.so.5"), "arm64/libinner.so.5": FOREIGN}
    assert look(tmp_path, rootfs, members).missing_libraries == ("libinner.so.5",)


def test_a_library_that_no_package_has_is_missing(tmp_path: Path, rootfs: Rootfs) -> None:
    found = look(tmp_path, rootfs, {"a.so": elf("libcuda.so.1", "../../etc/x", "libescape.so.1")})
    assert found == apt.AptPackages((), ("../../etc/x", "libcuda.so.1", "libescape.so.1"))


def test_a_link_never_leads_out_of_the_tree(rootfs: Rootfs) -> None:
    assert rootfs.resolve(f"/usr/lib/{TRIPLET}/libescape.so.1") == "/etc/passwd"
    loop = rootfs.root / "loop"
    loop.symlink_to("loop")
    assert rootfs.resolve("/loop") is None


def test_a_pure_wheel_needs_nothing(tmp_path: Path, rootfs: Rootfs) -> None:
    assert look(tmp_path, rootfs, {"a.py": b"pass"}) == apt.AptPackages((), ())


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"no zip", "can't be unpacked"),
        (None, "unpacks to more than"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, rootfs: Rootfs, raw: bytes | None, says: str
) -> None:
    wheel = tmp_path / "demo.whl"
    if raw is None:
        wheel = Forge(files={"bomb": bytes(1 << 20)}).write(tmp_path)
    else:
        wheel.write_bytes(raw)
    with pytest.raises(apt.InspectError, match=says):
        apt.needs(wheel, rootfs, scratch=tmp_path, max_bytes=1000)


# Newer Pythons warn of what they read all the same.
@pytest.mark.filterwarnings("ignore:Overlapped entries")
def test_no_archive_makes_the_inspection_fail_otherwise(tmp_path: Path, rootfs: Rootfs) -> None:
    wheel = Forge(files={"a.so": elf("libc.so.6")}).write(tmp_path)
    whole = wheel.read_bytes()
    for position in range(len(whole)):
        for byte in (0x00, 0x08, 0x7F, 0xFF):
            wheel.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
            try:
                apt.needs(wheel, rootfs, scratch=tmp_path, max_bytes=1 << 20)
            except apt.InspectError:
                continue


def test_a_broken_library_is_named(tmp_path: Path, rootfs: Rootfs) -> None:
    with pytest.raises(apt.InspectError, match=r"a\.so in demo-.* is not a sound ELF file"):
        look(tmp_path, rootfs, {"a.so": elf("libc.so.6")[:90]})


def test_the_name_of_a_library_is_no_longer_than_a_file_s() -> None:
    assert dynamic(io.BytesIO(elf("x" * 255))).needed == ("x" * 255,)
    for needed, soname in (("x" * 256, ""), ("libc.so.6", "x" * 256)):
        with pytest.raises(ElfError, match="more than 255 bytes"):
            dynamic(io.BytesIO(elf(needed, soname=soname)))


def test_a_file_needs_a_thousand_libraries_at_most() -> None:
    assert len(dynamic(io.BytesIO(elf(*["libc.so.6"] * 1000))).needed) == 1000
    with pytest.raises(ElfError, match="needs 1001 libraries"):
        dynamic(io.BytesIO(elf(*["libc.so.6"] * 1001)))


def test_of_a_large_string_table_only_names_are_read() -> None:
    raw = elf("libc.so.6", "x" * (8 << 20))
    # The second name becomes the first one's again: DT_NEEDED is 1, and so is its offset.
    raw = raw.replace(struct.pack("<II", 1, 11), struct.pack("<II", 1, 1))
    stream = io.BytesIO(raw)
    tracemalloc.start()
    try:
        assert dynamic(stream).needed == ("libc.so.6", "libc.so.6")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_wheel_whose_files_name_libraries_without_end_is_refused(
    tmp_path: Path, rootfs: Rootfs
) -> None:
    members = {f"{n}.so": elf(*(f"lib{n}-{m}.so" for m in range(100))) for n in range(6)}
    with pytest.raises(apt.InspectError, match="more than 500 libraries"):
        look(tmp_path, rootfs, members)


@pytest.mark.parametrize("wide", [False, True])
def test_a_central_directory_is_not_read_when_it_is_too_large(
    tmp_path: Path, rootfs: Rootfs, wide: bool
) -> None:
    wheel = tmp_path / "demo.whl"
    size = (8 << 20) + 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46 if wide else size, 0, 0)
    if wide:
        # The zip64 record counts, whatever the plain one says.
        end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
        end = end64 + struct.pack("<4sLQL", b"PK\6\7", 0, size, 1) + end
    with wheel.open("wb") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(end)
    with pytest.raises(apt.InspectError, match=f"central directory has {size} bytes"):
        apt.needs(wheel, rootfs, scratch=tmp_path, max_bytes=1 << 20)


def test_no_file_makes_the_elf_reader_fail_otherwise() -> None:
    whole = elf("libc.so.6", "libm.so.6", soname="libx.so")
    assert dynamic(io.BytesIO(whole)) == Dynamic("libx.so", ("libc.so.6", "libm.so.6"))
    for position in range(len(whole)):
        for byte in (0x00, 0x7F, 0xFF):
            raw = whole[:position] + bytes([byte]) + whole[position + 1 :]
            try:
                dynamic(io.BytesIO(raw))
            except ElfError:
                continue


@pytest.mark.parametrize("is_64bit", [False, True])
def test_what_is_for_a_pi_with_other_bits_is_data(
    tmp_path: Path, rootfs: Rootfs, *, is_64bit: bool
) -> None:
    members = {
        "a.so": elf("liblzo2.so.2", "libof32.so"),
        "b.so": elf("liblzo2.so.2", "libof64.so", bits=64, machine=183, flags=0),
    }
    wheel = Forge(files=members).write(tmp_path)
    found = apt.needs(wheel, rootfs, scratch=tmp_path, max_bytes=1 << 20, is_64bit=is_64bit)
    assert found.names == ("liblzo2-2",)
    assert found.missing_libraries == (("libof64.so",) if is_64bit else ("libof32.so",))


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf isn't installed")
def test_the_elf_reader_agrees_with_readelf() -> None:
    libraries = sorted(Path("/usr/lib").glob("*-linux-*/lib*.so.[0-9]"))[:40]
    assert libraries
    for path in libraries:
        shown = subprocess.run(
            ["readelf", "--dynamic", "--wide", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        with path.open("rb") as stream:
            needed = dynamic(stream).needed
        assert [f"[{name}]" for name in needed] == [
            line.split()[-1] for line in shown.splitlines() if "(NEEDED)" in line
        ]
