"""Check a wheel before the farm answers for it (PEP 427, PEP 376, PEP 425).

Everything about it is computed here, from its bytes and from the job; of the builder's words only
the file name is used, after it was found to say what the wheel says itself.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser, HeaderParser
from functools import partial
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import (
    BuildTag,
    InvalidName,
    InvalidWheelFilename,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from master.results import elf
from master.results.archive import Archive
from master.results.refused import WheelRefusedError
from master.targets.tags import ANY, ARMV6, OF_64BIT_KERNEL, Target, is_pure, serves
from master.text import one_line

MAX_METADATA_BYTES = 4 << 20
MAX_HEADER_LINES = 50_000
"""Of METADATA. Each dependency, classifier and line of a license is one: some thousands in all."""
MAX_WHEEL_FILE_BYTES = 1 << 16
MAX_RECORD_BYTES = 16 << 20
MAX_RECORD_LINE_LENGTH = 4096
"""A path of archive.MAX_NAME_BYTES with each of its quotes doubled, a hash and a size."""
MAX_DEPENDENCIES = 1000
MAX_REQUIREMENT_LENGTH = 10_000
"""With its versions and markers, whose parser takes the square of their length."""
MAX_DEPENDENCY_LENGTH = 200
MAX_REQUIRES_PYTHON_LENGTH = 200
MAX_TAGS = 1000
"""That one line of WHEEL may stand for: a compressed set's are the product of its parts."""
MAX_FILENAME = 220
"""So that there is room for what recording adds, and suffixes, in the 255 bytes of a file name."""

_FILENAME = re.compile(rf"[A-Za-z0-9._+!-]{{1,{MAX_FILENAME}}}")
_ANY_PYTHON = re.compile(r"[a-z]{2}[0-9]+")
# Of those that name a machine (PEP 3149), Python on a Pi imports its own alone.
_MODULE = r"([^\W\d]\w*\.(abi3|cpython-\w+(-{})?)|(?!lib)[^\W\d]\w*)\.so"
_MODULE_32BIT = re.compile(_MODULE.format("arm-linux-gnueabihf"))
_MODULE_64BIT = re.compile(_MODULE.format("aarch64-linux-gnu"))


@dataclass(frozen=True)
class Expected:
    """What the job asks for, and what the builder says it sent."""

    project: str
    version: str
    target: Target
    filename: str
    size_bytes: int
    sha256: str
    max_bytes: int


@dataclass(frozen=True)
class Wheel:
    """What was found out about a wheel from its names and headers; repack checks the contents."""

    filename: str
    """As it will be published: at first, as computed from the job, the tags and not_armv6."""
    tags: frozenset[Tag]
    metadata: bytes
    requires_python: str | None
    dependencies: tuple[str, ...]
    """Normalised names of the projects that it always requires."""
    native: tuple[str, ...]
    """Paths of its ELF files that are for a Pi: libraries, programs and what else there is."""
    not_armv6: str | None
    """The first of its ELF files that isn't proven ARMv6, and why; None where none has to be."""
    dist_info: str
    """The folder of its METADATA."""
    headers: Message
    """Of WHEEL."""
    record: dict[str, tuple[str, str]]
    """Hash and size of each file but RECORD itself, as RECORD has them."""
    archive: Archive

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()

    @property
    def libraries(self) -> tuple[str, ...]:
        """Paths of those that can be loaded: extension modules, and what they or ctypes load."""
        return tuple(path for path in self.native if ".so" in PurePosixPath(path).suffixes)

    @property
    def serves_every_platform(self) -> bool:
        """Its tags say so, and no library in it says otherwise."""
        return is_pure(self.tags) and not self.libraries


@contextmanager
def opened(path: Path, expected: Expected) -> Iterator[Wheel]:
    """Judge the wheel at path by its names and headers, and keep it open for repack to copy.

    Raises WheelRefusedError, and OSError when it can't be read.
    """
    with regular_file(path) as file:
        yield _verify(file, expected)


@contextmanager
def understood() -> Iterator[None]:
    """Refuse a wheel at which zipfile or a parser fails."""
    try:
        yield
    except (
        *(ValueError, ArithmeticError, LookupError, TypeError, RuntimeError, EOFError),
        *(zipfile.BadZipFile, zlib.error, struct.error),
    ) as error:
        # What is parsed here is a stranger's, and so are the ways in which a parser can fail.
        why = one_line(f"{type(error).__name__}: {error}")
        raise WheelRefusedError(f"it can't be understood: {why}") from error


@understood()
def _verify(file: BinaryIO, expected: Expected) -> Wheel:
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes > expected.max_bytes:
        raise WheelRefusedError(f"it has {size_bytes} bytes, and may have {expected.max_bytes}")
    if digest(file) != (expected.size_bytes, expected.sha256):
        raise WheelRefusedError("what arrived isn't what the builder says it sent (size or sha256)")
    build, said, tags = _check_filename(expected)
    archive = Archive(file, size_bytes)
    elves = sorted(path for path in archive.files if archive.part(path, 0, 4) == elf.MAGIC)
    wanted = expected.target.armv6 and all(tag.platform != ANY for tag in tags)
    not_armv6 = _not_armv6(archive, elves) if wanted else None
    native = tuple(path for path in elves if _is_native(archive, path, expected.target))
    if said != tags and elves and not native:
        raise WheelRefusedError(f"its tags are {_shown(said)}, and it has no code for 32-bit ARM")
    filename = _filename(expected, not_armv6)
    info = _dist_info(archive, expected)
    metadata = archive.read(f"{info}/METADATA", MAX_METADATA_BYTES)
    headers = _check_metadata(metadata, expected)
    return Wheel(
        filename=filename,
        tags=tags,
        metadata=metadata,
        requires_python=_requires_python(headers),
        dependencies=_dependencies(headers),
        headers=_wheel_file(archive.read(f"{info}/WHEEL", MAX_WHEEL_FILE_BYTES), build, said),
        record=_record(archive, f"{info}/RECORD"),
        native=native,
        not_armv6=not_armv6,
        dist_info=info,
        archive=archive,
    )


@contextmanager
def regular_file(path: Path) -> Iterator[BinaryIO]:
    """Yield an open regular file. Raises WheelRefusedError for a link, a pipe or nothing at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise WheelRefusedError(f"{path.name} didn't arrive") from error
    except OSError as error:
        raise WheelRefusedError(f"{path.name} is not a regular file: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WheelRefusedError(f"{path.name} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def digest(file: BinaryIO) -> tuple[int, str]:
    """Return size in bytes and sha256."""
    hasher = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        hasher.update(chunk)
    return os.fstat(file.fileno()).st_size, hasher.hexdigest()


def _check_filename(expected: Expected) -> tuple[BuildTag, frozenset[Tag], frozenset[Tag]]:
    """Return its build tag, the tags that it says, and those that it has."""
    if not _FILENAME.fullmatch(expected.filename):
        raise WheelRefusedError(f"{expected.filename[:100]!a} is not a valid name of a wheel")
    try:
        name, version, build, said = parse_wheel_filename(expected.filename)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise WheelRefusedError(f"{expected.filename!a} is not a valid name of a wheel") from error
    if name != expected.project or version != Version(expected.version):
        raise WheelRefusedError(
            f"it is {name} {version}, and the job is {expected.project} {expected.version}"
        )
    target = expected.target
    tags = _put_right(said, target)
    if not serves(tags, target):
        raise WheelRefusedError(f"{target.name} can't install its tags {_shown(tags)}")
    # Besides, it may say that it serves other Pythons (PEP 425): by these ABIs it has nothing that
    # they couldn't load, and an older release's, whose C library may not do, gets none of it
    # (Recorder._serves_older).
    platforms = {"none": {ANY, *target.platforms}, "abi3": set(target.platforms)}
    other = [
        tag
        for tag in tags - target.tags()
        if tag.platform not in platforms.get(tag.abi, ())
        or not _ANY_PYTHON.fullmatch(tag.interpreter)
    ]
    if other:
        raise WheelRefusedError(f"it also says that it serves {_shown(other)}")
    return build, said, tags


def _put_right(tags: frozenset[Tag], target: Target) -> frozenset[Tag]:
    """Return the tags with the target's platform, where theirs is that of a Pi's 64-bit kernel."""
    if target.is_64bit or not all(tag.platform in OF_64BIT_KERNEL for tag in tags):
        return tags
    return frozenset(Tag(tag.interpreter, tag.abi, target.platform_tag) for tag in tags)


def _shown(tags: frozenset[Tag] | list[Tag]) -> str:
    return ", ".join(sorted(map(str, tags))[:5])


def _filename(expected: Expected, not_armv6: str | None) -> str:
    """Return the wheel's name with project and version normalised (binary distribution format).

    Its platform tag is what was found out, unless it is for any.
    """
    target, rest = expected.target, expected.filename.split("-", 2)[2].lower()
    tags, _, platforms = rest.removesuffix(".whl").rpartition("-")
    if ANY not in platforms.split("."):
        armv6 = target.armv6 and not not_armv6
        platforms = f"{ARMV6}.{target.platform_tag}" if armv6 else target.platform_tag
    version = expected.version.replace("-", "_")
    filename = f"{expected.project.replace('-', '_')}-{version}-{tags}-{platforms}.whl"
    # The version may have been sent in a shorter spelling.
    if len(filename) > MAX_FILENAME:
        raise WheelRefusedError(f"its name has {len(filename)} characters: {filename[:100]}…")
    return filename


def _dist_info(archive: Archive, expected: Expected) -> str:
    tops = {path.split("/")[0] for path in archive.files if "/" in path}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(found) != 1:
        raise WheelRefusedError(f"it has {len(found)} .dist-info folders, and must have one")
    info = found[0]
    data = info.removesuffix(".dist-info") + ".data"
    strange = [top for top in tops if top.endswith(".data") and top != data]
    if strange:
        raise WheelRefusedError("it has a .data folder of another project or version")
    name, _, version = info.removesuffix(".dist-info").rpartition("-")
    if not _same(name, version, expected):
        raise WheelRefusedError(f"its {info!a} is of another project or version")
    return info


def _same(name: str, version: str, expected: Expected) -> bool:
    try:
        return canonicalize_name(name, validate=True) == expected.project and Version(
            version
        ) == Version(expected.version)
    except (InvalidName, InvalidVersion):
        return False


def _check_metadata(data: bytes, expected: Expected) -> dict[str, list[str]]:
    headers = _headers(data)
    for field in ("name", "version", "metadata-version", "requires-python"):
        values = headers.get(field, [])
        if len(values) > 1 or "\N{REPLACEMENT CHARACTER}" in "".join(values):
            raise WheelRefusedError(f"its METADATA has {field} twice, or not readably")
    name, version = (headers.get(field, [""])[0] for field in ("name", "version"))
    if not _same(name, version, expected):
        raise WheelRefusedError(
            f"its METADATA is of {name[:100]!a} {version[:100]!a}, and the job is "
            f"{expected.project} {expected.version}"
        )
    return headers


def _headers(data: bytes) -> dict[str, list[str]]:
    """Return the values of each header of METADATA (core metadata), by its name in lower case."""
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8", "replace")
    # No more is parsed. packaging's parse_email takes the square of the number of names, and of the
    # length of a Content-Type, by which it takes the body apart: 4 MiB of that may cost hours.
    head = list(islice(takewhile(lambda line: line != "\n", lines), MAX_HEADER_LINES + 1))
    if len(head) > MAX_HEADER_LINES:
        raise WheelRefusedError(f"its METADATA has more than {MAX_HEADER_LINES} lines of headers")
    headers: dict[str, list[str]] = {}
    for name, value in HeaderParser().parsestr("".join(head)).items():
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _wheel_file(data: bytes, build: BuildTag, tags: frozenset[Tag]) -> Message:
    message: Message = BytesParser().parsebytes(data, headersonly=True)
    if str(message.get("Wheel-Version", "")).strip().split(".")[0] != "1":
        raise WheelRefusedError("its WHEEL isn't in version 1 of the format")
    said_tags = [str(tag).strip() for tag in message.get_all("Tag", [])]
    whole = (text for text in said_tags if text.count("-") == 2)
    said: set[Tag] = set()
    for text in whole:
        said |= parse_tag(text, limit=MAX_TAGS)
        if not said <= tags:
            break
    if said != tags:
        raise WheelRefusedError(
            f"its WHEEL has the tags {_shown(frozenset(said))}, and its name others"
        )
    number = "".join(map(str, build))
    if str(message.get("Build", "")).strip() != number:
        raise WheelRefusedError("its WHEEL and its name differ in the build tag")
    return message


def _record(archive: Archive, path: str) -> dict[str, tuple[str, str]]:
    """Return hash and size of each path in RECORD (PEP 376), which are those of the archive."""
    record: dict[str, tuple[str, str]] = {}
    for row in _rows(archive.read(path, MAX_RECORD_BYTES)):
        if len(row) != 3 or row[0] in record:
            raise WheelRefusedError(f"its RECORD has a bad or duplicate line for {row[0][:100]!a}")
        # Asked here, so that no more is kept than the archive has entries.
        if row[0] not in archive.files:
            raise WheelRefusedError(f"its RECORD has {row[0][:100]!a}, which isn't there")
        record[row[0]] = (row[1], row[2])
    if record.pop(path, ("", "")) != ("", ""):
        raise WheelRefusedError("its RECORD has a hash of itself")
    missing = archive.files.keys() - record.keys() - {path}
    if missing:
        raise WheelRefusedError(f"{min(missing)!a} isn't in its RECORD")
    return record


def _rows(data: bytes) -> Iterator[list[str]]:
    """Yield the rows of RECORD one by one: all at once take 80 times the memory of the file."""
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    try:
        while line := lines.readline(MAX_RECORD_LINE_LENGTH + 1):
            if len(line) > MAX_RECORD_LINE_LENGTH:
                raise WheelRefusedError("its RECORD has a line that is too long")
            # Each line by itself: no path has a line feed in it, so no row has.
            if line.strip("\r\n"):
                yield from csv.reader([line], strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise WheelRefusedError("its RECORD is not a CSV file in UTF-8") from error


def _is_native(archive: Archive, path: str, target: Target) -> bool:
    """Return whether an ELF file is for a Pi of the target."""
    trouble = elf.trouble(archive.part(path, 0, elf.HEADER_BYTES), is_64bit=target.is_64bit)
    if trouble and _is_imported(path, target):
        raise WheelRefusedError(f"{path!a} {trouble}")
    return not trouble


def _not_armv6(archive: Archive, elves: list[str]) -> str | None:
    troubles = ((path, elf.armv6_trouble(partial(archive.part, path))) for path in elves)
    return next((f"{path} {trouble}" for path, trouble in troubles if trouble), None)


def _is_imported(path: str, target: Target) -> bool:
    """Return whether Python would load the ELF file on import, by its name: all else is data.

    Programs for several processors are, and so is firmware, and libraries among which ctypes is to
    choose, which the linker's `lib` begins.
    """
    *folders, name = path.split("/")
    if folders and folders[0].endswith(".data"):  # PEP 427
        if folders[1:2] not in (["purelib"], ["platlib"]):
            return False
        del folders[:2]
    if folders and folders[0].endswith(".libs"):
        # Of shared libraries that were bundled (auditwheel): extension modules load them.
        return True
    module = _MODULE_64BIT if target.is_64bit else _MODULE_32BIT
    return all(map(str.isidentifier, folders)) and module.fullmatch(name) is not None


def _requires_python(headers: dict[str, list[str]]) -> str | None:
    """Return Requires-Python, unless it is one that pip couldn't read."""
    text = headers.get("requires-python", [""])[0]
    if len(text) > MAX_REQUIRES_PYTHON_LENGTH or not text.isprintable():
        return None
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return None
    return text or None


def _dependencies(headers: dict[str, list[str]]) -> tuple[str, ...]:
    names = set()
    for text in headers.get("requires-dist", [])[:MAX_DEPENDENCIES]:
        if len(text) > MAX_REQUIREMENT_LENGTH:
            continue
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError):
            continue
        name = canonicalize_name(requirement.name)
        always = requirement.marker is None or "extra" not in str(requirement.marker)
        if always and len(name) <= MAX_DEPENDENCY_LENGTH:
            names.add(name)
    return tuple(sorted(names))
