"""Taking the wheel from the folder that a stranger's build could write to."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from protocol.result import WheelFile

_CHUNK = 1 << 20
# PEP 427 names use nothing else; the master computes the file's name again from the job.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,249}\.whl", re.ASCII)


class WheelError(Exception):
    """The build left no wheel that can be taken; the message says what it left."""


def take(folder: Path, target: Path, max_bytes: int) -> WheelFile:
    """Copy the one wheel in `folder` to the file `target` and return what it is.

    Nothing in `folder` is followed or trusted: it must hold exactly one regular file with a
    wheel's name, of at most `max_bytes`. All of the build's processes must have ended. Raises
    WheelError, and OSError when the disk is full; `target` is then not there.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        # The folder is the build's own, so its mode is whatever the build made of it.
        raise WheelError(f"its folder can't be opened: {error.strerror}") from error
    try:
        names = _names(descriptor)
        if len(names) != 1:
            raise WheelError(f"the build left {len(names)} files where one wheel was due")
        name = names[0]
        if not _NAME.fullmatch(name):
            raise WheelError(f"the build left {name!r:.100}, which is not a valid name of a wheel")
        try:
            return _copy(descriptor, name, target, max_bytes)
        except (OSError, WheelError):
            target.unlink(missing_ok=True)
            raise
    finally:
        os.close(descriptor)


def _names(folder: int) -> list[str]:
    try:
        return os.listdir(folder)  # By descriptor: the folder stays the one opened.
    except OSError as error:
        raise WheelError(f"its folder can't be read: {error.strerror}") from error


def _copy(folder: int, name: str, target: Path, max_bytes: int) -> WheelFile:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        source = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        raise WheelError(f"{name} can't be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise WheelError(f"{name} is not a regular file")
    digest, size = hashlib.sha256(), 0
    with os.fdopen(source, "rb") as stream, target.open("wb") as copy:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise WheelError(f"{name} is larger than {max_bytes} bytes")
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return WheelFile(name, size, digest.hexdigest())
