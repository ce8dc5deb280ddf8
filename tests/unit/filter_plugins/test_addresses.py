"""The filters of addresses."""

from __future__ import annotations

import pytest

from filter_plugins import addresses


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("fd77::10", 6),
        ("::1", 6),
        ("192.0.2.1", 4),
        ("pi7.example.org", 0),
        ("", 0),
        ("fd77::/64", 0),
        ("fe80::1%eth0", 0),
        ("192.0.2", 0),
        ("1", 0),
        (1, 0),
    ],
)
def test_the_version_of_an_address(text: object, version: int) -> None:
    assert addresses.address_version(text) == version


def test_names_and_addresses_stand_apart_in_a_certificate() -> None:
    assert addresses.subject_alt_name("wheels.example.org") == "DNS:wheels.example.org"
    assert addresses.subject_alt_name("fd77::10") == "IP:fd77::10"


def test_a_name_is_no_address() -> None:
    assert addresses.addresses(["fd77::10", "pi.local", "", "192.0.2.1"]) == [
        "fd77::10",
        "192.0.2.1",
    ]


@pytest.mark.parametrize(
    ("interface", "network"),
    [
        ("fd77::10/64", "fd77::/64"),
        ("192.0.2.9/29", "192.0.2.8/29"),
        ("192.0.2.9/32", "192.0.2.9/32"),
    ],
)
def test_the_network_of_an_interface(interface: str, network: str) -> None:
    assert addresses.network(interface) == network


def test_an_ipv4_address_behind_a_nat64() -> None:
    assert addresses.nat64("192.0.2.30") == "64:ff9b::c000:21e"
