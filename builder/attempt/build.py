"""One attempt at one job, from its sdist to its result."""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional, Protocol

from builder import PiTroubleError, files
from builder.attempt import fetch, output
from builder.attempt import log as build_log
from builder.config import Config
from builder.libraries import apt
from builder.libraries.rootfs import Rootfs
from builder.sandbox.units import UnitError
from builder.spool.held import Held
from builder.spool.spool import Spool
from protocol.result import NETWORK, Result, UnitResult, WheelFile

_UNPACKED_FACTOR = 8
_MEMORY_OF_A_COMPILER = 512 << 20
logger = logging.getLogger(__name__)


class BuildUnits(Protocol):
    """What a build asks of systemd; see systemd.Units."""

    def start_root(self, key: str) -> None: ...
    def build(self, key: str, timeout_s: Optional[float] = None) -> UnitResult: ...
    def is_building(self, key: str) -> bool: ...
    def end_processes(self, key: str) -> None: ...
    def remove(self, key: str) -> None: ...


@dataclass(frozen=True)
class Workdir:
    """The folders of one build; wheel-root@KEY makes and removes them."""

    folder: Path

    @property
    def sdist(self) -> Path:
        """Read only in the sandbox, where it is /in."""
        return self.folder / "in"

    @property
    def wheels(self) -> Path:
        """The one folder that the build can write to and that is looked at: /out."""
        return self.folder / "out"

    @property
    def log(self) -> Path:
        """What pip and everything that it started said."""
        return self.folder / "log"

    def hand_over(self, filename: str, environment: Mapping[str, str]) -> None:
        """Tell wheel-build@ the sdist's name, how many compilers may run at once, and what else."""
        processors, memory = os.cpu_count() or 1, memory_bytes()
        jobs = max(min(processors, memory // _MEMORY_OF_A_COMPILER), 1)
        lines = [f"SDIST=/in/{filename}", f"MAKEFLAGS=-j{jobs}"]
        lines += [f"{name}={jobs}" for name in ("CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS")]
        lines += [f"{name}={value}" for name, value in environment.items()]
        text = "".join(f"{line}\n" for line in lines)
        (self.sdist / "build.env").write_text(text, encoding="ascii")


def memory_bytes() -> int:
    """Return the memory of this Pi."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Builder:
    """Brings started jobs to an end, one at a time."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        units: BuildUnits,
        *,
        clock: Callable[[], float] = time.time,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self.config = config
        self.spool = spool
        self.units = units
        self.clock = clock
        self.context = context
        self.pause = fetch.Pause()

    def build(self, job: Held) -> None:
        """Build a job that was taken from the spool.

        Afterwards it is done, or queued again when this Pi and not the package is to blame; then
        raises PiTroubleError.
        """
        logger.info("%s: building %s %s", job.key, job.project, job.version)
        workdir = Workdir(self.config.work_dir / job.key)
        with self._ending(job):
            try:
                self.units.start_root(job.key)
            except UnitError as error:
                # Nothing of the package has run yet, so this isn't counted against it.
                self.spool.put_back(job)
                raise PiTroubleError(f"the root of a build can't be made: {error}") from error
            try:
                self._fetch(job, workdir)
            except fetch.FetchError as error:
                if error.code == NETWORK:
                    self.pause.begin(str(error))
                self._fail(job, f"the sdist can't be fetched: {error}", error.code)
            else:
                self._run(job, workdir)

    def resume(self, job: Held) -> None:
        """Bring a job to its end that was being built when the service ended.

        A build runs in a unit of its own, so it may well go on, or have ended, by itself. Raises
        as build() does.
        """
        with self._ending(job):
            if self.units.is_building(job.key):
                logger.info("%s: goes on", job.key)
                self._run(job, Workdir(self.config.work_dir / job.key))
            else:
                self._interrupted(job, None)

    @contextmanager
    def _ending(self, job: Held) -> Iterator[None]:
        """Queue `job` again if there is no room for what comes of it; remove what it leaves."""
        try:
            with files.room():
                yield
        except files.DiskFullError:
            self.spool.put_back(job)
            raise
        finally:
            self.units.remove(job.key)

    def _run(self, job: Held, workdir: Workdir) -> None:
        try:
            outcome = self.units.build(job.key)
        except UnitError as error:
            self._interrupted(job, f"the sandbox can't be set up: {error}")
        else:
            self._finish(job, workdir, outcome)

    def _fetch(self, job: Held, workdir: Workdir) -> None:
        path = fetch.sdist(
            job.sdist,
            workdir.sdist,
            max_bytes=self.config.sdist_max_bytes,
            timeout_s=self.config.fetch_timeout_s,
            context=self.context,
        )
        self.pause.end()
        # wheel-build@ reads it: the only word of a job that its command needs.
        workdir.hand_over(path.name, self.config.release.environment)

    def _interrupted(self, job: Held, cause: Optional[str]) -> None:
        count = job.interrupted + 1
        if count >= self.config.interruptions_max:
            last = f"; {cause}" if cause else ""
            self._fail(job, f"builder-lost: interrupted {count} times{last}")
            return
        logger.warning("%s: interrupted (%d): %s", job.key, count, cause or "service or Pi ended")
        self.spool.put_back(job.waiting(interrupted=count))
        if cause:
            raise PiTroubleError(cause)

    def _fail(self, job: Held, why: str, code: Optional[str] = None) -> None:
        result = self._result(job, "failed", why, fetch=code)
        self.spool.finish(result, f"{why}\n".encode(), None)
        logger.info("%s: failed: %s", job.key, why)

    def _finish(self, job: Held, workdir: Workdir, ended: UnitResult) -> None:
        """Put the result of an ended build into the spool."""
        self.units.end_processes(job.key)
        log = build_log.trimmed(workdir.log, self.config.log_max_bytes)
        copy = self.spool.tmp / f"{job.key}.whl"
        try:
            if not ended.succeeded:
                result = self._result(job, "failed", None, unit=ended)
            else:
                try:
                    wheel = output.take(workdir.wheels, copy, self.config.wheel_max_bytes)
                    found = self._needs(copy, workdir)
                except (output.WheelError, apt.InspectError) as error:
                    result = self._result(job, "failed", f"wheel refused: {error}")
                else:
                    result = self._result(job, "built", None, wheel=wheel, apt_packages=found.names)
                    log += _missing(found.missing_libraries)
            self.spool.finish(result, log, copy if result.wheel else None)
        finally:
            copy.unlink(missing_ok=True)
        why = result.reason or result.unit or ""
        logger.info("%s: %s in %.0f s %s", job.key, result.status, result.duration_s, why)

    def _needs(self, wheel: Path, workdir: Workdir) -> apt.AptPackages:
        return apt.needs(
            wheel,
            Rootfs(self.config.rootfs),
            scratch=workdir.sdist,
            max_bytes=self.config.wheel_max_bytes * _UNPACKED_FACTOR,
            is_64bit=self.config.release.is_64bit,
        )

    def _result(
        self,
        job: Held,
        status: str,
        why: Optional[str],
        *,
        wheel: Optional[WheelFile] = None,
        apt_packages: tuple[str, ...] = (),
        fetch: Optional[str] = None,
        unit: Optional[UnitResult] = None,
    ) -> Result:
        now = self.clock()
        started = job.started_at if job.started_at is not None else now
        return Result(
            key=job.key,
            status=status,
            reason=why,
            started_at=_time(started),
            finished_at=_time(now),
            duration_s=round(now - started, 3),
            wheel=wheel,
            apt_packages=apt_packages,
            fetch=fetch,
            unit=unit,
            timeout_s=self.config.build_timeout_s,
        )


def _missing(libraries: tuple[str, ...]) -> bytes:
    """Return what a log says of libraries that the wheel wants and no package has."""
    if not libraries:
        return b""
    return f"\nNo package of the release has what the wheel needs: {' '.join(libraries)}\n".encode()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
