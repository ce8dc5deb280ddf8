"""Whether a round has anything to do, asked before each by wheelyard-round.service.

    python -m master.status.due        exits with 0 when a round is due, else with 1

A round costs a second or two of CPU time, and its timer runs some ten times a minute. This costs
a twentieth of that, so that an idle farm's master is idle.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from master import config as master_config
from master.config import Config
from master.database import connection as db
from master.database import notes
from master.database.connection import Connection

# Of master/site/publish.py, which is not imported here: with all that it needs, it would double the
# cost of this.
REMOVED = "removed.txt"

# A builder that is added, or that is off, is noticed within this time on an idle farm too.
AT_LEAST_EVERY = timedelta(seconds=60)

# What waits for its sdist is work when a claim would wake it.
_WORK = """
SELECT EXISTS (SELECT FROM jobs WHERE state = 'leased')
    OR EXISTS (SELECT FROM targets t
                WHERE t.active
                  AND EXISTS (SELECT FROM jobs j
                               WHERE j.target_id = t.target_id AND j.state = 'pending'
                                 AND j.retry_at IS NULL))
    OR EXISTS (SELECT FROM jobs j JOIN targets t USING (target_id)
                WHERE t.active AND j.retry_at <= %(now)s)
"""
_STALE = "SELECT EXISTS (SELECT FROM projects WHERE dirty_since IS NOT NULL)"
_NOTED = "SELECT updated_at FROM sync_state WHERE key = %(key)s"


def is_due(conn: Connection, config: Config, now: datetime) -> bool:
    """Return whether jobs are due or leased, something is to be published, or a look is due."""
    return (
        _is_over(conn, "last_round", AT_LEAST_EVERY, now)
        or bool(_value(conn, _WORK, {"now": now}))
        or _has_stale(conn, config)
    )


def is_stale(conn: Connection, config: Config, now: datetime) -> bool:
    """Return whether the farm knows more than its site shows, or may know more after an hour."""
    # The first hour begins with the first project: there may be no web host before.
    has_published = _value(conn, _NOTED, {"key": "last_publish"}) is not None
    return _has_stale(conn, config) or (has_published and is_hour_over(conn, now))


def is_hour_over(conn: Connection, now: datetime) -> bool:
    """Return whether what is published once an hour is due."""
    return _is_over(conn, "hourly_pages", timedelta(hours=1), now)


def undeleted(config: Config) -> list[str]:
    """Return what left the site's tree in a publish that ended before deleting it on the web."""
    try:
        return (config.state_dir / "publish" / REMOVED).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _is_over(conn: Connection, key: notes.Key, time: timedelta, now: datetime) -> bool:
    noted: datetime | None = _value(conn, _NOTED, {"key": key})
    return noted is None or now - noted >= time


def _has_stale(conn: Connection, config: Config) -> bool:
    return bool(_value(conn, _STALE)) or bool(undeleted(config))


def _value(conn: Connection, query: str, bound: dict[str, Any] | None = None) -> Any:
    with db.transaction(conn) as cursor:
        cursor.execute(query, bound)
        row = cursor.fetchone()
    return row[0] if row else None


def main() -> int:
    try:
        config = master_config.load()
        with db.session(config, "readonly") as conn:
            return 0 if is_due(conn, config, datetime.now(UTC)) else 1
    except Exception:  # noqa: BLE001  an exit code of 1 would read as nothing to do
        # The round will say what is wrong.
        return 0


if __name__ == "__main__":
    sys.exit(main())
