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
from master.fleet import leases
from master.fleet.leases import EndedLease
from master.results.record import NoRoomError, Recorded, Recorder, RefusedError
from master.text import one_line
from protocol import report


@dataclass(frozen=True)
class RefusedResult:
    key: str
    builder: str
    reason: str


@dataclass
class Gathered:
    recorded: list[Recorded] = field(default_factory=list)
    refused: list[RefusedResult] = field(default_factory=list)
    lost: list[EndedLease] = field(default_factory=list)
    stopped: str | None = None
    """Why the rest of the results was left for the next round."""


def gather(
    conn: Connection,
    config: Config,
    exchanges: Mapping[str, Mapping[str, Any]],
    now: datetime,
    *,
    check: bool = False,
) -> Gathered:
    """Take in all that a round brought back.

    An exchange is a builder's report, None for one that wasn't reached, and beside it what the
    master knows: the keys whose results were collected, and of the jobs that were handed over.
    Each report and each result is a transaction of its own, and one that makes trouble of a kind
    that nobody thought of is left where it is: the others don't wait for it. With check, only says
    what results would be looked at. Raises db.BusyError, and psycopg2.Error without a database.
    """
    heard = {builder: report.read(one["report"]) for builder, one in exchanges.items()}
    gathered = Gathered()
    arrived = [
        (builder, key)
        for builder, said in heard.items()
        if said
        for key in map(str, said.done)
        if key in exchanges[builder]["collected"] and (config.incoming / builder / key).is_dir()
    ]
    if check:
        gathered.recorded = [Recorded(key, "arrived", None, None) for _, key in arrived]
        return gathered
    recorder = Recorder.open(conn, config)
    for builder, said in heard.items():
        if said is None:
            gathered.lost += leases.missing(conn, config, builder, now)
        else:
            handed = exchanges[builder]["handed"]
            gathered.lost += leases.report(conn, config, builder, said, now, handed=handed)
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
            notes.note(cursor, "last_round", f"{len(heard)} builders", now)
    return gathered
