"""A job comes to an end or goes back; the package answers for its build and the Pi for itself."""

from __future__ import annotations

import errno
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import PiTroubleError, files
from builder.attempt import fetch, output
from builder.attempt.build import Builder
from builder.sandbox.units import UnitError
from builder.spool.held import Held
from builder.spool.spool import Spool
from protocol.result import UnitResult
from tests.support.builder import RELEASE, FakeUnits, config, job
from tests.support.wheels import Forge, elf

KEY = "bookworm-1-1"
NAME = "demo-1.0-cp311-cp311-linux_armv7l.whl"
Act = Callable[[Path], UnitResult]


class Bench:
    """A builder with a spool of its own, a clock, and one job that was taken."""

    def __init__(self, folder: Path, act: Act | None = None, **changes: Any) -> None:
        self.config = config(folder, **changes)
        self.spool = Spool(self.config.spool_dir)
        self.spool.make()
        self.units = FakeUnits(self.config.work_dir, act or good_build)
        self.now = 1000.0
        self.builder = Builder(self.config, self.spool, self.units, clock=lambda: self.now)

    def take(self, **changes: Any) -> Held:
        self.spool.add(job(KEY, **changes))
        taken = self.spool.take(self.now)
        assert taken is not None
        return taken

    def result(self) -> dict[str, Any]:
        assert self.spool.snapshot().done == (KEY,)
        found: dict[str, Any] = json.loads(
            (self.spool.results / KEY / "result.json").read_text(encoding="utf-8")
        )
        return found

    def queued(self) -> Held:
        snapshot = self.spool.snapshot()
        assert not snapshot.running
        assert not snapshot.done
        (only,) = snapshot.queued
        return only


def good_build(folder: Path) -> UnitResult:
    (folder / "log").write_text("built\n")
    Forge(files={"demo.so": elf("libc.so.6", "libnone.so.1")}).write(folder / "out")
    return UnitResult("success")


def failed_build(folder: Path) -> UnitResult:
    (folder / "log").write_text("x.c:1:1: fatal error: a.h: No such file or directory\n")
    return UnitResult("exit-code", 1)


def no_sandbox(_: Path) -> UnitResult:
    raise UnitError("status 226")


@pytest.fixture(autouse=True)
def sdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sdist is there; tests of fetching are elsewhere."""

    def got(source: Any, folder: Path, **_: object) -> Path:
        (folder / source.filename).write_bytes(b"sdist")
        return folder / str(source.filename)

    monkeypatch.setattr(fetch, "sdist", got)


def test_a_wheel_and_its_needs_are_the_result(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.builder.build(bench.take())
    result = bench.result()
    assert (result["status"], result["reason"]) == ("built", None)
    assert result["wheel"]["filename"] == NAME
    assert result["started_at"] == "1970-01-01T00:16:40+00:00"
    folder = bench.spool.results / KEY
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "log.txt", "result.json"]
    assert (folder / "log.txt").read_text().endswith("wheel needs: libc.so.6 libnone.so.1\n")
    assert not list(bench.config.work_dir.iterdir())
    assert not list(bench.spool.tmp.iterdir())


def test_what_a_build_left_running_is_ended_before_its_files_are_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.builder.build(bench.take())
    assert bench.units.calls == [
        f"root {KEY}",
        f"build {KEY}",
        f"end {KEY}",
        f"remove {KEY}",
    ]


def test_the_sandbox_is_told_its_sdist_and_nothing_else(tmp_path: Path) -> None:
    seen = []

    def look(folder: Path) -> UnitResult:
        seen.extend((folder / "in" / "build.env").read_text().splitlines())
        return failed_build(folder)

    bench = Bench(tmp_path, look)
    bench.builder.build(bench.take())
    assert seen[0] == "SDIST=/in/demo-1.0.tar.gz"
    assert [line.split("=")[0] for line in seen[1:]] == [
        "MAKEFLAGS",
        "CMAKE_BUILD_PARALLEL_LEVEL",
        "MAX_JOBS",
        "_PYTHON_HOST_PLATFORM",
        "PERSONALITY",
    ]


@pytest.mark.parametrize(
    ("platform_tag", "machine", "told"),
    [
        ("linux_armv7l", "armv7l", ["_PYTHON_HOST_PLATFORM=linux-armv7l", "PERSONALITY=linux32"]),
        (
            "linux_aarch64",
            "aarch64",
            ["_PYTHON_HOST_PLATFORM=linux-aarch64", "PERSONALITY=linux64"],
        ),
    ],
)
def test_a_build_sees_its_target_whatever_kernel_it_runs_on(
    tmp_path: Path, platform_tag: str, machine: str, told: list[str]
) -> None:
    seen = []

    def look(folder: Path) -> UnitResult:
        seen.extend((folder / "in" / "build.env").read_text().splitlines())
        return failed_build(folder)

    release = replace(RELEASE, platform_tag=platform_tag, machine=machine)
    bench = Bench(tmp_path, look, release=release)
    bench.builder.build(bench.take())
    assert seen[-2:] == told


def test_a_failed_build_is_a_result_with_its_log_and_how_it_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, failed_build, build_timeout_s=7200)
    bench.builder.build(bench.take())
    result = bench.result()
    assert (result["status"], result["reason"]) == ("failed", None)
    assert result["unit"] == {"result": "exit-code", "exit_status": 1}
    assert result["timeout_s"] == 7200
    assert result["wheel"] is None
    assert b"fatal error" in (bench.spool.results / KEY / "log.txt").read_bytes()


def test_a_build_that_leaves_no_sound_wheel_has_failed(tmp_path: Path) -> None:
    def two(folder: Path) -> UnitResult:
        (folder / "out" / "other.whl").touch()
        return good_build(folder)

    bench = Bench(tmp_path, two)
    bench.builder.build(bench.take())
    assert bench.result()["reason"].startswith("wheel refused: the build left 2 files")
    assert not list(bench.spool.tmp.iterdir())


def broken(method: int, at: bytes, offset: int, new: bytes) -> Act:
    """Return a build whose wheel has `new` at `offset` from the first `at`."""

    def act(folder: Path) -> UnitResult:
        good_build(folder)
        path = Forge(files={"dém.so": elf("libc.so.6")}, method=method).write(folder / "out")
        raw = bytearray(path.read_bytes())
        start = raw.index(at) + offset
        raw[start : start + len(new)] = new
        path.write_bytes(raw)
        return UnitResult("success")

    return act


def closed_folder(folder: Path) -> UnitResult:
    good_build(folder)
    (folder / "out" / NAME).unlink()
    (folder / "out").rmdir()
    # Stands for mode 0, which holds off anybody but root: the folder can't be opened.
    (folder / "out").symlink_to("in")
    return UnitResult("success")


_CENTRAL, _END = b"PK\1\2", b"PK\5\6"
HOSTILE: dict[str, tuple[Act, str]] = {
    "a name that is no UTF-8": (
        broken(zipfile.ZIP_STORED, _CENTRAL, 47, b"\xff"),
        "codec can't decode",
    ),
    "no sound deflate": (broken(zipfile.ZIP_DEFLATED, b".so", 3, b"\xff" * 8), "Error -3"),
    "lzma": (broken(zipfile.ZIP_LZMA, b".so", 7, b"\xff" * 5), "packed by method 14"),
    "bz2": (broken(zipfile.ZIP_BZIP2, b".so", 3, b"\xff" * 8), "packed by method 12"),
    "an unknown method": (broken(zipfile.ZIP_STORED, _CENTRAL, 10, b"\x63"), "by method 99"),
    "an encrypted member": (broken(zipfile.ZIP_STORED, _CENTRAL, 8, b"\1"), "is encrypted"),
    "a wrong place of the directory": (
        broken(zipfile.ZIP_STORED, _END, 16, b"\xff\xff\xff\x7f"),
        "can't (be )?unpack",
    ),
    "a folder that can't be opened": (closed_folder, "its folder can't be opened"),
}


@pytest.mark.parametrize("left", HOSTILE)
def test_no_wheel_keeps_its_job_from_ending(tmp_path: Path, left: str) -> None:
    act, says = HOSTILE[left]
    bench = Bench(tmp_path, act)
    bench.builder.build(bench.take())
    result = bench.result()
    assert result["status"] == "failed"
    assert re.match(f"wheel refused: .*{says}", result["reason"])
    assert (bench.spool.results / KEY / "log.txt").read_text() == "built\n"
    assert not list(bench.spool.tmp.iterdir())


def test_a_root_that_can_not_be_made_is_not_the_package_s_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.units.refuses_root = "no overlay"
    with pytest.raises(PiTroubleError, match=r"^the root of a build can't be made: no overlay$"):
        bench.builder.build(bench.take())
    assert bench.queued().interrupted == 0


def test_a_sandbox_that_fails_for_one_package_again_and_again_fails_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, no_sandbox)
    taken = bench.take()
    for count in (1, 2):
        with pytest.raises(PiTroubleError, match="can't be set up"):
            bench.builder.build(taken)
        assert bench.queued().interrupted == count
        again = bench.spool.take(bench.now)
        assert again is not None
        taken = again
    bench.builder.build(taken)
    assert bench.result()["reason"].startswith("builder-lost: interrupted 3 times")


@pytest.mark.parametrize("code", ["network", "missing", "other-file", None])
def test_an_sdist_that_can_not_be_had_is_a_result_that_says_what_kept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise fetch.FetchError("https://localhost/x: unreachable", code)

    bench = Bench(tmp_path)
    monkeypatch.setattr(fetch, "sdist", fails)
    bench.builder.build(bench.take())
    result = bench.result()
    reason = "the sdist can't be fetched: https://localhost/x: unreachable"
    assert (result["status"], result["reason"], result["fetch"]) == ("failed", reason, code)
    assert (bench.spool.results / KEY / "log.txt").read_text() == f"{reason}\n"
    assert (bench.builder.pause.refusal() is None) == (code != "network")
    assert not list(bench.config.work_dir.iterdir())


def test_a_fetch_that_works_ends_the_pause(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.builder.pause.begin("unreachable")
    bench.builder.build(bench.take())
    assert bench.result()["fetch"] is None
    assert bench.builder.pause.refusal() is None


@pytest.mark.parametrize(
    ("module", "name"), [(fetch, "sdist"), (output, "take"), (files, "write_synced")]
)
def test_a_full_disk_keeps_the_job_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    bench = Bench(tmp_path)
    taken = bench.take()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, name, full)
    with pytest.raises(PiTroubleError, match=r"^disk full: .*; remove something from the Pi$"):
        bench.builder.build(taken)
    monkeypatch.undo()
    assert bench.queued().interrupted == 0
    assert not list(bench.spool.tmp.iterdir())
    assert not list(bench.config.work_dir.iterdir())


def test_a_build_that_fills_its_work_area_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", full)
    bench = Bench(tmp_path)
    bench.builder.build(bench.take())
    assert bench.result()["reason"].startswith("wheel refused: no room to unpack")


def test_a_build_that_outlived_the_service_is_not_begun_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    taken = bench.take()
    bench.units.start_root(KEY)
    bench.units.under_way.add(KEY)
    bench.now += 30
    bench.builder.resume(taken)
    assert bench.units.calls == [
        f"root {KEY}",
        f"build {KEY}",
        f"end {KEY}",
        f"remove {KEY}",
    ]
    assert bench.result()["duration_s"] == 30.0


def test_a_build_that_a_power_cut_ended_is_counted_and_begun_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    taken = bench.take()
    for count in (1, 2):
        bench.builder.resume(taken)
        assert bench.queued().interrupted == count
        again = bench.spool.take(bench.now)
        assert again is not None
        taken = again
    bench.builder.resume(taken)
    assert bench.result()["reason"] == "builder-lost: interrupted 3 times"
