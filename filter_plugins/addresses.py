"""Filters for addresses, which firewalls, pg_hba.conf and certificates each write in their own way.

{{ 'fd77::10' | address_version }}     6
{{ 'fd77::10' | subject_alt_name }}    IP:fd77::10
{{ ['::1', 'pi.local'] | addresses }}  ['::1']
{{ 'fd77::10/64' | network }}          fd77::/64
{{ '192.0.2.30' | nat64 }}             64:ff9b::c000:21e
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

_NAT64 = int(ipaddress.IPv6Address("64:ff9b::"))


def address_version(text: object) -> int:
    """Return 6 or 4 for an IPv6 or IPv4 address, 0 for all else (names, networks, zone indexes)."""
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return 0
    return 0 if getattr(address, "scope_id", None) else address.version


def addresses(texts: Iterable[object]) -> list[object]:
    """Return those of `texts` that are IPv6 or IPv4 addresses."""
    return [text for text in texts if address_version(text)]


def network(text: str) -> str:
    """Return the network of an interface's address, ADDRESS/PREFIX."""
    return str(ipaddress.ip_interface(text).network)


def nat64(text: str) -> str:
    """Return the IPv6 address by which a NAT64 reaches an IPv4 address (RFC 6052), without dots."""
    return str(ipaddress.IPv6Address(_NAT64 + int(ipaddress.IPv4Address(text))))


def subject_alt_name(subject: object) -> str:
    """Return a DNS name or an address as OpenSSL and community.crypto write it in a certificate."""
    return f"IP:{subject}" if address_version(subject) else f"DNS:{subject}"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by the names that playbooks use."""
        return {
            "address_version": address_version,
            "addresses": addresses,
            "network": network,
            "nat64": nat64,
            "subject_alt_name": subject_alt_name,
        }
