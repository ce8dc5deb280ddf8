"""What a run that was cut off has changed, the next one puts into effect."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.support import ansible

# Stands in for systemd's: a service that changed its state an hour after it was started.
SYSTEMCTL = """#!/bin/sh
[ "$1" = show ] || echo "$1" >> {asked}
echo LoadState=loaded
echo ActiveState={active}
echo ActiveEnterTimestamp={started}
echo StateChangeTimestamp={reloaded}
"""
NOW = datetime.now(UTC)
Restart = Callable[..., list[str]]


@pytest.fixture
def restart(tmp_path: Path) -> Restart:
    """Run the role for a service whose file is of some age; return what systemd was asked to do."""
    read = tmp_path / "settings"
    read.touch()
    asked = tmp_path / "asked"

    def run(state: str, *, minutes_old: int, active: str = "active") -> list[str]:
        asked.write_text("")
        written = (NOW - timedelta(minutes=minutes_old)).timestamp()
        os.utime(read, (written, written))
        hours_ago = [
            f"{NOW - timedelta(hours=hours):%a %Y-%m-%d %H:%M:%S.%f UTC}" for hours in (2, 1)
        ]
        started, reloaded = hours_ago
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(
            SYSTEMCTL.format(asked=asked, active=active, started=started, reloaded=reloaded)
        )
        systemctl.chmod(0o755)
        service = {"name": "some", "state": state, "files": [str(read)]}
        role = {"role": "restart_stale", "restart_stale_services": [service]}
        play = {"hosts": "localhost", "gather_facts": False, "roles": [role]}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        ansible.run(
            "ansible-playbook",
            *("-i", "localhost,", "-c", "local", "play.yml"),
            cwd=tmp_path,
            ANSIBLE_PYTHON_INTERPRETER=sys.executable,
            PATH=f"{tmp_path}:{os.environ['PATH']}",
        ).check_returncode()
        return asked.read_text().split()

    return run


def test_a_service_that_was_started_before_its_file_was_written_is_restarted(
    restart: Restart,
) -> None:
    assert restart("restarted", minutes_old=90) == ["restart"]
    assert restart("restarted", minutes_old=150) == []


def test_a_service_that_was_reloaded_since_is_left_alone(restart: Restart) -> None:
    assert restart("reloaded", minutes_old=30) == ["reload"]
    assert restart("reloaded", minutes_old=90) == []


def test_a_service_that_does_not_run_is_not_started(restart: Restart) -> None:
    assert restart("restarted", minutes_old=0, active="inactive") == []
