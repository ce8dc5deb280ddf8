"""Whatever is killed and whenever: nothing is lost, nothing is there twice, nothing is left."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from master.database.connection import DatabaseUnreachableError
from tests.support.cluster import Cluster
from tests.support.farm import Farm, said, upstream
from tests.support.wheels import Forge

ROOT = Path(__file__).parents[2]
BUILDERS = {"pi1": "bookworm", "pi2": "bookworm"}


class Work:
    """Jobs that never run out while a test goes on, and what each will be built to."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.jobs = 0
        self.forges: dict[int, Forge | None] = {}
        farm.targets = [target for target in farm.targets if target.name == "bookworm"]

    def add(self) -> None:
        """Every fifth build will fail, every third of the others has a library."""
        self.jobs += 24
        self.farm.sync(upstream("demo", *(f"1.{n}" for n in range(self.jobs))))
        for job_id, version in self.farm.rows(
            "SELECT job_id, version FROM jobs JOIN versions USING (version_id)"
        ):
            pure = Forge(version=version, tag="py3-none-any", files={"demo.py": b"x" * job_id})
            made = Forge(version=version) if job_id % 3 == 0 else pure
            self.forges[job_id] = made if job_id % 5 else None

    def build(self) -> int:
        """Claims jobs and puts a result of each into incoming/, as rsync would; how many."""
        built = 0
        for builder, handout in self.farm.claim(BUILDERS).items():
            for key in handout.leased:
                if not (self.farm.config.incoming / builder / key).exists():
                    self.farm.send(builder, key, self.forges[int(key.split("-")[1])])
                built += 1
        return built

    def finish(self) -> None:
        """Run rounds that nobody disturbs, until there is nothing to do."""
        while self.build():
            assert self.farm.gather(**collected(self.farm)).recorded


def collected(farm: Farm) -> dict[str, dict[str, object]]:
    """Return the reports of builders that have sent what is in incoming/."""
    return {
        builder: said(done=sorted(f.name for f in (farm.config.incoming / builder).glob("*")))
        for builder in BUILDERS
    }


@contextmanager
def recording(farm: Farm) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that has begun to record what has come in; killed at the end."""
    config = farm.config
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.support.recorder"),
            *(config.database.host, config.database.name, str(config.state_dir)),
            farm.now.isoformat(),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def expect_all_done(farm: Farm, jobs: int) -> None:
    """Every job is done, by one build whose every trace agrees with all others."""
    assert farm.differences() == []
    states = dict(farm.rows("SELECT state, count(*) FROM jobs GROUP BY state"))
    failed = farm.value("SELECT count(*) FROM jobs WHERE job_id % 5 = 0")
    assert states == {"built": jobs - failed, "failed": failed}
    assert farm.value("SELECT count(*) FROM builds") == jobs
    assert farm.value("SELECT count(*) FROM files") == jobs - failed
    assert farm.value("SELECT max(lost_count) FROM jobs") == 0


@pytest.mark.soak
def test_recording_is_killed_at_any_moment(farm: Farm, chance: random.Random) -> None:
    kills = in_the_middle = 0
    work = Work(farm)
    work.add()
    work.build()
    with recording(farm) as process:
        began = time.monotonic()
        assert process.wait() == 0
        whole_s = time.monotonic() - began
    # At least so often, and until some fell between the syncs of two files.
    deadline = time.monotonic() + 300
    while kills < 12 or in_the_middle < 3:
        assert time.monotonic() < deadline, f"{kills} kills landed, {in_the_middle} in the middle"
        if not work.build():
            work.add()
            assert work.build()
        with recording(farm) as process:
            time.sleep(chance.uniform(0, whole_s))
            kills += process.poll() is None
        if any(farm.config.intents.iterdir()):
            in_the_middle += 1
            if in_the_middle % 2:
                # The builders leave: what was cut off is of attempts that nobody comes back to.
                farm.claim({})
    work.finish()
    expect_all_done(farm, work.jobs)


@pytest.mark.soak
def test_postgres_is_killed_at_any_moment(
    farm: Farm, cluster: Cluster, chance: random.Random
) -> None:
    work = Work(farm)
    stop = threading.Event()
    unreachable = 0
    surprises: list[BaseException] = []

    def rounds() -> None:
        nonlocal unreachable
        while not stop.is_set():
            try:
                if work.build():
                    farm.gather(**collected(farm))
                else:
                    dry.set()
                    filled.wait()
                    filled.clear()
            except DatabaseUnreachableError:
                unreachable += 1
                time.sleep(0.02)
            except BaseException as error:  # noqa: BLE001 - the test shows it
                surprises.append(error)
                return

    dry, filled = threading.Event(), threading.Event()
    work.add()
    worker = threading.Thread(target=rounds)
    worker.start()
    for _ in range(10):
        time.sleep(chance.uniform(0, 0.12))
        if chance.random() < 0.5:
            cluster.stop("immediate")
        else:
            cluster.kill()
        cluster.start()
        farm.disconnect()
        if dry.is_set():
            dry.clear()
            work.add()
            filled.set()
    stop.set()
    filled.set()
    worker.join()
    assert surprises == []
    assert unreachable > 0
    work.finish()
    expect_all_done(farm, work.jobs)
