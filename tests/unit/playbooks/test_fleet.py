"""Playbooks that rent show what they would do, do it when told to, and nothing more after that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.ansible import ROOT
from tests.support.mythic_beasts import Cloud
from tests.support.rented import Rented

CONFIRM = ("-e", "confirm=true")
# Stands in for the one that asks the farm, which there is none of here.
DRAIN = """
- hosts: builders
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ {'hosts': ansible_play_hosts_all, 'reason': reason} | to_json }}"
        dest: "{{ inventory_dir }}/../drained"
      delegate_to: localhost
      run_once: true
      vars:
        ansible_connection: local
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
    - ansible.builtin.assert:
        that: "'farm-buster-9' not in ansible_play_hosts_all"
        fail_msg: it still builds numpy
"""


@pytest.fixture
def farm(tmp_path: Path, cloud: Cloud) -> Rented:
    """Return a farm whose playbooks are the real ones, beside a stand-in for drain.yml."""
    playbooks = tmp_path / "checkout/playbooks"
    playbooks.mkdir(parents=True)
    for path in (ROOT / "playbooks").iterdir():
        (playbooks / path.name).symlink_to(path)
    (playbooks / "drain.yml").unlink(missing_ok=True)
    (playbooks / "drain.yml").write_text(DRAIN)
    (tmp_path / "checkout/control").symlink_to(ROOT / "control")
    folder = tmp_path / "inventory"
    folder.mkdir()
    farm = Rented(folder, cloud, tmp_path / "checkout")
    farm.settings["farm_fleet"] = {"stretch": {"count": 2, "model": 4, "memory": 4096}}
    farm.settings["farm_fleet_max"] = 3
    return farm


def drained(farm: Rented) -> list[str]:
    path = farm.folder.parent / "drained"
    if not path.exists():
        return []
    drained = json.loads(path.read_text())
    assert drained["reason"] == "playbooks/fleet.yml gives it back"
    hosts: list[str] = drained["hosts"]
    return hosts


def test_nothing_is_rented_or_given_back_without_a_confirmation(farm: Rented, cloud: Cloud) -> None:
    cloud.pi("farm-buster-1")
    result = farm.play("fleet.yml")
    assert result.returncode == 0, result.stdout
    assert "give back farm-buster-1: a Pi 4 with 4096 MB, price not given" in result.stdout
    assert "rent farm-stretch-2: a Pi 4 with 4096 MB" in result.stdout
    assert "Nothing was done. To do it: ansible-playbook" in result.stdout
    assert "changed=0" in result.stdout
    assert list(cloud.pis) == ["farm-buster-1"]
    assert farm.play("fleet.yml", *CONFIRM, "--check").returncode == 0
    assert list(cloud.pis) == ["farm-buster-1"]
    assert drained(farm) == []


def test_the_fleet_becomes_what_the_inventory_says_once(
    farm: Rented, cloud: Cloud, tmp_path: Path
) -> None:
    farm.source |= {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    cloud.pi("farm-buster-1")
    cloud.pi("somebody-elses")
    result = farm.play("fleet.yml", *CONFIRM, "--diff")
    assert result.returncode == 0, result.stdout
    assert set(cloud.pis) == {"somebody-elses", "farm-stretch-1", "farm-stretch-2"}
    assert drained(farm) == ["farm-buster-1"]
    assert "ansible-playbook site.yml" in result.stdout
    # The stand-in has one ssh for all, so that the last one's key is the one that stays.
    assert "2001:db8::1:3," in (farm.home / ".ssh/known_hosts").read_text()
    # Though it was cached.
    assert set(farm.list()["stretch"]["hosts"]) == {"farm-stretch-1", "farm-stretch-2"}

    again = farm.play("fleet.yml", *CONFIRM)
    assert "the rented fleet is what the inventory says" in again.stdout
    assert "changed=0" in again.stdout


def test_a_pi_that_can_not_be_drained_is_kept(farm: Rented, cloud: Cloud) -> None:
    cloud.pi("farm-buster-9")
    result = farm.play("fleet.yml", *CONFIRM)
    assert result.returncode != 0
    assert "it still builds numpy" in result.stdout
    assert list(cloud.pis) == ["farm-buster-9"]


def test_what_the_provider_refuses_is_a_sentence(farm: Rented, cloud: Cloud) -> None:
    cloud.sold_out = True
    result = farm.play("fleet.yml", *CONFIRM, "-vvv")
    assert result.returncode != 0
    assert "no Pi 4 with 4096 MB is in stock. Run it again later" in result.stdout


def test_an_inventory_that_says_nothing_of_renting_is_told_how(farm: Rented) -> None:
    del farm.settings["farm_fleet_max"]
    result = farm.play("fleet.yml")
    assert result.returncode != 0
    assert "doesn't say what to rent: it needs" in result.stdout


def test_the_databases_vm_is_rented_when_told_to_and_once(farm: Rented, cloud: Cloud) -> None:
    farm.settings["farm_database_vm"] = {
        "name": "farmdb",
        "product": "VPSX16",
        "disk_size": 10240,
        "image": "cloudinit-debian-bookworm.raw.gz",
        "zone": "uk",
    }
    shown = farm.play("database_vm.yml")
    assert shown.returncode == 0, shown.stdout
    assert "Would be rented: farmdb, VPSX16, price: VPSX16 3600, each" in shown.stdout
    assert cloud.vms == {}
    result = farm.play("database_vm.yml", *CONFIRM, "--diff", "-vvv")
    assert result.returncode == 0, result.stdout
    assert "under database in the inventory: 2001:db8::99" in result.stdout
    again = farm.play("database_vm.yml", *CONFIRM)
    assert "2001:db8::99" in again.stdout
    assert "changed=0" in again.stdout
