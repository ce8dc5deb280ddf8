"""What a release is: the common facts, its own, and what the inventory says else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from filter_plugins import releases


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(releases, "FOLDER", tmp_path)
    (tmp_path / "common.yml").write_text(
        "mirror: http://a/\n"
        "apt_packages: [b, a]\napt_packages_added: []\napt_packages_removed: []\n"
    )
    (tmp_path / "sid.yml").write_text(
        "suite: sid\napt_packages_added: [c]\napt_packages_removed: [b]\n"
    )
    return tmp_path


def test_a_file_says_what_differs(folder: Path) -> None:
    (folder / "etch.yml").write_text("suite: etch\n")
    assert releases.release_facts({}) == {
        "etch": {
            "name": "etch",
            "suite": "etch",
            "mirror": "http://a/",
            "apt_packages": ["a", "b"],
        },
        "sid": {"name": "sid", "suite": "sid", "mirror": "http://a/", "apt_packages": ["a", "c"]},
    }


def test_an_inventory_has_the_last_word(folder: Path) -> None:
    own = {"mirror": "http://b/", "apt_packages_added": ["d"]}
    facts = releases.release_facts({"sid": own})["sid"]
    assert facts["mirror"] == "http://b/"
    assert facts["apt_packages"] == ["a", "d"]
    assert releases.release_facts({})["sid"]["mirror"] == "http://a/"


def test_a_pi_has_the_facts_of_each_release_that_it_is_in(folder: Path) -> None:
    facts = releases.release_facts({"etch": {}})
    assert releases.own_releases(["builders", "sid", "etch"], facts) == ["sid", "etch"]
    assert releases.own_releases(["builders"], facts) == []


def test_a_file_that_holds_something_else_is_named(folder: Path) -> None:
    (folder / "etch.yml").write_text("- suite\n")
    with pytest.raises(AnsibleFilterError, match=r"etch\.yml isn't a mapping of facts"):
        releases.release_facts({})
