"""Which versions a release gets that has an old Python, or a platform of its own."""

from __future__ import annotations

import pytest

from filter_plugins.releases import release_facts
from master.jobs.policy import Candidate, wanted
from master.targets.registry import FACTS
from master.targets.tags import Target

TARGETS = {
    name: Target(1, **{fact: release[fact] for fact in FACTS})
    for name, release in release_facts({}).items()
}


def candidate(version_id: int, requires_python: str | None, *wheels: str) -> Candidate:
    return Candidate(
        version_id=version_id,
        version=f"{version_id}.0",
        yanked=False,
        present=True,
        requires_python=requires_python,
        upstream_file_id=1,
        wheels=wheels,
    )


def test_each_release_gets_the_newest_version_for_its_own_python() -> None:
    known = [candidate(1, None), candidate(2, ">=3.5"), candidate(3, ">=3.9")]
    newest = {name: wanted(known, target, 1)[0].version for name, target in TARGETS.items()}
    assert newest.pop("jessie") == "1.0"
    assert newest.pop("stretch") == newest.pop("buster") == "2.0"
    assert set(newest.values()) == {"3.0"}


@pytest.mark.parametrize(
    ("tag", "covered"),
    [
        ("py3-none-any", {*TARGETS}),
        ("py39-none-any", {*TARGETS} - {"jessie", "stretch", "buster"}),
        ("cp37-none-any", {"buster"}),
    ],
)
def test_a_wheel_for_all_platforms_covers_the_releases_whose_pip_takes_it(
    tag: str, covered: set[str]
) -> None:
    version = candidate(1, None, f"demo-1.0-{tag}.whl")
    found = {name for name, target in TARGETS.items() if version.covered_by(target)}
    assert found == covered
