"""The second Python is one that really runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import other_python

if TYPE_CHECKING:
    from pathlib import Path


def _python(folder: Path, minor: int, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"python3.{minor}"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_stand_in_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    _python(tmp_path / "shims", 13, "echo 'not the chosen version' >&2; exit 127")
    real = _python(tmp_path / "real", 13, "echo 13")
    path = f"{tmp_path}/none:{tmp_path}/shims:{tmp_path}/real"
    assert other_python.find_python([13, 12], path) == (real, 13)


def test_the_newest_is_taken_and_never_the_same(tmp_path: Path) -> None:
    _python(tmp_path / "bin", 11, "echo 11")
    twelve = _python(tmp_path / "bin", 12, "echo 12")
    found = other_python.find_python(other_python.other_minors(11), str(tmp_path / "bin"))
    assert found == (twelve, 12)
    assert other_python.find_python(other_python.other_minors(12), str(tmp_path / "none")) is None


def test_a_new_lock_file_makes_a_new_environment() -> None:
    folders = {other_python.venv_folder(13, lock, "machine") for lock in (b"one", b"two")}
    assert len(folders) == 2
