"""Killed at random moments, a spool loses no job, has none twice and leaves nothing behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.spool.spool import Spool
from tests.support.builder import job

_ROUNDS = 20
_JOBS = 12

# The service's part: everything that it does to the spool, as fast as it can.
_WORKER = """
import sys, time
from dataclasses import replace
from pathlib import Path
from builder.spool.spool import Spool
from protocol.result import Result, WheelFile

spool = Spool(Path(sys.argv[1]))
for started in spool.recover("bookworm"):
    spool.put_back(started.waiting(interrupted=started.interrupted + 1))
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    job = spool.take(time.time())
    if job is None:
        continue
    if job.interrupted == 0:
        spool.put_back(job.waiting(interrupted=1))
        continue
    wheel = spool.tmp / (job.key + ".whl")
    wheel.write_bytes(job.key.encode())
    name = job.key + ".whl"
    result = Result(job.key, "built", None, None, None, 1.0, wheel=WheelFile(name, 1, "0" * 64))
    spool.finish(result, job.key.encode() * 1000, wheel)
"""


@contextmanager
def running(code: str, spool: Path) -> Iterator[None]:
    """Run `code` and wait until it says that it's ready; at the end send it SIGKILL."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(spool)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def run_and_kill(code: str, spool: Path, delay_s: float) -> None:
    """Run `code` and send it SIGKILL `delay_s` after it has said that it's ready."""
    with running(code, spool):
        time.sleep(delay_s)


@pytest.mark.soak
def test_no_job_is_lost_or_doubled_however_often_the_service_is_killed(
    tmp_path: Path, chance: random.Random
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.make()
    wanted = {f"bookworm-{number}-1" for number in range(_JOBS)}
    for key in wanted:
        spool.add(job(key))
    acknowledged: set[str] = set()
    for number in range(_ROUNDS):
        run_and_kill(_WORKER, spool.root, chance.random() * 0.03)
        snapshot = spool.snapshot()
        in_states = [item.key for item in (*snapshot.queued, *snapshot.running)]
        in_states += snapshot.done
        assert sorted(in_states) == sorted(wanted), "in exactly one state"
        for key in snapshot.done:
            folder = spool.results / key
            assert (folder / "log.txt").read_bytes() == key.encode() * 1000
            assert (folder / f"{key}.whl").read_bytes() == key.encode()
        if number % 3 == 2:
            # The master's part, between two kills: acknowledge a result and hand over a new job.
            for key in snapshot.done[:2]:
                spool.acknowledge(key)
                acknowledged.add(key)
                wanted.remove(key)
                new = f"bookworm-{100 + number}-{len(acknowledged)}"
                spool.add(job(new))
                wanted.add(new)
    assert acknowledged, "the rounds were too short for a single job"
    assert spool.recover("bookworm") is not None
    assert not list(spool.tmp.iterdir())
    assert {path.name for path in spool.results.iterdir()} == set(spool.snapshot().done)


_MASTER = """
import sys
from pathlib import Path
from builder.spool import reconcile
from builder.spool.spool import Spool
from protocol import job

spool = Spool(Path(sys.argv[1]))
sys.stdout.write("ready\\n")
sys.stdout.flush()
number = 0
while True:
    number += 1
    jobs = [
        job.parse({
            "key": f"bookworm-{number + i}-1", "project": "demo", "version": "1.0",
            "protocol": 2, "target": "bookworm",
            "sdist": {"filename": "d.tar.gz", "url": "https://localhost/d", "sha256": "0" * 64},
        })
        for i in range(3)
    ]
    keys = {item.key for item in jobs}
    reconcile.apply(spool, reconcile.plan(spool.snapshot(), jobs, keys, ()))
"""


@pytest.mark.soak
def test_a_call_of_the_master_that_is_killed_leaves_whole_jobs_only(
    tmp_path: Path, chance: random.Random
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.make()
    for _ in range(20):
        run_and_kill(_MASTER, spool.root, chance.random() * 0.03)
        files = sorted(path.stem for path in spool.jobs.iterdir())
        assert sorted(item.key for item in spool.snapshot().queued) == files
    spool.recover("bookworm")
    assert not list(spool.tmp.iterdir())


_BUSY = """
import sys, time
from pathlib import Path
from builder.spool.spool import Spool

spool = Spool(Path(sys.argv[1]))
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    job = spool.take(time.time())
    spool.put_back(job.waiting())
"""


@pytest.mark.soak
def test_the_service_and_the_master_at_once_see_every_job_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.make()
    keys = sorted(f"bookworm-{number}-1" for number in range(3))
    for key in keys:
        spool.add(job(key))
    with running(_BUSY, spool.root):
        for _ in range(300):
            snapshot = spool.snapshot()
            assert sorted(item.key for item in (*snapshot.queued, *snapshot.running)) == keys
            assert not any(spool.add(job(key)) for key in keys)
