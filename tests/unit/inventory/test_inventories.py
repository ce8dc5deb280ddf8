"""The inventories that come with the project are right, and so are the plays' groups."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from filter_plugins.releases import release_facts
from tests.support import ansible
from tests.support.ansible import ROOT

SECRETS = ("ca.key", "ca.crt", "db_owner", "db_sync", "db_queue", "db_site", "db_readonly")
FARM_GROUPS = {"database", "master", "web", "builders", "pip_clients"}


@pytest.mark.parametrize("name", ["production", "single", "lab"])
def test_an_inventory_of_ours_is_valid(name: str, tmp_path: Path) -> None:
    for secret in SECRETS:
        (tmp_path / secret).write_text("secret\n")
    options = ["-i", f"inventory/{name}", "-e", f"farm_secrets_dir={tmp_path}"]
    result = ansible.run("ansible-playbook", *options, "playbooks/validate.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    # An address in place of a name is warned of.
    assert "farm_site_url" not in result.stdout


@pytest.mark.parametrize("name", ["production", "single", "lab"])
def test_an_inventory_of_ours_has_every_group(name: str) -> None:
    # A play's group that an inventory lacks is a warning in each run.
    inventory = yaml.safe_load((ROOT / "inventory" / name / "hosts.yml").read_text())
    assert set(inventory) >= FARM_GROUPS


def test_the_example_has_a_group_for_each_release_and_build_yml_is_limited_by_it() -> None:
    inventory = yaml.safe_load((ROOT / "inventory/production/hosts.yml").read_text())
    assert set(inventory["builders"]["children"]) == set(release_facts({}))
    options = ["-i", "inventory/production", "-l", "stretch", "--list-hosts"]
    result = ansible.run("ansible-playbook", *options, "build.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert {line.strip() for line in result.stdout.splitlines() if " pi" in line} == {"pi01"}


@pytest.mark.parametrize("part", ["base", "database", "master", "web", "builders", "pip_clients"])
def test_a_part_of_site_yml_is_for_groups_that_there_are(part: str) -> None:
    # A host pattern with a slip of the pen matches nothing, and its play would never run.
    for play in yaml.safe_load((ROOT / f"playbooks/site/{part}.yml").read_text()):
        hosts = play["hosts"] if isinstance(play["hosts"], list) else [play["hosts"]]
        assert set(hosts) <= FARM_GROUPS
        assert play["tags"] == part


def test_site_yml_only_imports() -> None:
    for name in ("site.yml", "build.yml"):
        for play in yaml.safe_load((ROOT / name).read_text()):
            assert set(play) == {"name", "ansible.builtin.import_playbook"}
