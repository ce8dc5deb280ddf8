"""A job is in exactly one state, and nothing is lost when the disk is full."""

from __future__ import annotations

import errno
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder import files
from builder.files import DiskFullError
from builder.spool.held import Held
from builder.spool.spool import Spool
from protocol.result import Result, WheelFile
from tests.support.builder import job

START = datetime(2026, 1, 1, tzinfo=UTC)
OF_VERSION_1 = """{
 "key": "bookworm-1-1",
 "project": "demo",
 "version": "1.0",
 "release": "bookworm",
 "sdist": {
  "filename": "demo-1.0.tar.gz",
  "url": "https://localhost/demo-1.0.tar.gz",
  "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
  "size_bytes": 17
 },
 "priority": 100,
 "queued_at": 1795830137.1151664,
 "started_at": 1764290000.25,
 "not_before": 0.0,
 "interrupted": 1,
 "fetch_failures": 0
}"""
"""A job in a spool, as it was written before messages said their version."""


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.make()
    return made


def failed(key: str) -> Result:
    return Result(key, "failed", "why", START, START, 1)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def taken(spool: Spool, key: str = "bookworm-1-1") -> Held:
    spool.add(job(key))
    found = spool.take(100.0)
    assert found is not None
    return found


def test_a_job_that_is_there_in_any_state_is_not_added_again(spool: Spool) -> None:
    assert spool.add(job())
    assert not spool.add(job())
    assert spool.take(100.0)
    assert not spool.add(job())
    spool.finish(failed("bookworm-1-1"), b"", None)
    assert not spool.add(job())
    assert spool.snapshot().done == ("bookworm-1-1",)


def test_the_highest_priority_goes_first_then_the_oldest(spool: Spool) -> None:
    for key, priority in (("bookworm-3-1", 0), ("bookworm-1-1", 0), ("bookworm-2-1", 100)):
        spool.add(job(key, priority=priority))
    taken_keys = []
    while (found := spool.take(100.0)) is not None:
        taken_keys.append(found.key)
    assert taken_keys == ["bookworm-2-1", "bookworm-3-1", "bookworm-1-1"]


def test_a_job_that_was_put_back_is_taken_again_at_once(spool: Spool) -> None:
    spool.put_back(taken(spool))
    again = spool.take(200.0)
    assert again is not None
    assert again.started_at == 200.0


def test_a_job_that_an_older_version_let_wait_is_taken(spool: Spool) -> None:
    old = {**json.loads(OF_VERSION_1), "not_before": 9e9, "fetch_failures": 3}
    (spool.jobs / "bookworm-1-1.json").write_text(json.dumps(old))
    assert spool.take(100.0) is not None


def test_a_job_from_before_an_update_is_in_the_spool_as_it_was(spool: Spool) -> None:
    for state in (spool.jobs, spool.running):
        path = state / "bookworm-1-1.json"
        path.write_text(OF_VERSION_1)
        snapshot = spool.snapshot()
        (held,) = (*snapshot.queued, *snapshot.running)
        assert (held.key, held.target, held.priority) == ("bookworm-1-1", "bookworm", 100)
        assert (held.queued_at, held.started_at) == (1795830137.1151664, 1764290000.25)
        assert held.interrupted == 1
        path.unlink()


def test_a_job_from_before_an_update_is_built_and_its_result_stands(spool: Spool) -> None:
    (spool.running / "bookworm-1-1.json").write_text(OF_VERSION_1)
    (held,) = spool.recover("bookworm")
    spool.put_back(held.waiting(interrupted=2))
    again = spool.take(200.0)
    assert again is not None
    assert (again.interrupted, again.sdist) == (2, held.sdist)
    spool.finish(failed(again.key), b"", None)
    assert spool.snapshot().done == ("bookworm-1-1",)


def test_a_result_stands_whole_before_its_job_is_done(spool: Spool) -> None:
    key = taken(spool).key
    wheel = spool.tmp / "x.whl"
    wheel.write_bytes(b"wheel")
    name = "demo-1.0-py3-none-any.whl"
    result = Result(key, "built", None, START, START, 1, wheel=WheelFile(name, 5, "0" * 64))
    spool.finish(result, b"log", wheel)
    folder = spool.results / key
    assert sorted(path.name for path in folder.iterdir()) == [name, "log.txt", "result.json"]
    assert json.loads((folder / "result.json").read_text())["wheel"]["filename"] == name
    assert (folder / "log.txt").read_bytes() == b"log"


def test_an_acknowledged_result_leaves_nothing(spool: Spool) -> None:
    key = taken(spool).key
    spool.finish(failed(key), b"log", None)
    assert spool.acknowledge(key)
    assert not spool.acknowledge(key)
    assert not list(spool.results.iterdir())
    assert spool.snapshot().keys == frozenset()


def test_only_unstarted_jobs_are_withdrawn(spool: Spool) -> None:
    key = taken(spool).key
    assert not spool.withdraw(key)
    spool.add(job("bookworm-2-1"))
    assert spool.withdraw("bookworm-2-1")
    assert spool.snapshot().keys == {key}


def test_a_full_disk_while_adding_leaves_nothing_half_written(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError, match="No space"):
        spool.add(job())
    monkeypatch.undo()
    assert spool.snapshot().keys == frozenset()
    assert not list(spool.tmp.iterdir())


def test_a_full_disk_while_finishing_keeps_the_job(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = taken(spool).key
    monkeypatch.setattr(files, "write_synced", full)
    with pytest.raises(DiskFullError, match="No space"):
        spool.finish(failed(key), b"log", None)
    monkeypatch.undo()
    assert [item.key for item in spool.snapshot().running] == [key]
    assert not list(spool.tmp.iterdir())
    assert not list(spool.results.iterdir())


def test_a_full_disk_keeps_no_job_from_being_put_back(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = taken(spool)
    monkeypatch.setattr(files, "write_synced", full)
    spool.put_back(found)
    monkeypatch.undo()
    assert [item.key for item in spool.snapshot().queued] == [found.key]
    assert not spool.snapshot().running


def test_a_full_disk_while_taking_keeps_the_job_queued(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.add(job())
    monkeypatch.setattr(files, "write_synced", full)
    with pytest.raises(DiskFullError, match="No space"):
        spool.take(100.0)
    monkeypatch.undo()
    assert [item.key for item in spool.snapshot().queued] == ["bookworm-1-1"]


def test_a_job_that_was_being_built_is_found_at_the_start(spool: Spool) -> None:
    key = taken(spool).key
    assert [item.key for item in spool.recover("bookworm")] == [key]


def test_a_job_that_was_only_on_its_way_is_queued_again(spool: Spool) -> None:
    spool.add(job())
    (spool.jobs / "bookworm-1-1.json").rename(spool.running / "bookworm-1-1.json")
    assert spool.recover("bookworm") == ()
    assert [item.key for item in spool.snapshot().queued] == ["bookworm-1-1"]


def test_a_result_that_stood_before_a_kill_completes(spool: Spool) -> None:
    key = taken(spool).key
    (spool.results / key).mkdir()
    (spool.results / key / "result.json").write_text("{}")
    assert spool.recover("bookworm") == ()
    assert spool.snapshot().done == (key,)
    assert (spool.results / key).exists()


def test_of_the_release_that_this_pi_had_its_results_alone_are_left(spool: Spool) -> None:
    for number in (1, 2, 3):
        spool.add(job(f"trixie-{number}-1", target="trixie", priority=9 - number))
    for _ in range(2):
        spool.take(100.0)
    (spool.results / "trixie-1-1").mkdir()
    (spool.results / "trixie-1-1" / "result.json").write_text("{}")
    spool.add(job("bookworm-4-1"))
    assert [len(spool.snapshot().queued), len(spool.snapshot().running)] == [2, 2]
    assert spool.recover("bookworm") == ()
    assert spool.snapshot().done == ("trixie-1-1",)
    assert spool.snapshot().keys == {"trixie-1-1", "bookworm-4-1"}


def test_leftovers_are_removed_at_the_start(spool: Spool) -> None:
    (spool.results / "bookworm-9-1").mkdir()
    (spool.results / "bookworm-9-1" / "x.whl").touch()
    (spool.tmp / "bookworm-9-1.result").mkdir()
    (spool.tmp / "x.whl").touch()
    spool.recover("bookworm")
    assert not list(spool.results.iterdir())
    assert not list(spool.tmp.iterdir())


def test_a_file_that_a_dying_disk_spoilt_counts_as_not_there(spool: Spool) -> None:
    (spool.jobs / "bookworm-1-1.json").write_bytes(b"\0\0\0")
    assert spool.snapshot().keys == frozenset()
    assert spool.add(job())
