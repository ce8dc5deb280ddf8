"""Rented Pis: the account's, one by one, and what becomes of them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass
from typing import Any

from control import host_key
from control.provider import (
    AGAIN,
    CodeError,
    Provider,
    ProviderError,
    Rental,
    provisioned,
    until,
)

NAME = re.compile(r"[a-z0-9-]{3,20}")
_TAKEN = (
    "the name is taken, by another customer perhaps. Choose another name, or another prefix for "
    "those that playbooks/fleet.yml makes"
)


@dataclass(frozen=True)
class Kind:
    """What a Pi is rented as."""

    model: int
    memory: int
    """In MB."""
    disk: int
    """In GB, a multiple of 10."""
    image: str

    def fits(self, server: dict[str, Any]) -> bool:
        """Return whether a Pi of the account's list is of this kind: the API gives what it has."""
        has: tuple[int, int] = server["model"], server["memory"]
        return has[0] == self.model and has[1] >= self.memory


@dataclass(frozen=True)
class Wanted(Rental):
    """What is to become of a Pi."""

    state: str
    """present, absent, powered_on, powered_off or rebooted."""
    kind: Kind


@dataclass(frozen=True)
class Pi:
    """A Pi that is provisioned."""

    name: str
    address: str
    """IPv6."""
    relay: str
    relay_port: int
    power: bool
    is_up: bool

    def ssh(self, via: str) -> tuple[str, int]:
        """Return host and port of its ssh."""
        return (self.relay, self.relay_port) if via == "relay" else (self.address, 22)

    @property
    def known_as(self) -> set[str]:
        """Return the names that a known_hosts file has of it."""
        return {host_key.name(*self.ssh(via)) for via in ("ipv6", "relay")}


def servers(provider: Provider) -> dict[str, dict[str, Any]]:
    """Return model, memory (MB) and cpu_speed (MHz) of each Pi of the account, by its name."""
    found = provider.json("GET", "/pi/servers", "the account's Pis")
    # Older pages of the API have no wrapper.
    pis: dict[str, dict[str, Any]] = found.get("servers", found)
    return pis


def read(provider: Provider, name: str) -> Pi | None:
    """Return a Pi, or None as long as it is being provisioned. Raises ProviderError."""
    try:
        server = provider.json("GET", f"/pi/servers/{name}", f"the Pi {name}")
    except CodeError as error:
        if error.code == 409:
            return None
        raise
    if server.get("status") != "live":
        return None
    return Pi(
        name,
        ipaddress.ip_address(server["ip"]).compressed,
        provider.settings.relay.format(name=name),
        int(server["ssh_port"]),
        bool(server["power"]),
        bool(server["power"]) and not server["is_booting"],
    )


def rent(provider: Provider, wanted: Wanted) -> None:
    """Rent a Pi, and wait until it is provisioned. Raises ProviderError."""
    name, kind = wanted.name, wanted.kind
    images = provider.json("GET", f"/pi/images/{kind.model}", f"the images of a Pi {kind.model}")
    if kind.image not in images:
        raise ProviderError(
            f"the Pi {name}: the provider has no image {kind.image} for a Pi {kind.model}. "
            f"Choose one of {', '.join(sorted(images))}"
        )
    body = {
        "model": kind.model,
        "memory": kind.memory,
        "disk": kind.disk,
        "os_image": kind.image,
        "ssh_key": wanted.ssh_key,
    }
    out_of_stock = (
        f"no Pi {kind.model} with {kind.memory} MB is in stock. Run it again later, or ask for "
        "another model or memory"
    )
    thing = f"the Pi {name}"
    ways = {409: _TAKEN, 503: out_of_stock}
    try:
        answer = provider.call("POST", f"/pi/servers/{name}", thing, body, ways)
    except CodeError as error:
        if error.code != 409 or not _is_ours(provider, name):
            raise
        return
    provisioned(provider, answer, thing, wanted.timeout_s)


def _is_ours(provider: Provider, name: str) -> bool:
    """Return whether a name that is taken is: by a run that was cut off, and not listed yet."""
    try:
        read(provider, name)
    except CodeError as error:
        if error.code != 403:
            raise
        return False
    return True


def check(name: str) -> None:
    """Raise ProviderError if the provider would not take a Pi's name."""
    if not NAME.fullmatch(name):
        raise ProviderError(
            f"{name} is not a valid name of a rented Pi: use 3 to 20 lower-case letters, digits "
            "and dashes"
        )


def wait(provider: Provider, name: str, timeout_s: float, *, power: bool | None = None) -> Pi:
    """Return a Pi when it is provisioned and, unless it is off, up. Raises ProviderError.

    power is what it is to be first.
    """

    def up() -> Pi | None:
        pi = read(provider, name)
        return pi if pi and power in (None, pi.power) and pi.is_up == pi.power else None

    late = f"the Pi {name}: not up after {timeout_s:.0f} s. {AGAIN}"
    return until(up, timeout_s, late)


def give_back(provider: Provider, name: str) -> None:
    """End a Pi's rent, at once: its disk is gone. Raises ProviderError."""
    try:
        provider.call("DELETE", f"/pi/servers/{name}", f"the Pi {name}")
    except CodeError as error:
        if error.code != 404:
            raise


def switch(provider: Provider, name: str, *, on: bool) -> None:
    """Power a Pi on or off. Raises ProviderError."""
    provider.call("PUT", f"/pi/servers/{name}/power", f"the Pi {name}", {"power": on})


def reboot(provider: Provider, name: str) -> None:
    """Reboot a Pi; one that is rebooting goes on. Raises ProviderError."""
    try:
        provider.call("POST", f"/pi/servers/{name}/reboot", f"the Pi {name}")
    except CodeError as error:
        if error.code != 409:
            raise


@dataclass(frozen=True)
class Outcome:
    """What was done, or in check mode would be."""

    changed: bool
    before: dict[str, Any]
    after: dict[str, Any]
    pi: Pi | None = None
    """None for one that is gone, and in check mode for one that isn't there yet."""


def bring(provider: Provider, wanted: Wanted) -> Outcome:
    """Bring a Pi to its state. Raises ProviderError."""
    check(wanted.name)
    found = servers(provider).get(wanted.name)
    if wanted.state == "absent":
        return _absent(provider, wanted, found)
    if wanted.state == "present":
        return _present(provider, wanted, found)
    if found is None:
        raise ProviderError(
            f"the Pi {wanted.name}: it is not in this account. Rent it (state: present)"
        )
    return _powered(provider, wanted)


def _powered(provider: Provider, wanted: Wanted) -> Outcome:
    pi = wait(provider, wanted.name, wanted.timeout_s)
    reboots = wanted.state == "rebooted"
    before, after = {"power": pi.power}, {"power": wanted.state != "powered_off"}
    changed = reboots or before != after
    if changed and not wanted.check_mode:
        if reboots and pi.power:
            reboot(provider, wanted.name)
        else:
            switch(provider, wanted.name, on=after["power"])
        pi = _confirmed(provider, wanted, power=after["power"])
    return Outcome(changed, before, after | ({"rebooted": True} if reboots else {}), pi)


def _absent(provider: Provider, wanted: Wanted, found: dict[str, Any] | None) -> Outcome:
    if found is None:
        return Outcome(changed=False, before={}, after={})
    if not wanted.check_mode:
        # In the midst of being provisioned it can't be given back, and the provider says so.
        pi = read(provider, wanted.name)
        give_back(provider, wanted.name)
        if pi:
            host_key.forget(wanted.known_hosts, pi.known_as)
    return Outcome(changed=True, before=_shown(found), after={})


def _present(provider: Provider, wanted: Wanted, found: dict[str, Any] | None) -> Outcome:
    new = found is None
    if found and not wanted.kind.fits(found):
        raise ProviderError(
            f"the Pi {wanted.name}: it is a Pi {found['model']} with {found['memory']} MB, and a "
            "rented Pi stays what it is. Give it back (state: absent) and rent another"
        )
    before = _shown(found) if found else {}
    after = before or asdict(wanted.kind)
    if wanted.check_mode:
        return Outcome(new, before, after)
    if new:
        rent(provider, wanted)
    return Outcome(new, before, after, _confirmed(provider, wanted, new=new))


def _confirmed(
    provider: Provider, wanted: Wanted, *, power: bool | None = None, new: bool = False
) -> Pi:
    """Return a Pi that is up, whose ssh answers with the key that is pinned; or one that is off."""
    pi = wait(provider, wanted.name, wanted.timeout_s, power=power)
    if pi.power:
        ssh = pi.ssh(provider.settings.via)
        host_key.confirm(wanted.known_hosts, ssh, pi.known_as, wanted.timeout_s, new=new)
    return pi


def _shown(server: dict[str, Any]) -> dict[str, Any]:
    return {key: server[key] for key in ("model", "memory")}
