"""A mistake in an inventory is met by a message that names thing, cause and way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from filter_plugins.releases import release_facts
from tests.support.inventory import Inventory

RELEASES = ", ".join(release_facts({}))


@pytest.fixture
def farm(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


def refused(farm: Inventory, *words: str, limit: str = "all") -> None:
    result = farm.validate("-l", limit)
    assert result.returncode != 0
    for word in words:
        assert word in result.stdout


def test_a_right_inventory_passes(farm: Inventory) -> None:
    result = farm.validate()
    assert result.returncode == 0, result.stdout
    assert "WARNING" not in result.stdout
    assert "farm_site_url" not in result.stdout


def test_one_host_may_be_everything(farm: Inventory) -> None:
    host = {"hosts": {"pi": {"ansible_host": "::1"}}}
    for group in ("database", "master", "web", "pip_clients"):
        farm.inventory[group] = host
    farm.inventory["builders"]["children"] = {"bookworm": host}
    assert farm.validate().returncode == 0


def test_a_pi_in_no_release_group_is_named(farm: Inventory) -> None:
    farm.inventory["builders"]["hosts"] = {"pi7": {"ansible_host": "2001:db8::47"}}
    refused(
        farm,
        f"pi7 is in no release group: add it under one ({RELEASES}) in",
        str(farm.folder / "hosts.yml"),
        limit="pi7",
    )


def test_a_pi_in_no_group_at_all_is_named(farm: Inventory) -> None:
    farm.inventory["all"]["hosts"] = {"pi7": {}}
    refused(farm, f"pi7 is in no release group: add it under one ({RELEASES}) in")


def test_a_pi_in_two_release_groups_is_named(farm: Inventory) -> None:
    farm.releases["trixie"]["hosts"]["pi1"] = {}
    refused(farm, f"pi1 is in bookworm and trixie: leave it under one ({RELEASES}) in")


def test_an_unknown_release_is_named(farm: Inventory) -> None:
    farm.releases["sid"] = {"hosts": {"pi8": {}}}
    refused(
        farm,
        f"pi8 is in sid, which is not a known release: move it under one of {RELEASES} in",
        "releases/sid.yml",
    )


def test_a_group_that_is_no_release_may_stand_beside_one(farm: Inventory) -> None:
    farm.inventory["rack1"] = {"hosts": {"pi1": {}}}
    assert farm.validate().returncode == 0


def test_a_release_outside_of_builders_is_named(farm: Inventory) -> None:
    farm.inventory["bookworm"] = farm.releases.pop("bookworm")
    refused(
        farm,
        "pi1: in a release group that isn't under builders, and so in no play. "
        "Add the group to the children of builders in",
    )


def test_incomplete_facts_of_a_release_are_named(farm: Inventory) -> None:
    farm.settings["farm_releases"] = {"bokworm": {"mirror": "http://mirror.example/"}}
    refused(
        farm,
        "The release bokworm lacks abi_tag, interpreter_tag, pip, python_version, suite: add what "
        "is missing to releases/bokworm.yml, or to farm_releases in",
    )


def test_a_release_may_be_described_in_the_inventory_alone(farm: Inventory) -> None:
    (pi2,) = farm.releases.pop("trixie")["hosts"].items()
    farm.releases["sid"] = {"hosts": dict([pi2])}
    farm.settings["farm_releases"] = {
        "sid": {
            "suite": "sid",
            "python_version": "3.14",
            "interpreter_tag": "cp314",
            "abi_tag": "cp314",
            "pip": {"version": "26.3", "sha256": "0" * 64},
        }
    }
    result = farm.validate()
    assert result.returncode == 0, result.stdout


def test_a_name_that_is_no_host_name_is_refused(farm: Inventory) -> None:
    farm.releases["bookworm"]["hosts"]["Pi_9"] = {}
    refused(farm, "Pi_9 is not a valid name of a Pi", "hosts.yml")


def test_two_masters_are_refused(farm: Inventory) -> None:
    farm.inventory["master"]["hosts"]["second"] = {"ansible_host": "2001:db8::21"}
    refused(farm, "The group master has boss and second: a farm has one", limit="pi1")


def test_a_farm_without_a_database_is_refused(farm: Inventory) -> None:
    farm.inventory["database"] = {"hosts": {}}
    refused(farm, "The group database has no host: a farm has one. Put one under database in")


def test_a_master_without_an_address_is_refused(farm: Inventory) -> None:
    farm.inventory["master"]["hosts"]["boss"]["ansible_host"] = "boss.example.org"
    refused(
        farm,
        "ansible_host of boss (master) is 'boss.example.org', which is not an address",
        limit="pi1",
    )


def test_a_pi_without_an_address_is_refused(farm: Inventory) -> None:
    del farm.releases["bookworm"]["hosts"]["pi1"]["ansible_host"]
    refused(farm, "ansible_host of pi1 is 'pi1', which is not an address")


@pytest.mark.parametrize("cause", ["missing", "empty"])
def test_a_secret_that_is_not_there_is_named(farm: Inventory, cause: str) -> None:
    secret = farm.folder / "secrets" / "db_queue"
    secret.unlink()
    if cause == "empty":
        secret.touch()
    refused(
        farm,
        f"{secret} is {cause}: run ansible-playbook playbooks/secrets.yml for a new farm, "
        "or restore it from your backup",
        limit="pi1",
    )


@pytest.mark.parametrize("value", ["http://index.example/simple/", "index.example", 7])
def test_a_wrong_address_of_the_index_is_refused(farm: Inventory, value: object) -> None:
    farm.settings["farm_pypi_url"] = value
    refused(farm, f"farm_pypi_url is '{value}': write it as https://HOST/simple/")


def test_an_address_of_an_index_may_be_given(farm: Inventory) -> None:
    farm.settings["farm_pypi_url"] = "https://[2001:db8::1]:8080/simple/"
    assert farm.validate().returncode == 0


def test_a_project_that_is_no_name_is_refused(farm: Inventory) -> None:
    farm.settings["farm_pypi_projects"] = ["spidev", "lzo==1.0"]
    refused(farm, "farm_pypi_projects has 'lzo==1.0'", "-e packages=NAME==VERSION")


def test_projects_that_are_no_list_are_refused(farm: Inventory) -> None:
    farm.settings["farm_pypi_projects"] = "spidev"
    refused(farm, "farm_pypi_projects is 'spidev', not a list")


@pytest.mark.parametrize("value", [0, "newest", -1])
def test_a_wrong_number_of_versions_is_refused(farm: Inventory, value: object) -> None:
    farm.settings["farm_pypi_versions"] = value
    refused(farm, f"farm_pypi_versions is '{value}': it is either \"all\"")


def test_further_cas_are_files_with_names_of_their_own(
    farm: Inventory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "other").mkdir()
    proxy, other, ca = (folder / name for name in ("proxy.crt", "other/proxy.crt", "other/ca.crt"))
    for path in (proxy, other, ca):
        path.write_text("certificate\n")
    farm.settings["farm_extra_authorities"] = [str(proxy)]
    assert farm.validate().returncode == 0
    farm.settings["farm_extra_authorities"] = [str(folder / "none.crt")]
    refused(farm, "none.crt: it is a list of files on this machine")
    for paths in ([str(proxy), str(other)], [str(ca)]):
        farm.settings["farm_extra_authorities"] = paths
        refused(farm, f"farm_extra_authorities has {paths[0]}", "a name of its own")


@pytest.mark.parametrize("value", ["http://wheels.example.org", "https://wheels.example.org/x/"])
def test_a_wrong_address_of_the_site_is_refused(farm: Inventory, value: str) -> None:
    farm.settings["farm_site_url"] = value
    refused(farm, f"farm_site_url is '{value}': write it as https://NAME")


@pytest.mark.parametrize(
    "value", ["https://[2001:db8::30]", "https://[2001:db8::30]:8443", "https://192.0.2.30"]
)
def test_an_address_in_place_of_the_sites_name_is_warned_of(farm: Inventory, value: str) -> None:
    farm.settings["farm_site_url"] = value
    result = farm.validate()
    assert result.returncode == 0, result.stdout
    assert f"farm_site_url is {value}, an address" in result.stdout
    assert "Write a name that leads to the web host" in result.stdout


def test_a_setting_under_its_former_name_is_named(farm: Inventory) -> None:
    farm.settings["pypi_projects"] = farm.settings.pop("farm_pypi_projects")
    refused(farm, "pypi_projects: no setting has this name any more. Write farm_pypi_… for pypi_…")


def test_a_former_setting_of_a_group_is_named(farm: Inventory) -> None:
    farm.inventory["builders"]["vars"] = {"builder_rootfs_tarball": "/srv/bookworm.tar"}
    refused(farm, "builder_rootfs_tarball: no setting has this name any more.")


def test_a_setting_that_nobody_needs_any_more_is_named(farm: Inventory) -> None:
    farm.settings["builder_preinstalled"] = ["libc6"]
    refused(farm, "builder_preinstalled: no setting has", "nothing for builder_preinstalled")


@pytest.mark.parametrize("host", ["192.0.2.1", "https://crates.example", "crates.example:443"])
def test_a_host_of_the_proxy_that_is_not_a_name_is_refused(farm: Inventory, host: str) -> None:
    farm.settings["farm_proxy_hosts"] = ["crates.example", host]
    refused(farm, f"farm_proxy_hosts has {host}: it is a list of names of hosts")
