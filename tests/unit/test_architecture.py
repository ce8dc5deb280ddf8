"""The walk through the code in docs/architecture.md leads to files that exist."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

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
    assert {"master", "builder", "protocol", "library", "playbooks", "roles"} <= rooms


def test_every_module_and_playbook_step_is_on_the_walk_or_beside_it() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    missing = [
        path.name for path in (ROOT / "library").glob("*.py") if f"library/{path.name}" not in text
    ]
    # The schema is brought by provisioning, before any version is on its way.
    assert missing == ["schema_migrate.py"]


def imported(path: Path, minor: int) -> set[str]:
    """The packages that a file imports, which must be Python 3.minor."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, minor))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_a_pi_gets_what_its_code_needs_and_needs_nothing_else() -> None:
    tasks = yaml.safe_load((ROOT / "roles/builder/tasks/code.yml").read_text())
    (folders,) = (task["loop"] for task in tasks if task["name"] == "Copy the code")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        assert imported(path, 9) <= sys.stdlib_module_names | set(folders), path


def test_a_master_gets_what_its_code_needs() -> None:
    facts = yaml.safe_load((ROOT / "roles/master/vars/main.yml").read_text())
    folders = facts["__master_code_folders"]
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        # A Pi runs it.
        if path.name != "spool_exchange.py" or path.parent.name != "library":
            assert imported(path, 11) & ours <= set(folders), path
