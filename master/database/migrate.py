"""Bring the database to the schema that this code expects, by the SQL files in schema/.

Done by yoyo-migrations: each file once, in the order of their names, each in its own transaction.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from master.config import Config
from master.database import connection as db
from master.database.connection import Connection
from master.errors import FarmError

SCHEMA = Path(__file__).parent / "schema"


class MigrationError(FarmError):
    """A statement of a migration fails; the migration is rolled back."""


def pending(conn: Connection) -> list[str]:
    """Return the migrations that the database lacks, in order. Changes nothing."""
    with db.transaction(conn) as cursor:
        cursor.execute("SELECT to_regclass(%s)", (default_migration_table,))
        done: set[str] = set()
        if cursor.fetchone()[0] is not None:
            cursor.execute("SELECT migration_id FROM _yoyo_migration")
            done = {row[0] for row in cursor.fetchall()}
    return [m.id for m in read_migrations(str(SCHEMA)) if m.id not in done]


def migrate(conn: Connection, config: Config, password: str | None) -> list[str]:
    """Apply what is pending, as wheelyard_owner, and return its names.

    Raises MigrationError, and BusyError while another migration runs.
    """
    db.lock(conn, db.Lock.MIGRATION)
    missing = pending(conn)
    try:
        if missing:
            _apply(config, password)
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        # Of the connection, and no statement's: the session says it.
        raise
    except psycopg2.Error as error:
        raise MigrationError(
            f"a migration of {config.database.name} at {config.database.host} failed and was"
            f" rolled back: {error}. Restore the schema that this version expects, or report it"
        ) from error
    return missing


def _apply(config: Config, password: str | None) -> None:
    database = config.database
    backend = PostgresqlBackend(
        DatabaseURI(
            scheme="postgresql",
            username="wheelyard_owner",
            password=password,
            hostname=database.host,
            port=database.port,
            database=database.name,
            args=db.tls(database),
        ),
        default_migration_table,
    )
    with backend:
        backend.init_database()
        # yoyo's own lock is a row that outlives a killed process. Ours is held, so no other
        # migration is under way and a row that is there is left from such a kill.
        backend.break_lock()
        with backend.lock():
            backend.apply_migrations(backend.to_apply(read_migrations(str(SCHEMA))))
