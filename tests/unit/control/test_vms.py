"""The database's virtual machine is rented once, and its address told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from control import vms
from control.provider import Provider, ProviderError
from control.vms import Kind, Outcome, Wanted
from tests.support.mythic_beasts import VNC_PASSWORD, Cloud

Present = Callable[..., Outcome]
KIND = Kind("VPSX16", 10240, "cloudinit-debian-bookworm.raw.gz", "uk")


@pytest.fixture
def present(account: Provider, tmp_path: Path) -> Present:
    """Have it there, with other facts of what is wanted than the usual ones."""
    usual = Wanted("farmdb", "ssh-ed25519 AAAA", tmp_path / "known_hosts", 5, False, KIND)

    def run(**facts: Any) -> Outcome:
        return vms.present(account, replace(usual, **facts))

    return run


def test_it_is_rented_once_and_waited_for(cloud: Cloud, present: Present, tmp_path: Path) -> None:
    cloud.steps = 3
    first = present()
    assert (first.changed, first.address) == (True, "2001:db8::99")
    (order,) = cloud.orders
    user_data = order.pop("user_data_string")
    assert order == {
        "name": "farmdb",
        "product": "VPSX16",
        "disk_size": 10240,
        "image": "cloudinit-debian-bookworm.raw.gz",
        "zone": "uk",
        "ipv4": False,
    }
    assert user_data.startswith("#cloud-config\n")
    assert yaml.safe_load(user_data) == {
        "disable_root": False,
        "ssh_authorized_keys": ["ssh-ed25519 AAAA"],
    }
    assert (tmp_path / "known_hosts").read_text().startswith("2001:db8::99,[127.0.0.1]:")
    again = present()
    assert (again.changed, again.address) == (False, "2001:db8::99")
    assert len(cloud.orders) == 1


def test_check_mode_orders_nothing_and_says_the_price(cloud: Cloud, present: Present) -> None:
    outcome = present(check_mode=True)
    assert outcome.changed
    assert outcome.price == "VPSX16 3600, each 5 GB of disk 30 (pence)"
    assert cloud.orders == []


def test_the_password_of_its_screen_is_nowhere(present: Present) -> None:
    assert VNC_PASSWORD not in repr(present())


def test_a_size_of_disk_that_there_is_not_is_named_with_those_that_there_are(
    present: Present,
) -> None:
    with pytest.raises(ProviderError, match=r"doesn't accept .*Disks have, in MB: .*10240, 20480"):
        present(kind=replace(KIND, disk_size=11))


def test_codes_are_sentences(cloud: Cloud, present: Present) -> None:
    cloud.sold_out = True
    with pytest.raises(ProviderError, match=r"no VPSX16 is in stock. Run it again later"):
        present()
    cloud.taken.add("farmdb")
    with pytest.raises(ProviderError, match="the name is taken, by another customer perhaps"):
        present()
    cloud.taken.clear()
    cloud.sold_out, cloud.fails = False, True
    with pytest.raises(ProviderError, match="has failed to provision it"):
        present()


def test_a_name_that_the_provider_does_not_take_is_refused(present: Present) -> None:
    with pytest.raises(ProviderError, match="farm-db is not a valid name of a virtual machine"):
        present(name="farm-db")
