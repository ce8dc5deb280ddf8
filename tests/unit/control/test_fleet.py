"""The fleet becomes what the inventory says, and no Pi is touched that isn't of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from control import fleet
from control.provider import Provider, ProviderError
from tests.support.mythic_beasts import Cloud

STRETCH = {"count": 2, "model": 4, "memory": 4096}


def plan(account: Provider, wanted: dict[str, Any], limit: int = 5) -> tuple[list[str], list[str]]:
    """Return what would be rented and given back."""
    found = fleet.plan(account, "farm", wanted, limit)
    return list(found.rent), found.give_back


def test_what_is_missing_is_rented_under_free_names(account: Provider, cloud: Cloud) -> None:
    cloud.pi("farm-stretch-2")
    assert plan(account, {"stretch": {**STRETCH, "count": 3}}) == (
        ["farm-stretch-1", "farm-stretch-3"],
        [],
    )


def test_a_fleet_that_is_as_wanted_is_left_alone(account: Provider, cloud: Cloud) -> None:
    cloud.pi("farm-stretch-1")
    # The provider has given more than was asked for.
    cloud.pi("farm-stretch-2", memory=8192)
    assert plan(account, {"stretch": STRETCH}) == ([], [])


def test_the_highest_numbers_are_given_back(account: Provider, cloud: Cloud) -> None:
    for number in (10, 9, 2):
        cloud.pi(f"farm-stretch-{number}")
    assert plan(account, {"stretch": STRETCH}) == ([], ["farm-stretch-10"])


def test_a_pi_of_another_kind_is_replaced_under_another_name(
    account: Provider, cloud: Cloud
) -> None:
    cloud.pi("farm-stretch-1", model=3, memory=1024)
    cloud.pi("farm-stretch-2")
    assert plan(account, {"stretch": STRETCH}) == (["farm-stretch-3"], ["farm-stretch-1"])


def test_pis_of_a_release_that_is_no_longer_wanted_are_given_back(
    account: Provider, cloud: Cloud
) -> None:
    cloud.pi("farm-buster-1")
    assert plan(account, {}) == ([], ["farm-buster-1"])


@pytest.mark.parametrize(
    "name", ["web", "farm", "farm-stretch", "farm-stretch-x", "farm-stretch-01", "my-farm-jessie-1"]
)
def test_a_pi_whose_name_the_farm_does_not_make_is_never_touched(
    account: Provider, cloud: Cloud, name: str
) -> None:
    cloud.pi(name)
    assert plan(account, {}) == ([], [])


def test_what_the_api_says_of_prices_is_shown(account: Provider, cloud: Cloud) -> None:
    cloud.pi("farm-buster-1")
    wanted = {"stretch": {**STRETCH, "count": 1}}
    assert fleet.plan(account, "farm", wanted, 1).lines == [
        "give back farm-buster-1: a Pi 4 with 4096 MB, price not given by the API",
        "rent farm-stretch-1: a Pi 4 with 4096 MB, price not given by the API",
    ]
    cloud.prices = True
    assert fleet.plan(account, "farm", wanted, 1).lines[1].endswith("price 725")


def test_more_pis_than_are_allowed_are_refused(account: Provider) -> None:
    with pytest.raises(ProviderError, match=r"asks for 2 Pis, and farm_fleet_max allows 1: lower"):
        plan(account, {"stretch": STRETCH}, limit=1)


def test_a_name_that_would_be_too_long_is_refused(account: Provider) -> None:
    with pytest.raises(ProviderError, match="wheelyard-bookworm64-1 is not a valid name"):
        fleet.plan(account, "wheelyard", {"bookworm64": STRETCH}, 5)


@pytest.mark.parametrize(
    "facts", [3, {"count": 3}, {**STRETCH, "memory": "4 GB"}, {**STRETCH, "colour": 1}]
)
def test_a_kind_that_is_not_whole_is_refused(account: Provider, facts: Any) -> None:
    said = re.escape(f"farm_fleet has for stretch {facts!r}: write it as {{count: 3, model: 4")
    with pytest.raises(ProviderError, match=said):
        plan(account, {"stretch": facts})
