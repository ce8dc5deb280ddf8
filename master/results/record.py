"""Record what came back from builders: each result once, whole or not at all."""

from __future__ import annotations

import errno
import gzip
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg2.errors
from packaging.utils import parse_wheel_filename

from master import files
from master.config import Config
from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.errors import FarmError
from master.jobs import reasons, retry, transitions
from master.jobs.policy import is_compiled
from master.jobs.reasons import Code, Reason
from master.results import result as results
from master.results import sql, verify
from master.results.refused import WheelRefusedError
from master.results.repack import Packed, repack
from master.results.store import Intent, Store
from master.targets.tags import ARMV6, Target, serves
from master.text import one_line
from protocol import key as keys
from protocol.key import Key
from protocol.result import NETWORK, OTHER_FILE, Result, WheelFile

MAX_BUILD_TAGS = 100
MAX_APT_PACKAGES_EACH = 50
"""For each ELF file for a Pi in a wheel. Debian's own libraries name up to some twenty others."""


class NoRoomError(FarmError):
    """The disk of the master or of the database is full; nothing of this result is recorded."""


class RefusedError(Exception):
    """A result that is not what the farm waits for; it changes nothing."""


@dataclass(frozen=True)
class _Arrival:
    """A result on its way into the database, and the job that it is of."""

    key: Key
    job: Any
    target: Target
    result: Result
    reason: Reason | None
    """Why it failed; None while nothing says that it did."""
    log: str
    now: datetime


@dataclass(frozen=True)
class Recorded:
    key: str
    status: str
    """built, failed, skipped (the wheel of another target, come meanwhile, serves this one), or
    waiting: the sdist couldn't be fetched, and the job is queued again."""
    reason: str | None
    filename: str | None


class Recorder:
    """Records results over one connection, as the only one to do so while it lasts."""

    def __init__(self, conn: Connection, config: Config) -> None:
        self._conn = conn
        self._config = config
        self._store = Store(config)

    @classmethod
    def open(cls, conn: Connection, config: Config) -> Self:
        """End what an earlier recording left half done, and begin. Raises db.BusyError."""
        recorder = cls(conn, config)
        db.lock(conn, db.Lock.RECORDING)
        for intent in recorder._store.intents():
            recorder._resolve(intent)
        recorder._sweep()
        return recorder

    def record(self, builder: str, key: str, now: datetime) -> Recorded:
        """Record the result that stands in incoming/BUILDER/KEY, and remove it from there.

        Raises RefusedError, and with nothing recorded NoRoomError, psycopg2.Error or NewerError.
        """
        folder = self._config.incoming / builder / key
        parsed = keys.parse(key)
        try:
            job = self._job(builder, parsed)
            assert parsed is not None
        except RefusedError:
            files.remove(folder)
            raise
        target = Target(**{name: getattr(job, name) for name in Target.__dataclass_fields__})
        log, note = results.read_log(folder)
        result, reason = results.read(folder, key, log, job.leased_at, now)
        arrival = _Arrival(parsed, job, target, result, reason, log + note, now)
        try:
            recorded = self._end(arrival, folder)
        except OSError as error:
            raise _no_room(error, self._config.state_dir) from error
        except psycopg2.errors.DiskFull as error:
            raise NoRoomError(
                f"the disk of the database {self._config.database.host} is full: make room there; "
                f"the next round records {key}"
            ) from error
        files.remove(folder)
        self._store.forget(key)
        return recorded

    def _end(self, arrival: _Arrival, folder: Path) -> Recorded:
        """End the job, with the wheel if there is one and it can be kept."""
        key, sent = str(arrival.key), arrival.result.wheel
        if sent is not None:
            try:
                with verify.opened(folder / sent.filename, self._expected(arrival, sent)) as wheel:
                    cover = self._cover_of(arrival, wheel)
                    if cover:
                        reason = reasons.same_as(cover)
                        self._skip(arrival, reason)
                        return Recorded(key, "skipped", reason.words, None)
                    return Recorded(key, "built", None, self._publish(arrival, wheel))
            except (WheelRefusedError, psycopg2.DataError, psycopg2.IntegrityError) as error:
                # This one's fault, and the results behind it must not wait for it.
                arrival = replace(arrival, reason=_refused(error))
        assert arrival.reason is not None
        words = arrival.reason.words
        wait = retry.wait(arrival.result.fetch, arrival.job)
        if wait is not None:
            self._wait(arrival, arrival.reason, wait)
            return Recorded(key, "waiting", words, None)
        with db.transaction(self._conn) as cursor:
            self._insert(cursor, arrival)
        return Recorded(key, "failed", words, None)

    def _job(self, builder: str, key: Key | None) -> Any:
        """Return the job that the builder holds under this key. Raises RefusedError."""
        if key is None:
            raise RefusedError("that is not the key of a job")
        with db.transaction(self._conn) as cursor:
            cursor.execute(sql.JOB, {"job_id": key.job_id, "attempt": key.attempt})
            job = cursor.fetchone()
        if job is None or job.name != key.target:
            raise RefusedError("there is no such job")
        if job.recorded:
            raise RefusedError("it is recorded already")
        if job.state != "leased":
            raise RefusedError(f"the job is {job.state}, and leased to no one")
        if job.attempt != key.attempt:
            raise RefusedError(
                f"attempt {key.attempt} isn't the current one, which is {job.attempt}"
            )
        if job.builder != builder:
            raise RefusedError(f"the job is leased to {job.builder}")
        return job

    def _expected(self, arrival: _Arrival, sent: WheelFile) -> verify.Expected:
        return verify.Expected(
            project=arrival.job.project,
            version=arrival.job.version,
            target=arrival.target,
            filename=sent.filename,
            size_bytes=sent.size_bytes,
            sha256=sent.sha256,
            max_bytes=self._config.wheel_max_bytes,
        )

    def _cover_of(self, arrival: _Arrival, wheel: verify.Wheel) -> str | None:
        """Return the pure wheel, stored since the job was queued, that makes another needless."""
        if not wheel.serves_every_platform:
            return None
        job = arrival.job
        with db.transaction(self._conn) as cursor:
            cursor.execute(sql.PURE, {"version_id": job.version_id, "queued_at": job.queued_at})
            names = [str(row.filename) for row in cursor.fetchall()]
        found = (n for n in names if serves(parse_wheel_filename(n)[3], arrival.target))
        return next(found, None)

    def _skip(self, arrival: _Arrival, reason: Reason) -> None:
        """End the job without a second wheel of what is there. Raises RefusedError."""
        with db.transaction(self._conn) as cursor:
            self._lock(cursor, self._bound(arrival))
            transitions.finish(cursor, arrival.key.job_id, "skipped", reason, arrival.now)

    def _wait(self, arrival: _Arrival, reason: Reason, wait: timedelta) -> None:
        """Queue the job again, for when the wait is over. Raises RefusedError."""
        result = arrival.result
        with db.transaction(self._conn) as cursor:
            self._lock(cursor, self._bound(arrival))
            transitions.wait(
                cursor,
                arrival.key.job_id,
                reason,
                arrival.now + wait,
                arrival.now,
                network=result.fetch == NETWORK,
                other_file=result.fetch == OTHER_FILE,
            )

    def _publish(self, arrival: _Arrival, wheel: verify.Wheel) -> str:
        """Put the wheel into the store and its build into the database; return its name."""
        wheel = replace(wheel, filename=self._name(arrival, wheel))
        intent = Intent(str(arrival.key), arrival.job.project, wheel.filename)
        try:
            self._store.begin(intent)
            packed = repack(wheel, self._store.workshop(intent.key))
            self._store.put(intent, packed.path, wheel.metadata)
            with db.transaction(self._conn) as cursor:
                build_id = self._insert(cursor, arrival)
                self._insert_file(cursor, arrival, build_id, wheel, packed)
                if wheel.serves_every_platform:
                    self._cover(cursor, arrival, wheel)
        except (Exception, KeyboardInterrupt):
            # If the connection is gone, nobody knows whether it was committed: the next one asks.
            if not self._conn.closed:
                self._resolve(intent)
            raise
        return wheel.filename

    def _name(self, arrival: _Arrival, wheel: verify.Wheel) -> str:
        """Return a name that no wheel had before it, and that no older release's pip takes.

        With a build tag, and with its own interpreter for all that its author said, if need be.
        """
        job, target = arrival.job, arrival.target
        project, version, *build, interpreter, abi, platform = wheel.filename.split("-")
        if self._serves_older(target, wheel):
            interpreter = target.interpreter_tag
        # A build tag of its author's gives way to ours.
        builds = [build, *([str(number)] for number in range(1, MAX_BUILD_TAGS))]
        stems = ("-".join([project, version, *b, interpreter, abi]) for b in builds)
        # Of two that differ only in whether ARMv6 is proven, pip wouldn't know the newer one.
        armv7 = platform.removeprefix(f"{ARMV6}.")
        for stem in stems:
            names = (f"{stem}-{armv7}", f"{stem}-{ARMV6}.{armv7}")
            if not any(self._is_taken(job.project, name) for name in names):
                return f"{stem}-{platform}"
        raise WheelRefusedError(f"{wheel.filename} has been built {MAX_BUILD_TAGS} times")

    def _serves_older(self, target: Target, wheel: verify.Wheel) -> bool:
        """Return whether an older release's pip, with its older C library, takes it, too (abi3).

        Those that the farm builds for no longer count: they keep their wheels, and their users.
        """
        if wheel.serves_every_platform:
            return False
        with db.transaction(self._conn) as cursor:
            cursor.execute(sql.TARGETS)
            known = [Target(**row._asdict()) for row in cursor.fetchall()]
        return any(one.python < target.python and serves(wheel.tags, one) for one in known)

    def _is_taken(self, project: str, filename: str) -> bool:
        """Return whether a wheel of this name may have been published.

        One that only the store has was recorded in a database that has since been restored from an
        older backup: what else recording leaves there, its intent has taken out again.
        """
        return self._is_recorded(filename) or self._store.path(project, filename).exists()

    def _is_recorded(self, filename: str) -> bool:
        with db.transaction(self._conn) as cursor:
            cursor.execute(sql.RECORDED, {"filename": filename})
            return cursor.fetchone() is not None

    def _insert(self, cursor: Cursor, arrival: _Arrival) -> int:
        """Build, log and the job's end. Raises RefusedError if the lease ended meanwhile."""
        bound = self._bound(arrival)
        self._lock(cursor, bound)
        cursor.execute(sql.BUILD, bound)
        build_id = int(cursor.fetchone().build_id)
        text = arrival.log.encode()
        log = gzip.compress(text, 6, mtime=0)  # without the time, equal logs are equal
        cursor.execute(sql.LOG, {"build_id": build_id, "log": log, "size_bytes": len(text)})
        job_id, reason = arrival.key.job_id, arrival.reason
        transitions.finish(cursor, job_id, bound["status"], reason, arrival.now)
        return build_id

    def _bound(self, arrival: _Arrival) -> dict[str, Any]:
        result, job = arrival.result, arrival.job
        return {
            "job_id": arrival.key.job_id,
            "attempt": arrival.key.attempt,
            "builder_id": job.builder_id,
            "status": "failed" if arrival.reason else "built",
            "reason_code": arrival.reason and arrival.reason.code,
            "reason": arrival.reason and arrival.reason.words,
            "sdist_filename": job.sdist_filename if job.sdist_sha256 else None,
            "sdist_sha256": job.sdist_sha256,
            "started_at": result.started_at,
            "finished_at": result.finished_at,
            "duration_s": result.duration_s,
            "now": arrival.now,
        }

    def _lock(self, cursor: Cursor, bound: dict[str, Any]) -> None:
        cursor.execute(sql.LOCK_JOB, bound)
        if cursor.fetchone() is None:
            raise RefusedError("its lease ended while it was being verified")

    def _insert_file(
        self,
        cursor: Cursor,
        arrival: _Arrival,
        build_id: int,
        wheel: verify.Wheel,
        packed: Packed,
    ) -> None:
        cursor.execute(
            sql.FILE,
            {
                "build_id": build_id,
                "version_id": arrival.job.version_id,
                "filename": wheel.filename,
                "size_bytes": packed.size_bytes,
                "sha256": packed.sha256,
                "metadata_sha256": wheel.metadata_sha256,
                "requires_python": wheel.requires_python,
                "serves_every_platform": wheel.serves_every_platform,
                "not_armv6": wheel.not_armv6,
                "now": arrival.now,
            },
        )
        file_id = cursor.fetchone().file_id
        # The builder's word, on which users type sudo: a wheel without code for a Pi needs none,
        # and one for all releases none of this one's.
        native = () if wheel.serves_every_platform else wheel.native
        apt = arrival.result.apt_packages[: MAX_APT_PACKAGES_EACH * len(native)]
        for tool, dependencies in (("apt", apt), ("pip", wheel.dependencies)):
            bound = {"file_id": file_id, "tool": tool, "dependencies": list(dependencies)}
            cursor.execute(sql.DEPENDENCIES, bound)

    def _cover(self, cursor: Cursor, arrival: _Arrival, wheel: verify.Wheel) -> None:
        """Take the version out of the queues of other targets that this wheel serves, too."""
        job = arrival.job
        if is_compiled(cursor, job.project_id):
            # Elsewhere the compiler may do what it didn't here, and the wheel be a better one.
            return
        cursor.execute(sql.OTHER_TARGETS, {"version_id": job.version_id, "job_id": job.job_id})
        covered = []
        for row in cursor.fetchall():
            facts = row._asdict()
            job_id = facts.pop("job_id")
            if serves(wheel.tags, Target(**facts)):
                covered.append(job_id)
        reason = reasons.covered(wheel.filename)
        transitions.skip(cursor, covered, "pending", reason, arrival.now)

    def _resolve(self, intent: Intent) -> None:
        """Keep a wheel that is recorded, and take any other out of the store."""
        if self._is_recorded(intent.filename):
            self._store.forget(intent.key)
        else:
            self._store.undo(intent)

    def _sweep(self) -> None:
        """Remove what was collected and nobody waits for any longer."""
        with db.transaction(self._conn) as cursor:
            cursor.execute(sql.LEASED)
            waited = {
                (row.builder, str(Key(row.target, row.job_id, row.attempt)))
                for row in cursor.fetchall()
            }
        for folder in self._config.incoming.glob("*/*"):
            if (folder.parent.name, folder.name) not in waited:
                files.remove(folder)


def _refused(error: Exception) -> Reason:
    return Reason(Code.WHEEL_REFUSED, f"wheel refused: {one_line(str(error))}")


def _no_room(error: OSError, state_dir: Path) -> Exception:
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    return NoRoomError(
        f"the disk of the master is full ({error.filename or state_dir}): make room there "
        f"(df -h {state_dir}); nothing is half done, and the next round goes on"
    )
