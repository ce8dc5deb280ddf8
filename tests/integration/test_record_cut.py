"""Full disks, cut connections, and what is half done: nothing is lost, nothing is kept twice."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import pytest

from master.database.connection import Connection, DatabaseUnreachableError
from master.results.record import NoRoomError
from master.results.store import Intent, Store
from tests.support.farm import Farm, said
from tests.support.wheels import Forge


def test_a_full_disk_leaves_nothing_half_done_and_is_said(
    farm: Farm, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.send("pi1", key, Forge())
    real = os.fsync
    for limit in range(8):
        left = limit

        def fsync(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        try:
            gathered = farm.gather(pi1=said(done=[key]))
        finally:
            monkeypatch.setattr(os, "fsync", real)
        if gathered.recorded:
            break
        assert "disk of the master is full" in (gathered.stopped or "")
        assert "the next round goes on" in (gathered.stopped or "")
        assert [p for p in farm.config.store.rglob("*") if p.is_file()] == []
        assert list(farm.config.intents.iterdir()) == []
        assert farm.rows("SELECT * FROM builds") == []
        assert (farm.config.incoming / "pi1" / key / "result.json").exists()
        errors = farm.value("SELECT value FROM sync_state WHERE key = 'last_collect_error'")
        assert errors == gathered.stopped
    assert limit >= 3
    assert farm.states() == {"demo 1.0": "built"}
    assert farm.differences() == []


def fill(path: Path) -> None:
    """Write until there is no room."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"x" * 4096):
            pass
    os.close(descriptor)


@pytest.mark.parametrize("room_bytes", [0, 32 << 10], ids=["none", "for half of the wheel"])
def test_a_really_full_disk(farm: Farm, key: str, tmp_path: Path, room_bytes: int) -> None:
    """The master's state on a file system of 256 KiB that is full, or becomes it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    small = tmp_path / "small"
    small.mkdir()
    os.system(f"mount -t tmpfs -o size=256k tmpfs {small}")
    try:
        farm.config = replace(farm.config, state_dir=small)
        for folder in (farm.config.incoming, farm.config.store, farm.config.intents):
            folder.mkdir()
        farm.send("pi1", key, Forge(files={"demo.so": random.Random(1).randbytes(64 << 10)}))
        filler = small / "filler"
        fill(filler)
        os.truncate(filler, filler.stat().st_size - room_bytes)
        with farm.connect("queue") as conn, pytest.raises(NoRoomError, match="df -h"):
            farm.recorder(conn).record("pi1", key, farm.now)
        assert list(farm.config.intents.iterdir()) == []
        assert farm.states() == {"demo 1.0": "leased"}
        filler.unlink()
        assert farm.record(key).status == "built"
        assert farm.differences() == []
    finally:
        os.system(f"umount {small}")


def test_an_intent_whose_build_is_recorded_is_fulfilled(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    filename = farm.record(key).filename
    Store(farm.config).begin(Intent(key, "demo", filename))
    farm.gather()
    assert farm.differences() == []


def test_an_intent_whose_build_isnt_recorded_is_undone(farm: Farm, key: str) -> None:
    store = Store(farm.config)
    intent = Intent(key, "demo", "demo-1.0-cp311-cp311-linux_armv7l.whl")
    wheel = farm.config.state_dir / "wheel"
    wheel.write_bytes(b"x")
    store.begin(intent)
    store.put(intent, wheel, b"metadata")
    store.workshop(key)
    (farm.config.intents / "bookworm-7-7.json.new").write_text("{")
    assert len(farm.differences()) > 2
    farm.gather()
    assert farm.differences() == []
    assert list(farm.config.intents.iterdir()) == []


def test_an_intent_never_takes_away_anothers_wheel(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    filename = farm.record(key).filename
    # Of the same name, by another attempt: its wheel was never linked in, as the name was taken.
    Store(farm.config).begin(Intent(key.removesuffix("1") + "2", "demo", filename))
    farm.gather()
    assert farm.differences() == []


def recorded_without_a_connection(farm: Farm, conn: Connection, key: str) -> None:
    recorder = farm.recorder(conn)
    farm.rows("SELECT pg_terminate_backend(%s)", conn.info.backend_pid)
    recorder.record("pi1", key, farm.now)


class CutOff(psycopg2.extensions.connection):
    """Breaks just after a commit, whose answer doesn't arrive, when it is told to."""

    armed = False

    def commit(self) -> None:
        super().commit()
        if self.armed:
            self.close()
            raise psycopg2.OperationalError("the answer didn't arrive")


def test_a_commit_whose_answer_is_lost_keeps_the_wheel(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    database = farm.config.database
    conn = psycopg2.connect(
        host=database.host,
        port=database.port,
        dbname=database.name,
        user="wheelyard_queue",
        connection_factory=CutOff,
        cursor_factory=psycopg2.extras.NamedTupleCursor,
    )
    recorder = farm.recorder(conn)
    insert = recorder._insert_file

    def arm(*arguments: Any) -> None:
        insert(*arguments)
        conn.armed = True

    recorder._insert_file = arm  # type: ignore[method-assign,assignment]
    with pytest.raises(psycopg2.OperationalError, match="didn't arrive"):
        recorder.record("pi1", key, farm.now)
    assert {path.stem for path in farm.config.intents.iterdir()} == {key}
    gathered = farm.gather(pi1=said(done=[key]))
    assert not gathered.recorded
    assert farm.states() == {"demo 1.0": "built"}
    assert farm.differences() == []


def test_a_connection_that_breaks_leaves_the_result_for_the_next_round(
    farm: Farm, key: str
) -> None:
    farm.send("pi1", key, Forge())
    with (
        pytest.raises(DatabaseUnreachableError, match="failed in the middle of the work"),
        farm.connect("queue") as conn,
    ):
        recorded_without_a_connection(farm, conn, key)
    assert farm.states() == {"demo 1.0": "leased"}
    assert [r.status for r in farm.gather(pi1=said(done=[key])).recorded] == ["built"]
    assert farm.differences() == []
