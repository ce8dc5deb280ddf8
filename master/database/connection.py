"""Connections to the farm's database, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Literal, TypeAlias

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2.extras import NamedTupleCursor

from master.config import Config, Database
from master.errors import FarmError
from master.text import one_line

Connection: TypeAlias = psycopg2.extensions.connection

# Its rows are tuples with names, and only the query knows which.
Cursor: TypeAlias = Any

Role = Literal["owner", "sync", "queue", "site", "readonly"]

CONNECT_TIMEOUT_S = 10

# The server must notice a master that is gone, too: until then it holds that master's locks.
OPTIONS = (
    "-c TimeZone=UTC -c lock_timeout=60s -c tcp_keepalives_idle=30 "
    "-c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)


# Any number that is this program's own; with each lock's number it is the lock's name.
_LOCKS = 0x5759


class Lock(Enum):
    """What only one process may do at a time."""

    SYNC = 1
    RECORDING = 2
    MIGRATION = 3
    CLAIM = 4

    @property
    def key(self) -> dict[str, int]:
        """Its two numbers, as pg_advisory_lock takes them and pg_locks shows them."""
        return {"classid": _LOCKS, "objid": self.value}


class BusyError(FarmError):
    """Another process is at the same work."""


class DatabaseUnreachableError(FarmError):
    """No connection; the message names host and port, the cause and the way out."""


def connect(config: Config, role: Role, password: str | None = None) -> Connection:
    """Return a connection as wheelyard_ROLE, over TLS with the server's certificate verified.

    Rows are tuples with names (NamedTupleCursor). The password is libpq's to find, in ~/.pgpass,
    unless one is given. Raises DatabaseUnreachableError.
    """
    database = config.database
    try:
        conn: Connection = psycopg2.connect(
            host=database.host,
            port=database.port,
            dbname=database.name,
            user=f"wheelyard_{role}",
            password=password,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=f"wheelyard {role}",
            # A master that loses its network must learn so within a minute, not in two hours.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=OPTIONS,
            cursor_factory=NamedTupleCursor,
            **tls(database),
        )
        return conn
    except psycopg2.OperationalError as error:
        cause = one_line(str(error))
        raise DatabaseUnreachableError(
            f"the database {database.name} at {database.host}:{database.port} can't be reached "
            f"as wheelyard_{role}: {cause}. Check that PostgreSQL runs there (systemctl status "
            f"postgresql) and lets this host in; ansible-playbook site.yml sets both up"
        ) from error


def tls(database: Database) -> dict[str, Any]:
    """Return what libpq is told of TLS: a host always has it, and a unix socket never."""
    if database.host.startswith("/"):
        return {}
    return {"sslmode": "verify-full", "sslrootcert": str(database.sslrootcert)}


@contextmanager
def session(config: Config, role: Role, password: str | None = None) -> Iterator[Connection]:
    """Yield a connection that is closed at the end.

    Raises DatabaseUnreachableError when it can't be made or breaks in the middle, and BusyError
    when others were in the way; what was not committed then is rolled back by the server.
    """
    conn = connect(config, role, password)
    try:
        yield conn
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
        raise BusyError(
            f"others kept what this needs locked in the database for too long: "
            f"{one_line(str(error))}. Nothing is half done; run this again (pg_stat_activity there "
            f"shows who it is)"
        ) from error
    except psycopg2.Error as error:
        # A connection that breaks shows in many ways; what the server itself says has a code.
        gone = isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
        if not (gone or conn.closed or error.pgcode is None):
            raise
        database = config.database
        cause = one_line(str(error))
        raise DatabaseUnreachableError(
            f"the database {database.name} at {database.host}:{database.port} failed in the "
            f"middle of the work: {cause}. Nothing is half done; check PostgreSQL there "
            f"(systemctl status postgresql, journalctl -u postgresql, df), then run this again"
        ) from error
    finally:
        conn.close()


@contextmanager
def transaction(conn: Connection, *, dry_run: bool = False) -> Iterator[Cursor]:
    """Yield a cursor in a transaction that is committed at the end.

    An exception rolls it back, and so does the end of a dry run.
    """
    with conn, conn.cursor() as cursor:
        yield cursor
        if dry_run:
            conn.rollback()


def lock(conn: Connection, what: Lock) -> None:
    """Wait for a lock that lasts as long as the connection, however its process ends.

    Raises BusyError after a minute.
    """
    try:
        with transaction(conn) as cursor:
            cursor.execute("SELECT pg_advisory_lock(%(classid)s, %(objid)s)", what.key)
    except psycopg2.errors.LockNotAvailable as error:
        raise BusyError(
            f"another {what.name.lower()} has been under way for more than a minute: wait for it "
            f"(ansible-playbook playbooks/status.yml shows what the farm does), or end it (its "
            f"process is in the database's pg_stat_activity)"
        ) from error
