"""Rented virtual machines: the one for the farm's database, from nothing to its address."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from control import host_key
from control.provider import AGAIN, CodeError, Provider, ProviderError, Rental, provisioned, until

NAME = re.compile(r"[a-z0-9]{1,20}")


@dataclass(frozen=True)
class Kind:
    """What a virtual machine is rented as."""

    product: str
    disk_size: int
    """In MB."""
    image: str
    zone: str


@dataclass(frozen=True)
class Wanted(Rental):
    """A virtual machine that is to be there."""

    kind: Kind


@dataclass(frozen=True)
class Outcome:
    """What was done, or in check mode would be; nothing of the API's answer that is secret."""

    changed: bool
    after: dict[str, Any]
    address: str | None = None
    """IPv6; None in check mode for one that isn't there yet."""
    price: str | None = None
    """What the API gives for one that isn't there yet."""


def present(provider: Provider, wanted: Wanted) -> Outcome:
    """Rent a virtual machine if it isn't there; wait until its ssh answers, and pin its key.

    Raises ProviderError.
    """
    name, kind, timeout_s = wanted.name, wanted.kind, wanted.timeout_s
    if not NAME.fullmatch(name):
        raise ProviderError(
            f"{name} is not a valid name of a virtual machine: use at most 20 lower-case letters "
            "and digits"
        )
    thing = f"the virtual machine {name}"
    new = name not in provider.json("GET", "/vps/servers", "the account's virtual machines")
    if new and wanted.check_mode:
        return Outcome(changed=True, after=asdict(kind), price=_price(provider, kind))
    if new:
        _rent(provider, wanted)

    def running() -> dict[str, Any] | None:
        server = provider.json("GET", f"/vps/servers/{name}", thing)
        return server if server.get("status") == "running" else None

    server = until(running, timeout_s, f"{thing}: not running after {timeout_s:.0f} s. {AGAIN}")
    address = ipaddress.ip_address(server["ipv6"][0]).compressed
    proxy = server["ssh_proxy"]
    ways = {"ipv6": (address, 22), "relay": (proxy["hostname"], int(proxy["port"]))}
    names = {host_key.name(*way) for way in ways.values()}
    ssh = ways[provider.settings.via]
    if not wanted.check_mode:
        host_key.confirm(wanted.known_hosts, ssh, names, timeout_s, new=new)
    return Outcome(new, asdict(kind), address)


def _rent(provider: Provider, wanted: Wanted) -> None:
    name, kind = wanted.name, wanted.kind
    # root's, which the images of some distributions keep for themselves.
    user_data = {"disable_root": False, "ssh_authorized_keys": [wanted.ssh_key]}
    body = {
        **asdict(kind),
        "name": name,
        "ipv4": False,
        # YAML's own subset.
        "user_data_string": f"#cloud-config\n{json.dumps(user_data)}\n",
    }
    ways = {
        409: "the name is taken, by another customer perhaps. Choose another",
        503: f"no {kind.product} is in stock. Run it again later, or choose another zone",
    }
    thing = f"the virtual machine {name}"
    try:
        answer = provider.call("POST", f"/vps/servers/{name}", thing, body, ways)
    except CodeError as error:
        if error.code != 400:
            raise
        sizes = provider.json("GET", "/vps/disk-sizes", "the sizes of disks")
        raise ProviderError(f"{error}. Disks have, in MB: {sizes}") from None
    provisioned(provider, answer, thing, wanted.timeout_s)


def _price(provider: Provider, kind: Kind) -> str:
    """Return what the API gives as prices, in pence: of the product, and of a piece of disk."""
    prices = provider.json("GET", "/vps/pricing", "the prices")
    product = prices.get("products", {}).get(kind.product, "not given by the API")
    disk = prices.get("disk", {}).get("ssd", {})
    return (
        f"{kind.product} {product}, each {disk.get('extent', '?')} GB of disk "
        f"{disk.get('price', '?')} (pence)"
    )
