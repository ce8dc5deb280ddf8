"""What is to be rented and given back, so that the fleet is what the inventory says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from control import pis
from control.pis import Kind
from control.provider import Provider, ProviderError

IMAGE = "rpi-bookworm-armhf"
"""Of a Pi, whatever it builds for: old releases have no image, and are built in a rootfs."""


@dataclass(frozen=True)
class Plan:
    """Pis by their names, what to do about them, and that in words."""

    rent: dict[str, Kind]
    give_back: list[str]
    lines: list[str]


def pattern(prefix: str) -> re.Pattern[str]:
    """Return what matches the names that a farm makes, PREFIX-RELEASE-N, with their release."""
    return re.compile(rf"{re.escape(prefix)}-(?P<release>[a-z0-9]+)-[1-9][0-9]*")


def plan(provider: Provider, prefix: str, wanted: Mapping[str, Any], limit: int) -> Plan:
    """Compare what is rented with what is wanted: for each release count, model and memory.

    Pis whose names the farm doesn't make are none of its business. Raises ProviderError.
    """
    kinds = {release: _kind(release, facts) for release, facts in wanted.items()}
    asked = sum(number for number, _ in kinds.values())
    if asked > limit:
        raise ProviderError(
            f"farm_fleet asks for {asked} Pis, and farm_fleet_max allows {limit}: lower a count, "
            "or raise farm_fleet_max"
        )
    have = pis.servers(provider)
    rent, give_back = _difference(prefix, kinds, have)
    for name in rent:
        pis.check(name)
    prices = _prices(provider) if rent or give_back else {}
    lines = [_line("give back", name, have[name], prices) for name in give_back]
    lines += [
        _line("rent", name, {"model": kind.model, "memory": kind.memory}, prices)
        for name, kind in rent.items()
    ]
    return Plan(rent, give_back, lines)


def _difference(
    prefix: str,
    kinds: Mapping[str, tuple[int, Kind]],
    have: Mapping[str, dict[str, Any]],
) -> tuple[dict[str, Kind], list[str]]:
    own: dict[str, list[str]] = {}
    for name in sorted(have, key=lambda one: (len(one), one)):
        if found := pattern(prefix).fullmatch(name):
            own.setdefault(found["release"], []).append(name)
    rent: dict[str, Kind] = {}
    give_back: list[str] = []
    for release in [*kinds, *(name for name in own if name not in kinds)]:
        number, kind = kinds.get(release, (0, None))
        mine = own.get(release, [])
        # The oldest numbers stay. One of another kind can't be changed, only replaced.
        stay = [name for name in mine if kind and kind.fits(have[name])][:number]
        give_back += [name for name in mine if name not in stay]
        if kind:
            names = (f"{prefix}-{release}-{n}" for n in count(1))
            free = (name for name in names if name not in have)
            rent |= {next(free): kind for _ in range(number - len(stay))}
    return rent, give_back


def _kind(release: str, facts: Any) -> tuple[int, Kind]:
    known = {"count": None, "model": None, "memory": None, "disk": 10, "image": IMAGE}
    given = facts if isinstance(facts, dict) else {}
    whole = {**known, **given}
    numbers = [whole[name] for name in ("count", "model", "memory", "disk")]
    if set(whole) != set(known) or not all(type(one) is int and one >= 0 for one in numbers):
        raise ProviderError(
            f"farm_fleet has for {release} {facts!r}: write it as "
            "{count: 3, model: 4, memory: 4096}, with memory in MB, and as you like "
            f"disk: 20, in GB, and image: {IMAGE}"
        )
    return whole["count"], Kind(whole["model"], whole["memory"], whole["disk"], str(whole["image"]))


def _prices(provider: Provider) -> dict[tuple[int, int], Any]:
    """Return what the API gives as price of a model with some memory, if it does."""
    offered = provider.json("GET", "/pi/models", "the models of Pi").get("models", [])
    return {(one["model"], one["memory"]): one["price"] for one in offered if "price" in one}


def _line(verb: str, name: str, kind: Mapping[str, Any], prices: Mapping[Any, Any]) -> str:
    price = prices.get((kind["model"], kind["memory"]), "not given by the API")
    return f"{verb} {name}: a Pi {kind['model']} with {kind['memory']} MB, price {price}"
