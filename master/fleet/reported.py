"""What a builder says of its spool. It runs strangers' code: none of it is believed unread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from master import key
from master.key import Key
from master.text import one_line

MAX_BYTES = 1 << 20
MAX_KEYS = 1000
"""In one list; a spool holds a few."""


@dataclass(frozen=True)
class Report:
    queued: tuple[Key, ...]
    """In the order in which it will build them."""
    running: tuple[Key, ...]
    done: tuple[Key, ...]
    collected: frozenset[Key] | None
    """The done ones whose results the round has fetched whole; None where it didn't say."""
    handed: frozenset[Key]
    """What the round gave it just before it said this."""
    refuses: str | None
    text: str
    """All of it, as JSON that PostgreSQL can store."""

    @property
    def holds(self) -> frozenset[Key]:
        return frozenset((*self.queued, *self.running, *self.done))

    @property
    def started(self) -> frozenset[Key]:
        return frozenset((*self.running, *self.done))


def parse(raw: object) -> Report | None:
    """The report, or None if it's none: its builder then counts as not heard."""
    if not isinstance(raw, Mapping):
        return None
    try:
        text = json.dumps(_storable(raw), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    if len(text) > MAX_BYTES:
        return None
    refuses = raw.get("refuses")
    collected = raw.get("collected")
    return Report(
        queued=_keys(raw.get("queued")),
        running=_keys(raw.get("running")),
        done=_keys(raw.get("done")),
        collected=None if collected is None else frozenset(_keys(collected)),
        handed=frozenset(_keys(raw.get("handed"))),
        refuses=one_line(refuses) or "no reason given" if refuses else None,
        text=text,
    )


def _storable(raw: object) -> Any:
    """The same as jsonb takes it: no NUL, and no half of a surrogate pair."""
    if isinstance(raw, str):
        return raw.replace("\0", "?").encode("utf-8", "replace").decode()
    if isinstance(raw, Mapping):
        return {_storable(str(name)): _storable(value) for name, value in raw.items()}
    if isinstance(raw, (list, tuple)):
        return [_storable(value) for value in raw]
    return raw


def _keys(raw: object) -> tuple[Key, ...]:
    """The keys in a list of keys, or of objects that have one; the rest is dropped."""
    items: list[Any] = raw[:MAX_KEYS] if isinstance(raw, list) else []
    found = (key.parse(item.get("key") if isinstance(item, Mapping) else item) for item in items)
    return tuple(one for one in found if one)
