"""Which apt packages a wheel's shared libraries need on the release that it was built for."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder import elf, files
from builder.rootfs import Rootfs

# Held in memory up to here, then in a file beside the build.
_SPILL_BYTES = 16 << 20


class InspectError(Exception):
    """The wheel can't be looked into; the message says why."""


@dataclass(frozen=True)
class Needs:
    """What must be there for a wheel's libraries to load."""

    apt_packages: tuple[str, ...]
    missing_libraries: tuple[str, ...]


def needs(
    wheel: Path,
    rootfs: Rootfs,
    preinstalled: Collection[str],
    *,
    scratch: Path,
    max_bytes: int,
) -> Needs:
    """Return the packages that `wheel` needs and the libraries that no package has.

    Libraries inside the wheel count as there; `preinstalled` packages are left out. Files are told
    by their first bytes, not by their names. Raises InspectError on a broken archive or on one
    that unpacks to more than `max_bytes`.
    """
    try:
        wanted = _wanted(wheel, scratch, max_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InspectError(f"{wheel.name} can't be unpacked: {error}") from error
    except OSError as error:
        # The build may have filled `scratch` on purpose; that must not look like the Pi's trouble.
        if not files.is_full(error):
            raise
        raise InspectError(f"no room to unpack {wheel.name}: {error}") from error
    packages, missing = set(), set()
    for soname in wanted:
        path = rootfs.library(soname)
        package = rootfs.package_of(path) if path else None
        if package is None:
            missing.add(soname)
        elif package not in preinstalled:
            packages.add(package)
    return Needs(tuple(sorted(packages)), tuple(sorted(missing)))


def _wanted(wheel: Path, scratch: Path, max_bytes: int) -> set[str]:
    needed: set[str] = set()
    bundled: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        if sum(item.file_size for item in archive.infolist()) > max_bytes:
            raise InspectError(f"{wheel.name} unpacks to more than {max_bytes} bytes")
        for item in archive.infolist():
            if item.is_dir():
                continue
            with archive.open(item) as member:
                head = member.read(len(elf.MAGIC))
                if head != elf.MAGIC:
                    continue
                with tempfile.SpooledTemporaryFile(_SPILL_BYTES, dir=str(scratch)) as copy:
                    copy.write(head)
                    shutil.copyfileobj(member, copy)
                    try:
                        found = elf.dynamic(copy)
                    except elf.ElfError as error:
                        raise InspectError(
                            f"{item.filename} in {wheel.name} is no sound ELF file: {error}"
                        ) from error
            needed.update(found.needed)
            bundled.add(PurePosixPath(item.filename).name)
            if found.soname:
                bundled.add(found.soname)
    return needed - bundled
