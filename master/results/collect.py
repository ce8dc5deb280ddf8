"""The master's side of a round's end: what each builder said, and what it sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg2

from master.config import Config
from master.database import connection as db
from master.database import notes
from master.database.connection import Connection
from master.fleet import leases, reported
from master.fleet.leases import Ended
from master.results.record import NoRoomError, Recorded, Recorder, RefusedError
from master.text import one_line


@dataclass(frozen=True)
class RefusedResult:
    key: str
    builder: str
    reason: str


@dataclass
class Gathered:
    recorded: list[Recorded] = field(default_factory=list)
    refused: list[RefusedResult] = field(default_factory=list)
    lost: list[Ended] = field(default_factory=list)
    stopped: str | None = None
    """Why the rest of the results was left for the next round."""


def gather(
    conn: Connection,
    config: Config,
    reports: Mapping[str, Any],
    now: datetime,
    *,
    check: bool = False,
) -> Gathered:
    """Takes in all that a round brought back; None stands for a builder that wasn't reached.

    Each report and each result is a transaction of its own, and one that makes trouble of a kind
    that nobody thought of is left where it is: the others don't wait for it. With check, only says
    what results would be looked at. Raises db.BusyError, and psycopg2.Error without a database.
    """
    parsed = {builder: reported.parse(raw) for builder, raw in reports.items()}
    gathered = Gathered()
    arrived = [
        (builder, str(key))
        for builder, report in parsed.items()
        if report
        for key in report.done
        if report.collected is None or key in report.collected
        if (config.incoming / builder / str(key)).is_dir()
    ]
    if check:
        gathered.recorded = [Recorded(key, "arrived", None, None) for _, key in arrived]
        return gathered
    recorder = Recorder(conn, config)
    for builder, report in parsed.items():
        if report is None:
            gathered.lost += leases.missing(conn, config, builder, now)
        else:
            gathered.lost += leases.report(conn, config, builder, report, now)
    for builder, key in arrived:
        try:
            gathered.recorded.append(recorder.record(builder, key, now))
        except RefusedError as error:
            gathered.refused.append(RefusedResult(key, builder, str(error)))
        except NoRoomError as error:
            gathered.stopped = str(error)
            break
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it's of this result alone
            why = one_line(f"it can't be recorded: {type(error).__name__}: {error}")
            gathered.refused.append(RefusedResult(key, builder, why))
    with db.transaction(conn) as cursor:
        if gathered.stopped:
            notes.note(cursor, "last_collect_error", gathered.stopped, now)
        else:
            notes.note(cursor, "last_round", f"{len(parsed)} builders", now)
    return gathered
