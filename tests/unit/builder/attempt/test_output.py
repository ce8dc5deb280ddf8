"""What a build leaves is taken only if it is one wheel, and never followed anywhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.attempt import log, output
from tests.support.builder import sha256

NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_the_wheel_is_copied_and_measured(out: Path, tmp_path: Path) -> None:
    (out / NAME).write_bytes(b"wheel")
    taken = output.take(out, tmp_path / "copy", 5)
    assert (taken.filename, taken.size_bytes, taken.sha256) == (NAME, 5, sha256(b"wheel"))
    assert (tmp_path / "copy").read_bytes() == b"wheel"


def secret_link(out: Path) -> None:
    (out.parent / "secret").write_text("secret")
    (out / NAME).symlink_to(out.parent / "secret")


def two_files(out: Path) -> None:
    (out / NAME).touch()
    (out / "other.txt").touch()


def no_folder(out: Path) -> None:
    out.rmdir()
    out.symlink_to(out.parent)


LEFT: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _: None, "left 0 files"),
    "two files": (two_files, "left 2 files"),
    "a link": (secret_link, "can't be opened"),
    "a pipe": (lambda out: os.mkfifo(out / NAME), "is not a regular file"),
    "a folder": (lambda out: (out / NAME).mkdir(), "is not a regular file"),
    "another name": (lambda out: (out / "x.tar.gz").touch(), "valid name of a wheel"),
    "a name with a line end": (lambda out: (out / "a\nb.whl").touch(), "valid name of a wheel"),
    "a link for a folder": (no_folder, "its folder can't be opened"),
    "a large file": (lambda out: (out / NAME).write_bytes(b"123456"), "larger than 5 bytes"),
}


@pytest.mark.parametrize("left", LEFT)
def test_anything_else_is_refused(out: Path, tmp_path: Path, left: str) -> None:
    make, says = LEFT[left]
    make(out)
    with pytest.raises(output.WheelError, match=says):
        output.take(out, tmp_path / "copy", 5)
    assert not (tmp_path / "copy").exists()


def test_a_folder_that_can_not_be_read_is_refused(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: int) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(output.WheelError, match="can't be read: Permission denied"):
        output.take(out, tmp_path / "copy", 5)


def test_a_long_log_keeps_its_head_and_its_tail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"HEAD" + b"x" * 10_000 + b"TAIL")
    kept = log.trimmed(path, 1000)
    assert len(kept) <= 1000
    assert kept.startswith(b"HEAD")
    assert kept.endswith(b"TAIL")
    assert b"bytes left out" in kept


def test_a_short_log_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"all of it")
    assert log.trimmed(path, 1000) == b"all of it"
    assert log.trimmed(tmp_path / "none", 1000) == b""
