"""Rented Pis are hosts of their release's group, beside those of the inventory's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mythic_beasts import Cloud
from tests.support.rented import Rented


@pytest.fixture
def farm(tmp_path: Path, cloud: Cloud) -> Rented:
    folder = tmp_path / "inventory"
    folder.mkdir()
    return Rented(folder, cloud)


def test_rented_pis_are_shown_beside_the_others(farm: Rented, cloud: Cloud) -> None:
    cloud.pi("farm-bookworm-1")
    cloud.pi("farm-bookworm64-12")
    cloud.pi("old-faithful")
    cloud.pi("web")
    farm.source["releases"] = {"old-faithful": "trixie"}
    result = farm.run("ansible-inventory", "--graph", "builders")
    assert result.stdout.splitlines() == [
        "@builders:",
        "  |--@bookworm:",
        "  |  |--pi1",
        "  |  |--farm-bookworm-1",
        "  |--@trixie:",
        "  |  |--pi2",
        "  |  |--old-faithful",
        "  |--@bookworm64:",
        "  |  |--farm-bookworm64-12",
    ]


@pytest.mark.parametrize("via", ["ipv6", "relay"])
def test_ssh_goes_the_way_that_is_set_and_the_farm_by_ipv6(
    farm: Rented, cloud: Cloud, tmp_path: Path, via: str
) -> None:
    cloud.pi("farm-bookworm-1")
    farm.source |= {"via": via, "relay": "ssh.{name}.example"}
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "ssh $*" >&2\nexit 255\n')
    ssh.chmod(0o755)
    arguments = ("-m", "ping", "-e", f"ansible_ssh_executable={ssh}", "-e", "ansible_ssh_retries=0")
    result = farm.run("ansible", "farm-bookworm-1", "-vvv", *arguments)
    output = result.stdout + result.stderr
    assert 'User="root"' in output
    if via == "relay":
        assert f"Port={cloud.ssh_port}" in output
        assert "ssh.farm-bookworm-1.example" in output
    else:
        assert "Port=" not in output
        assert "2001:db8::1:1" in output


def test_a_rented_pi_passes_the_farms_validation(farm: Rented, cloud: Cloud) -> None:
    cloud.pi("farm-bookworm-1")
    farm.source["via"] = "relay"
    # By its IPv6 address, which the farm's firewalls know it by.
    result = farm.play("validate.yml")
    assert result.returncode == 0, result.stdout


def test_a_pi_that_is_being_provisioned_is_left_out(farm: Rented, cloud: Cloud) -> None:
    # Listed already, and not to be read yet.
    cloud.pi("farm-bookworm-1")
    cloud.answers["GET /beta/pi/servers/farm-bookworm-1"] = (409, "Not fully provisioned")
    assert farm.list()["bookworm"]["hosts"] == ["pi1"]


def test_the_provider_is_asked_once_for_as_long_as_the_cache_lasts(
    farm: Rented, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.pi("farm-bookworm-1")
    farm.source |= {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    first = farm.list()
    assert "farm-bookworm-1" in first["_meta"]["hostvars"]
    asked = len(cloud.calls)
    assert farm.list() == first
    assert len(cloud.calls) == asked


def test_nothing_is_done_where_the_provider_can_not_be_asked(farm: Rented, cloud: Cloud) -> None:
    # The master would be told of a farm without the rented Pis.
    cloud.answers["GET /beta/pi/servers"] = (503, "Down for maintenance")
    result = farm.play("validate.yml")
    assert result.returncode != 0
    assert "the provider's API is not available. Run it again later" in result.stdout
    assert "PLAY" not in result.stdout
