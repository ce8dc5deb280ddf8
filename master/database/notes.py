"""One-line notes on what the farm did last, in the table sync_state."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from master.database import sql
from master.database.connection import Cursor

Key = Literal[
    "index_url",
    "sync_began",
    "last_sync",
    "last_sync_error",
    "last_round",
    "last_collect_error",
    "claims_paused",
    "publish_began",
    "hourly_pages",
    "last_publish",
    "last_publish_error",
]


def note(cursor: Cursor, key: Key, value: str, now: datetime) -> None:
    """Write the note over the last one of its key."""
    cursor.execute(sql.NOTE, {"key": key, "value": value, "now": now})
