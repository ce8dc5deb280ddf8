"""What site.yml makes of the releases: the facts that master and builders are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.inventory import Inventory

OWN = "group_names | own_releases(releases) | map('extract', releases)"


@pytest.fixture
def farm(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


def test_a_pi_in_two_release_groups_has_the_facts_of_both(farm: Inventory) -> None:
    farm.releases["trixie"]["hosts"]["pi1"] = {}
    facts = farm.evaluate("builders.yml", OWN)
    assert [release["suite"] for release in facts["pi1"]] == ["bookworm", "trixie"]
    assert [release["suite"] for release in facts["pi2"]] == ["trixie"]
    assert facts["pi1"][1] == facts["pi2"][0]


def test_the_master_is_told_of_each_release_once(farm: Inventory) -> None:
    farm.releases["trixie"]["hosts"]["pi1"] = {}
    farm.releases["trixie"]["hosts"]["pi3"] = {}
    facts = farm.evaluate("master.yml", "master_targets")["boss"]
    assert [release["name"] for release in facts] == ["bookworm", "trixie"]


def test_what_an_inventory_says_of_a_release_reaches_the_role(farm: Inventory) -> None:
    before = farm.evaluate("builders.yml", "builder_release")
    own = {"mirror": "http://mirror.example/raspbian/", "apt_packages_added": ["libfoo-dev"]}
    farm.settings["farm_releases"] = {"bookworm": own}
    after = farm.evaluate("builders.yml", "builder_release")
    assert after["pi1"]["mirror"] == "http://mirror.example/raspbian/"
    assert "libfoo-dev" in after["pi1"]["apt_packages"]
    assert after["pi2"] == before["pi2"]
