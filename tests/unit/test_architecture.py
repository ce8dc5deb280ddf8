"""The walk through the code in docs/architecture.md leads to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    set(re.findall(r"`([\w@.-]+/[\w@./-]*)`", (ROOT / "docs/architecture.md").read_text()))
)
# Folders of the farm's hosts, not of the repository.
ELSEWHERE = {"running/", "incoming/PI/KEY/"}


@pytest.mark.parametrize("path", [name for name in NAMED if name not in ELSEWHERE])
def test_the_walk_leads_to_a_file_that_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_walk_visits_each_room() -> None:
    rooms = {path.split("/")[0] for path in NAMED}
    assert {"master", "builder", "library", "playbooks", "roles"} <= rooms


def test_every_module_and_playbook_step_is_on_the_walk_or_beside_it() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    missing = [
        path.name for path in (ROOT / "library").glob("*.py") if f"library/{path.name}" not in text
    ]
    # The schema is brought by provisioning, before any version is on its way.
    assert missing == ["schema_migrate.py"]


def test_the_sync_alone_reads_the_index_and_jobs_are_planned_without_it() -> None:
    sources = [*(ROOT / "library").glob("*.py"), *(ROOT / "master").rglob("*.py")]
    readers = [path.name for path in sources if "pypi.Index(" in path.read_text()]
    assert readers == ["pypi_sync.py"]
    for path in (ROOT / "master/jobs").glob("*.py"):
        assert "master.upstream" not in path.read_text(), path.name
