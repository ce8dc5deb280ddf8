"""Which apt packages a wheel's shared libraries need on the release that it was built for."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

from builder import files
from builder.libraries import elf, preinstalled
from builder.libraries.rootfs import Rootfs

# Held in memory up to here, then in a file beside the build.
_SPILL_BYTES = 16 << 20
# zipfile reads a central directory as a whole, however large the archive says that it is. This is
# enough for more entries than the master takes.
_MAX_READ_BYTES = 8 << 20
# That a wheel's files name, its own among them: so many names always fit into a result.
_MAX_LIBRARIES = 500
# The master takes no others, and LZMA's needs as much memory as the archive says.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# All that zipfile is known to raise on an archive made to break it: NotImplementedError is a
# RuntimeError, UnicodeDecodeError a ValueError, and an empty name a LookupError.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class InspectError(Exception):
    """The wheel can't be looked into; the message says why."""


@dataclass(frozen=True)
class AptPackages:
    """What must be there for a wheel's libraries to load."""

    names: tuple[str, ...]
    missing_libraries: tuple[str, ...]


def needs(
    wheel: Path,
    rootfs: Rootfs,
    *,
    scratch: Path,
    max_bytes: int,
    is_64bit: bool = False,
) -> AptPackages:
    """Return the packages that `wheel` needs and the libraries that no package has.

    Libraries inside the wheel count as there; packages that every installation has are left out.
    Files are told by their first bytes, not by their names; those for another processor are data.
    Raises InspectError on a broken archive, on a broken library, or on an archive that unpacks to
    more than `max_bytes`.
    """
    try:
        wanted = _wanted(wheel, scratch, max_bytes, is_64bit=is_64bit)
    except _BROKEN as error:
        why = str(error) or type(error).__name__
        raise InspectError(f"{wheel.name} can't be unpacked: {why:.200}") from error
    except OSError as error:
        # A wrong offset ends here too, and the build may have filled `scratch` on purpose; neither
        # must look like the Pi's trouble.
        says = "no room to unpack" if files.is_full(error) else "can't unpack"
        raise InspectError(f"{says} {wheel.name}: {error}") from error
    packages, missing = set(), set()
    for soname in wanted:
        path = rootfs.library(soname)
        package = rootfs.package_of(path) if path else None
        if package is None:
            missing.add(soname)
        else:
            packages.add(package)
    if packages:
        packages -= preinstalled.packages(rootfs.root)
    return AptPackages(tuple(sorted(packages)), tuple(sorted(missing)))


class _Archive(io.BufferedReader):
    """A wheel, of which no more is read at once than an honest one makes necessary."""

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return up to `size` bytes; raises InspectError for more than any wheel's parts have."""
        if size is None or size < 0:
            size = _MAX_READ_BYTES
        if size > _MAX_READ_BYTES:
            raise InspectError(f"its central directory has {size} bytes")
        return super().read(size)


def _wanted(wheel: Path, scratch: Path, max_bytes: int, *, is_64bit: bool) -> set[str]:
    needed: set[str] = set()
    bundled: set[str] = set()
    with _Archive(io.FileIO(str(wheel))) as stream, zipfile.ZipFile(stream) as archive:
        if sum(item.file_size for item in archive.infolist()) > max_bytes:
            raise InspectError(f"{wheel.name} unpacks to more than {max_bytes} bytes")
        for item in archive.infolist():
            if item.is_dir():
                continue
            if item.compress_type not in _METHODS:
                raise InspectError(
                    f"{item.filename:.200} in {wheel.name} is packed by method "
                    f"{item.compress_type}, not stored or deflated"
                )
            with archive.open(item) as member:
                head = member.read(elf.HEADER_BYTES)
                if not elf.is_native(head, is_64bit=is_64bit):
                    continue
                with tempfile.SpooledTemporaryFile(_SPILL_BYTES, dir=str(scratch)) as copy:
                    copy.write(head)
                    shutil.copyfileobj(member, copy)
                    try:
                        found = elf.dynamic(copy)
                    except elf.ElfError as error:
                        if ".so" not in PurePosixPath(item.filename).suffixes:
                            # Firmware, or what a test shall find broken: nothing loads it.
                            continue
                        raise InspectError(
                            f"{item.filename:.200} in {wheel.name} is not a sound ELF file: {error}"
                        ) from error
            needed.update(found.needed)
            if len(needed) > _MAX_LIBRARIES:
                raise InspectError(f"{wheel.name} needs more than {_MAX_LIBRARIES} libraries")
            bundled.add(PurePosixPath(item.filename).name)
            if found.soname:
                bundled.add(found.soname)
    return needed - bundled
