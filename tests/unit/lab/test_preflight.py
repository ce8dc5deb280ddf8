"""All that a machine lacks is said at once, with its cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import preflight
from lab.preflight import Lack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_the_pythons_of_the_locked_ansible_are_taken(version: tuple[int, int]) -> None:
    assert preflight.check_python(version) is None


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_other_pythons_are_not(version: tuple[int, int]) -> None:
    lack = preflight.check_python(version)
    assert lack is not None
    assert f"{version[0]}.{version[1]}" in lack.what


def test_want_of_room_is_seen_where_the_folder_is_yet_to_be_made(tmp_path: Path) -> None:
    assert preflight.room(tmp_path / "a/b", 0) is None
    lack = preflight.room(tmp_path / "a/b", 1 << 40)
    assert lack is not None
    assert str(tmp_path) in lack.what
    assert lack.cure.startswith("remove something")


def test_want_of_memory_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "fleet_runs", lambda: False)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8388608 kB\nMemAvailable:  1048576 kB\n")
    lack = preflight.check_memory(meminfo)
    assert lack is not None
    assert lack.what == "1.0 GiB of memory are available, and 3 are needed"
    meminfo.write_text("MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n")
    assert preflight.check_memory(meminfo) is None


def test_everything_is_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacks = [Lack("no root", "sudo"), None, Lack("no room", "rm")]
    monkeypatch.setattr(preflight, "CHECKS", [lambda lack=lack: lack for lack in lacks])
    assert preflight.main() == 1
    out = capsys.readouterr().out
    assert "2 of the things" in out
    assert [line for line in out.splitlines() if "cure:" in line] == [
        "      cure: sudo",
        "      cure: rm",
    ]


def test_a_fleet_that_runs_does_not_lack_what_it_has_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "fleet_runs", lambda: True)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable:  1048576 kB\n")
    assert preflight.check_memory(meminfo) is None


def test_a_machine_that_lacks_nothing_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "CHECKS", [lambda: None])
    assert preflight.main() == 0
