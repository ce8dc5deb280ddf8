"""What the documents name of the repository is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs/architecture.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_PATH = re.compile(r"`([\w@.-]+/[\w@./-]*)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
MESSAGES = ("master/**/*.py", "builder/**/*.py", "lab/*.py", "roles/**/*.yml", "playbooks/**/*.yml")
# Folders of an inventory, wherever that is.
ELSEWHERE = ("group_vars/", "secrets/")


def named(document: Path) -> set[str]:
    """Return the paths of the repository that a document names."""
    found = _PATH.findall(document.read_text())
    return {path for path in found if not path.startswith(ELSEWHERE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_files_that_exist(document: Path) -> None:
    missing = {path for path in named(document) if not (ROOT / path).exists()}
    missing |= {
        link
        for link in _LINK.findall(document.read_text())
        if not (document.parent / link).exists()
    }
    assert not missing


def test_the_walk_visits_each_room() -> None:
    rooms = {path.split("/")[0] for path in named(ARCHITECTURE)}
    assert {"master", "builder", "library", "playbooks", "roles"} <= rooms


def test_the_troubles_of_an_operator_are_messages_of_the_code() -> None:
    sources = [path for room in MESSAGES for path in ROOT.glob(room)]
    # As they are printed: what stands in several strings or lines is one text.
    code = " ".join(path.read_text() for path in sources)
    code = " ".join(re.sub(r'"\s+f?"', "", code).split())
    section = (ROOT / "docs/operating.md").read_text().split("## Troubleshooting")[1]
    rows = re.findall(r"^\| (`.*?) \|", section.split("### A failed build")[0], re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`(.+?)`", row)]
    # An ellipsis stands for what differs from case to case.
    parts = [part.strip() for message in messages for part in message.split("…")]
    assert len(parts) > 30
    assert [part for part in parts if part not in code] == []


def test_the_sync_alone_reads_the_index_and_jobs_are_planned_without_it() -> None:
    sources = [*(ROOT / "library").glob("*.py"), *(ROOT / "master").rglob("*.py")]
    readers = [path.name for path in sources if "pypi.Index(" in path.read_text()]
    assert readers == ["pypi_sync.py"]
    for path in (ROOT / "master/jobs").glob("*.py"):
        assert "master.upstream" not in path.read_text(), path.name
