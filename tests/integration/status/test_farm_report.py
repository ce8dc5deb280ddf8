"""Following a run, as an operator does: ansible-playbook, the real module, a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.farm import Farm, settings

ROOT = Path(__file__).parents[3]

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Follow
      farm_report: "{{ arguments }}"
      vars:
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@dataclass
class Follower:
    farm: Farm
    folder: Path
    settings: Path

    def start(self, **arguments: Any) -> subprocess.Popen[str]:
        """ansible-playbook with one farm_report task; its words come on stdout."""
        playbook = self.folder / "follow.yml"
        playbook.write_text(PLAYBOOK)
        values = {
            "config_path": str(self.settings),
            "since": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
            "follow": True,
            "interval_s": 0.1,
            "patience_s": 60,
            **arguments,
        }
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "--inventory=localhost,",
            f"--extra-vars={json.dumps({'arguments': values})}",
            str(playbook),
        ]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def follower(farm: Farm, tmp_path: Path) -> Follower:
    path = tmp_path / "master.json"
    path.write_text(json.dumps(settings(farm.config)))
    return Follower(farm, tmp_path, path)


def until(process: subprocess.Popen[str], words: str) -> str:
    """All that was said until a line has these words; all there is when none ever has."""
    assert process.stdout is not None
    said = ""
    limit = threading.Timer(120, process.kill)
    limit.start()
    for line in process.stdout:
        said += line
        if words in line:
            break
    limit.cancel()
    return said


def test_a_run_is_followed_until_it_is_published(follower: Follower) -> None:
    farm = follower.farm
    pi1 = farm.builder("pi1", last_seen_at=datetime.now(UTC))
    job = farm.job("spidev", "1")
    with follower.start() as process:
        said = until(process, "pi1")
        assert "1 left for bookworm" in said
        farm.rows(
            "UPDATE jobs SET state = 'built', attempt = 1, finished_at = now() WHERE job_id = %s",
            job,
        )
        farm.build(job, pi1, duration_s=65.0)
        farm.rows("UPDATE projects SET dirty_since = now()")
        said = until(process, "1 project to publish")
        assert "Done and published" not in said
        farm.rows("UPDATE projects SET dirty_since = NULL")
        said = until(process, "never said")
    assert "bookworm      1       0        0       0   1 min 5 s" in said
    assert "Done and published" in said
    assert process.returncode == 0


def test_that_interrupting_ends_the_following_only_is_said_before(follower: Follower) -> None:
    farm = follower.farm
    farm.job("spidev", "1")
    with follower.start() as process:
        said = until(process, "1 left for bookworm")
        # At an unlucky moment Ansible waits for a worker that has ended, until the next Ctrl-C.
        for _ in range(60):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
                break
        process.kill()
    assert "Ctrl-C ends this only, and the farm goes on building" in said
    assert process.returncode not in {0, -signal.SIGKILL}


def test_a_run_that_nobody_can_build_is_given_up(follower: Follower) -> None:
    farm = follower.farm
    lost = datetime.now(UTC) - timedelta(days=1)
    farm.builder("pi1", last_seen_at=lost, missing_since=lost)
    farm.job("spidev", "1")
    with follower.start(patience_s=1) as process:
        said = until(process, "never said")
    assert "1 job left to build" in said
    assert "Given up after 1 s: bookworm: 1 job left, and no builder that takes them" in said
    assert process.returncode == 2


def test_a_builder_is_waited_for_until_it_holds_nothing(follower: Follower) -> None:
    farm = follower.farm
    pi1 = farm.builder("pi1", last_seen_at=datetime.now(UTC))
    job = farm.job("spidev", "1", "leased", builder_id=pi1)
    farm.job("lzo", "1", "leased", builder_id=farm.builder("pi2"))
    with follower.start(since=None, builders=["pi1"]) as process:
        said = until(process, "1 more job in its spool")
        assert "Waiting until pi1 holds no job; Ctrl-C ends this only, and it stays paused" in said
        back = "UPDATE jobs SET state = 'pending', builder_id = NULL, leased_at = NULL"
        farm.rows(f"{back} WHERE job_id = %s", job)
        said = until(process, "never said")
    assert "pi2" not in said
    assert process.returncode == 0


def test_a_builder_that_keeps_a_job_is_named_in_the_end_with_what_to_do(follower: Follower) -> None:
    farm = follower.farm
    pi1 = farm.builder("pi1", last_seen_at=datetime.now(UTC))
    farm.job("spidev", "1", "leased", builder_id=pi1)
    with follower.start(since=None, builders=["pi1"], patience_s=1) as process:
        said = " ".join(until(process, "never said").split())
    assert "Given up after 1 s: pi1 between two builds; 1 more job in its spool" in said
    assert "playbooks/resume.yml -l pi1 to give it work again" in said
    assert process.returncode == 2


def test_a_run_that_only_waits_for_an_sdist_is_given_up_and_the_farm_goes_on(
    follower: Follower,
) -> None:
    farm = follower.farm
    farm.builder("pi1", last_seen_at=datetime.now(UTC))
    farm.job(
        "tinyc",
        "1.0",
        fetch_failures=2,
        retry_at=datetime(2999, 1, 1, 14, 5, tzinfo=UTC),
        retry_reason="the server says 404 Not Found",
    )
    with follower.start(patience_s=1) as process:
        said = until(process, "never said")
    again = "tinyc 1.0 is tried again at 14:05 UTC (try 3): the server says 404 Not Found"
    assert f"1 of these waits for its sdist: {again}" in said
    assert "Given up after 1 s: bookworm: 1 job left, waiting for its sdist;" in said
    assert f"the farm goes on by itself: {again}" in said
    assert process.returncode == 2


def test_a_database_that_comes_back_is_waited_for(follower: Follower, cluster: Cluster) -> None:
    farm = follower.farm
    farm.job("spidev", "1")
    with follower.start() as process:
        until(process, "1 left for bookworm")
        farm.disconnect()
        cluster.stop("fast")
        try:
            said = until(process, "still trying")
        finally:
            cluster.start()
        assert "can't be reached" in said
        farm.rows("UPDATE jobs SET state = 'built', finished_at = now()")
        said = until(process, "never said")
    assert "Done and published" in said
    assert process.returncode == 0
