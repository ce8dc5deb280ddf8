"""A builder's own queue on its disk, with maildir manners.

    jobs/KEY.json  ->  running/KEY.json  ->  done/KEY.json      a rename each
    results/KEY/{result.json,log.txt,WHEEL}                     stands before the rename to done

A job is in exactly one of the three at any moment: a kill or a power cut in the middle of anything
here leaves it where it was or where it was going. Every change of state holds the lock, since the
service and the master's calls both come here; the kernel drops it with the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from builder import files
from builder.files import DiskFullError
from builder.spool import held
from builder.spool.held import Held
from protocol import job as jobs
from protocol import key as keys
from protocol import result as results
from protocol.job import Job
from protocol.result import Result

_STATES = ("jobs", "running", "done")


@dataclass(frozen=True)
class Snapshot:
    """What was in the spool at one moment, oldest first."""

    queued: tuple[Held, ...]
    running: tuple[Held, ...]
    done: tuple[str, ...]

    @property
    def keys(self) -> frozenset[str]:
        """Every job that the spool holds, in whatever state."""
        return frozenset(
            {job.key for job in self.queued} | {job.key for job in self.running} | set(self.done)
        )


class Spool:
    """The queue under one directory, which the builder role makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = root / "jobs"
        self.running = root / "running"
        self.done = root / "done"
        self.results = root / "results"
        self.tmp = root / "tmp"

    def make(self) -> None:
        """Make the directories that aren't there."""
        for path in (self.jobs, self.running, self.done, self.results, self.tmp):
            path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the spool for one change of state; raises DiskFullError where there is no room."""
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with files.room():
                yield
        finally:
            os.close(descriptor)

    def snapshot(self) -> Snapshot:
        """Return what is in the spool; a job file that can't be read counts as not there."""
        with self.locked():
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        queued = sorted(self._read(self.jobs), key=_order)
        running = sorted(self._read(self.running), key=_order)
        return Snapshot(tuple(queued), tuple(running), tuple(sorted(_keys(self.done))))

    def _read(self, state: Path) -> Iterator[Held]:
        for key in _keys(state):
            path = state / f"{key}.json"
            try:
                job = held.parse(json.loads(path.read_text(encoding="utf-8")))
            except ValueError:
                # Every write here is synced before its rename, so this is a dying disk. Without
                # the file the report doesn't show the job, and the master queues it again at once.
                path.unlink()
                continue
            yield job

    def add(self, job: Job) -> bool:
        """Queue `job` unless the spool has it in any state; return whether it was added."""
        with self.locked():
            if any((self.root / state / f"{job.key}.json").exists() for state in _STATES):
                return False
            self._write(self.jobs, held.hold(job, time.time()))
            return True

    def _write(self, state: Path, job: Held) -> None:
        name = f"{job.key}.json"
        files.write_json(state / name, jobs.dump(job), self.tmp / name)

    def _move(self, key: str, source: Path, target: Path) -> None:
        name = f"{keys.check(key)}.json"
        (source / name).rename(target / name)
        files.sync_dir(target)
        files.sync_dir(source)

    def withdraw(self, key: str) -> bool:
        """Take back a job that isn't started; return whether there was one."""
        with self.locked():
            return self._unlink(self.jobs, key)

    def acknowledge(self, key: str) -> bool:
        """Remove a result that the master has recorded; return whether there was one.

        The payload goes first: cut off between the two, the next acknowledgement ends it.
        """
        with self.locked():
            files.remove(self.results / keys.check(key))
            return self._unlink(self.done, key)

    def _unlink(self, state: Path, key: str) -> bool:
        path = state / f"{keys.check(key)}.json"
        there = path.exists()
        path.unlink(missing_ok=True)
        files.sync_dir(state)
        return there

    def take(self, now: float) -> Optional[Held]:
        """Start the next job: highest priority, then oldest.

        Raises DiskFullError, with the job still queued.
        """
        with self.locked():
            queued = self._snapshot().queued
            if not queued:
                return None
            job = replace(queued[0], started_at=now)
            self._move(job.key, self.jobs, self.running)
            try:
                self._write(self.running, job)
            except OSError:
                self._move(job.key, self.running, self.jobs)
                raise
            return job

    def put_back(self, job: Held) -> None:
        """Queue a started job again, as `job` says now."""
        with self.locked():
            # Without a start time it is known as being on its way back, whatever happens between.
            # A full disk costs what `job` says now, but never the job.
            with suppress(DiskFullError), files.room():
                self._write(self.running, job.waiting())
            self._move(job.key, self.running, self.jobs)

    def finish(self, result: Result, log: bytes, wheel: Optional[Path]) -> None:
        """Put the result of a started job where the master collects it.

        `wheel` is a finished file inside tmp/, which moves into the result. Raises DiskFullError,
        with nothing changed but the wheel's place.
        """
        folder = self.tmp / f"{keys.check(result.key)}.result"
        with self.locked():
            try:
                folder.mkdir()
                files.write_synced(folder / "log.txt", log)
                if wheel is not None and result.wheel is not None:
                    wheel.rename(folder / result.wheel.filename)
                files.write_synced(
                    folder / "result.json", json.dumps(results.dump(result), indent=1).encode()
                )
                files.sync_dir(folder)
            except OSError:
                files.remove(folder)
                raise
            files.remove(self.results / result.key)
            folder.rename(self.results / result.key)
            files.sync_dir(self.results)
            self._move(result.key, self.running, self.done)

    def recover(self, target: str) -> tuple[Held, ...]:
        """Clear what a kill left behind and return the jobs that were being built.

        A job whose result stands completes; one that was only on its way between two states is
        queued again. Others than for `target` go: this Pi's release was another one, and what the
        report doesn't show is given to other builders. For the service's start: nothing else may
        be building.
        """
        self.make()
        with self.locked():
            for path in self.tmp.iterdir():
                files.remove(path)
            interrupted = []
            snapshot = self._snapshot()
            for job in snapshot.queued:
                if job.target != target:
                    self._unlink(self.jobs, job.key)
            for job in snapshot.running:
                if (self.results / job.key / "result.json").exists():
                    self._move(job.key, self.running, self.done)
                elif job.target != target:
                    self._unlink(self.running, job.key)
                elif job.started_at is None:
                    self._move(job.key, self.running, self.jobs)
                else:
                    interrupted.append(job)
            done = set(_keys(self.done))
            for path in self.results.iterdir():
                if path.name not in done:
                    files.remove(path)
            return tuple(interrupted)


def _order(job: Held) -> tuple[float, float, str]:
    return (-job.priority, job.queued_at, job.key)


def _keys(state: Path) -> list[str]:
    return [path.stem for path in state.iterdir() if path.suffix == ".json"]
