"""A PostgreSQL of the tests' own: in a temporary folder, on a unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class, named as one

ROLES = ("owner", "sync", "queue", "site", "readonly")


def newest_postgresql() -> Path:
    """Return the bin folder of the newest PostgreSQL that Debian's packages installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3])
    )
    if not found:
        raise RuntimeError("no PostgreSQL under /usr/lib/postgresql: apt-get install postgresql")
    return found[-1].parent


class Cluster:
    def __init__(self, folder: Path | None = None) -> None:
        self.bin = newest_postgresql()
        # Not pytest's own folder: postgres must be able to walk there, and a socket's path
        # may have no more than 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="wheelyard-pg-", dir=folder))
        self.data = self.root / "data"
        self.port = 5432
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")
        self.root.chmod(0o755)
        self._run(
            "initdb",
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(
                "listen_addresses = ''\n"
                f"unix_socket_directories = '{self.root}'\n"
                # The tests kill processes, not the machine: what is written to the page cache
                # is not lost, so there is nothing that an fsync could save.
                "fsync = off\nmax_wal_size = 256MB\nshared_buffers = 64MB\n"
            )
        self.start()

    def start(self) -> None:
        """Start it and waits until it answers; after a kill, as often as that takes."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self._run(
                    "pg_ctl",
                    "-D",
                    str(self.data),
                    "-l",
                    str(self.root / "log"),
                    "-w",
                    "-t",
                    "60",
                    "start",
                )
                return
            except RuntimeError:
                # Children of a killed postmaster hold its shared memory for a moment.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self, mode: str) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """Send SIGKILL to the postmaster, which its children notice by themselves."""
        pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.root)

    def connect(self, database: str = "postgres", user: str = "postgres") -> Connection:
        return psycopg2.connect(host=str(self.root), port=self.port, dbname=database, user=user)

    def execute(self, *statements: str) -> None:
        """Execute statements as the superuser, outside a transaction."""
        conn = self.connect()
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            conn.close()

    def _run(self, program: str, *args: str) -> None:
        argv = [str(self.bin / program), *args]
        if os.geteuid() == 0:
            argv = ["runuser", "-u", self.user, "--", *argv]
        # pg_ctl's server would hold a pipe open: output goes to a file.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(argv, stdout=output, stderr=output, cwd="/", check=False)
            if done.returncode:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise RuntimeError(f"{program} failed: {text}")
