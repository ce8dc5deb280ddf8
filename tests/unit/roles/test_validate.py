"""A mistake in an inventory is met by a message that names thing, cause and way out."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SECRETS = ("ca.key", "ca.crt", "db_owner", "db_sync", "db_queue", "db_site", "db_readonly")

FARM: dict[str, Any] = {
    "all": {
        "vars": {
            "farm_secrets_dir": "{{ inventory_dir }}/secrets",
            "farm_site_url": "https://wheels.example.org",
            "farm_pypi_projects": ["spidev", "ruamel.yaml"],
            "farm_pypi_versions": 1,
        }
    },
    "database": {"hosts": {"db": {"ansible_host": "2001:db8::10"}}},
    "master": {"hosts": {"boss": {"ansible_host": "192.0.2.20"}}},
    "web": {"hosts": {"www": {"ansible_host": "2001:db8::30"}}},
    "builders": {
        "children": {
            "bookworm": {"hosts": {"pi1": {"ansible_host": "2001:db8::41"}}},
            "trixie": {"hosts": {"pi2": {"ansible_host": "2001:db8::42"}}},
        }
    },
    "pip_clients": {"hosts": {}},
}


class Farm:
    """An inventory on disk, right in every way until a test spoils it."""

    def __init__(self, folder: Path) -> None:
        """Writes the secrets to `folder`; the inventory is written when it's validated."""
        self.folder = folder
        self.inventory = deepcopy(FARM)
        (folder / "secrets").mkdir()
        for name in SECRETS:
            (folder / "secrets" / name).write_text("secret\n")

    @property
    def settings(self) -> dict[str, Any]:
        """What stands in group_vars/all."""
        variables: dict[str, Any] = self.inventory["all"]["vars"]
        return variables

    @property
    def releases(self) -> dict[str, Any]:
        """The release groups."""
        children: dict[str, Any] = self.inventory["builders"]["children"]
        return children

    def validate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the play, and returns its output with all white space made single spaces."""
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(self.inventory))
        result = subprocess.run(
            [ANSIBLE_PLAYBOOK, "-i", self.folder, "playbooks/validate.yml", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                # The play connects nowhere: a connection would be refused here.
                "ANSIBLE_SSH_EXECUTABLE": "/bin/false",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        output = " ".join((result.stdout + result.stderr).split())
        return subprocess.CompletedProcess(result.args, result.returncode, output, "")


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


def refused(farm: Farm, *words: str, limit: str = "all") -> None:
    result = farm.validate("-l", limit)
    assert result.returncode != 0
    for word in words:
        assert word in result.stdout


def test_a_right_inventory_passes(farm: Farm) -> None:
    result = farm.validate()
    assert result.returncode == 0, result.stdout
    assert "WARNING" not in result.stdout
    assert "farm_site_url" not in result.stdout


def test_one_host_may_be_everything(farm: Farm) -> None:
    host = {"hosts": {"pi": {"ansible_host": "::1"}}}
    for group in ("database", "master", "web", "pip_clients"):
        farm.inventory[group] = host
    farm.inventory["builders"]["children"] = {"bookworm": host}
    assert farm.validate().returncode == 0


def test_a_pi_in_no_release_group_is_named(farm: Farm) -> None:
    farm.inventory["builders"]["hosts"] = {"pi7": {"ansible_host": "2001:db8::47"}}
    refused(
        farm,
        "pi7 is in no release group: add it under one (bookworm, trixie) in",
        str(farm.folder / "hosts.yml"),
        limit="pi7",
    )


def test_a_pi_in_no_group_at_all_is_named(farm: Farm) -> None:
    farm.inventory["all"]["hosts"] = {"pi7": {}}
    refused(farm, "pi7 is in no release group: add it under one (bookworm, trixie) in")


def test_a_pi_in_two_release_groups_is_named(farm: Farm) -> None:
    farm.releases["trixie"]["hosts"]["pi1"] = {}
    refused(farm, "pi1 is in bookworm and trixie: leave it under one (bookworm, trixie) in")


def test_an_unknown_release_is_named(farm: Farm) -> None:
    farm.releases["sid"] = {"hosts": {"pi8": {}}}
    refused(
        farm,
        "pi8 is in sid, which is not a known release: move it under one of bookworm, trixie in",
        "releases/sid.yml",
    )


def test_a_group_that_is_no_release_may_stand_beside_one(farm: Farm) -> None:
    farm.inventory["rack1"] = {"hosts": {"pi1": {}}}
    assert farm.validate().returncode == 0


def test_a_release_outside_of_builders_is_named(farm: Farm) -> None:
    farm.inventory["bookworm"] = farm.releases.pop("bookworm")
    refused(
        farm,
        "pi1: in a release group that isn't under builders, and so in no play. "
        "Add the group to the children of builders in",
    )


def test_incomplete_facts_of_a_release_are_named(farm: Farm) -> None:
    farm.settings["farm_releases"] = {"bokworm": {"mirror": "http://mirror.example/"}}
    refused(
        farm,
        "The release bokworm lacks abi_tag, interpreter_tag, pip, python_version, suite: add what "
        "is missing to releases/bokworm.yml, or to farm_releases in",
    )


def test_a_release_may_be_described_in_the_inventory_alone(farm: Farm) -> None:
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


def test_a_name_that_is_no_host_name_is_refused(farm: Farm) -> None:
    farm.releases["bookworm"]["hosts"]["Pi_9"] = {}
    refused(farm, "Pi_9 is not a valid name of a Pi", "hosts.yml")


def test_two_masters_are_refused(farm: Farm) -> None:
    farm.inventory["master"]["hosts"]["second"] = {"ansible_host": "2001:db8::21"}
    refused(farm, "The group master has boss and second: a farm has one", limit="pi1")


def test_a_farm_without_a_database_is_refused(farm: Farm) -> None:
    farm.inventory["database"] = {"hosts": {}}
    refused(farm, "The group database has no host: a farm has one. Put one under database in")


def test_a_master_without_an_address_is_refused(farm: Farm) -> None:
    farm.inventory["master"]["hosts"]["boss"]["ansible_host"] = "boss.example.org"
    refused(
        farm,
        "ansible_host of boss (master) is 'boss.example.org', which is not an address",
        limit="pi1",
    )


def test_a_pi_without_an_address_is_refused(farm: Farm) -> None:
    del farm.releases["bookworm"]["hosts"]["pi1"]["ansible_host"]
    refused(farm, "ansible_host of pi1 is 'pi1', which is not an address")


@pytest.mark.parametrize("cause", ["missing", "empty"])
def test_a_secret_that_is_not_there_is_named(farm: Farm, cause: str) -> None:
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
def test_a_wrong_address_of_the_index_is_refused(farm: Farm, value: object) -> None:
    farm.settings["farm_pypi_url"] = value
    refused(farm, f"farm_pypi_url is '{value}': write it as https://HOST/simple/")


def test_an_address_of_an_index_may_be_given(farm: Farm) -> None:
    farm.settings["farm_pypi_url"] = "https://[2001:db8::1]:8080/simple/"
    assert farm.validate().returncode == 0


def test_a_project_that_is_no_name_is_refused(farm: Farm) -> None:
    farm.settings["farm_pypi_projects"] = ["spidev", "lzo==1.0"]
    refused(farm, "farm_pypi_projects has 'lzo==1.0'", "-e packages=NAME==VERSION")


def test_projects_that_are_no_list_are_refused(farm: Farm) -> None:
    farm.settings["farm_pypi_projects"] = "spidev"
    refused(farm, "farm_pypi_projects is 'spidev', not a list")


@pytest.mark.parametrize("value", [0, "newest", -1])
def test_a_wrong_number_of_versions_is_refused(farm: Farm, value: object) -> None:
    farm.settings["farm_pypi_versions"] = value
    refused(farm, f"farm_pypi_versions is '{value}': it is either \"all\"")


def test_further_cas_are_files_with_names_of_their_own(
    farm: Farm, tmp_path_factory: pytest.TempPathFactory
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
def test_a_wrong_address_of_the_site_is_refused(farm: Farm, value: str) -> None:
    farm.settings["farm_site_url"] = value
    refused(farm, f"farm_site_url is '{value}': write it as https://NAME")


@pytest.mark.parametrize(
    "value", ["https://[2001:db8::30]", "https://[2001:db8::30]:8443", "https://192.0.2.30"]
)
def test_an_address_in_place_of_the_sites_name_is_warned_of(farm: Farm, value: str) -> None:
    farm.settings["farm_site_url"] = value
    result = farm.validate()
    assert result.returncode == 0, result.stdout
    assert f"farm_site_url is {value}, an address" in result.stdout
    assert "Write a name that leads to the web host" in result.stdout


def test_a_setting_under_its_former_name_is_named(farm: Farm) -> None:
    farm.settings["pypi_projects"] = farm.settings.pop("farm_pypi_projects")
    refused(farm, "pypi_projects: no setting has this name any more. Write farm_pypi_… for pypi_…")


def test_a_former_setting_of_a_group_is_named(farm: Farm) -> None:
    farm.inventory["builders"]["vars"] = {"builder_rootfs_tarball": "/srv/bookworm.tar"}
    refused(farm, "builder_rootfs_tarball: no setting has this name any more.")


def test_a_setting_that_nobody_needs_any_more_is_named(farm: Farm) -> None:
    farm.settings["builder_preinstalled"] = ["libc6"]
    refused(farm, "builder_preinstalled: no setting has", "nothing for builder_preinstalled")
