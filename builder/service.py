"""The builder service: one job after the other, for as long as this Pi may take jobs.

It has no way to end but being killed, and it may be killed at any moment: what was under way is
found in the spool, and a build under way goes on in its own unit, when it starts again.
"""

from __future__ import annotations

import logging
import time
from typing import Optional, Protocol

from builder import PiTroubleError, files
from builder.attempt.build import Builder, BuildUnits
from builder.config import Config
from builder.sandbox.preflight import Preflight
from builder.sandbox.units import Units
from builder.spool import reconcile, status
from builder.spool.held import Held
from builder.spool.spool import Spool

IDLE_S = 2.0
REFUSING_S = 30.0
logger = logging.getLogger(__name__)


class ServiceUnits(BuildUnits, Protocol):
    """What the service asks of systemd beside what a build does."""

    def keys(self) -> frozenset[str]: ...


class Service:
    """Holds what one run of the service knows."""

    def __init__(self, config: Config, units: ServiceUnits) -> None:
        self.config = config
        self.units = units
        self.spool = Spool(config.spool_dir)
        self.builder = Builder(config, self.spool, units)
        self.preflight = Preflight(config, units)
        self._started: list[Held] = []
        self._said: Optional[str] = ""

    def start(self) -> None:
        """Queue again what a kill cut off, or let the next steps bring it to its end.

        Removes what else it left.
        """
        self._started = list(self.spool.recover(self.config.release.name))
        # A build that goes on may take hours more; this Pi had proven itself when it began.
        starts = "the builder service has just started, and is making its trial build"
        self._say(None if self._started else starts)
        for key in self.units.keys() - {job.key for job in self._started}:
            self.units.remove(key)

    def step(self) -> float:
        """Build the next job, if this Pi may and there is one; return the seconds to wait then."""
        try:
            return self._step()
        except PiTroubleError as error:
            self.preflight.forget()
            self._say(str(error))
            return REFUSING_S

    def _step(self) -> float:
        if self._started:
            self.builder.resume(self._started.pop())
            return 0.0
        free = files.free_bytes(self.config.spool_dir)
        refuses = (
            reconcile.low_disk(self.config, free)
            or self._foreign()
            or self.preflight.refusal()
            or self.builder.pause.refusal()
        )
        self._say(refuses)
        if refuses:
            return REFUSING_S
        job = self.spool.take(time.time())
        if job is None:
            return IDLE_S
        self.builder.build(job)
        return 0.0

    def _foreign(self) -> Optional[str]:
        """Return that jobs are queued which this Pi's release isn't right for, in words, or None.

        The master knows from the inventory that this Pi shall have another, and site.yml has not
        been here yet. They stay queued until the master takes them back, since a job that a builder
        no longer has counts as lost, and fails the third time.
        """
        name = self.config.release.name
        foreign = [job for job in self.spool.snapshot().queued if job.target != name]
        if not foreign:
            return None
        return (
            f"this Pi builds for {name}, and {foreign[0].key} is for {foreign[0].target}: run "
            "site.yml for this Pi, with its release as it should be in the inventory"
        )

    def _say(self, refuses: Optional[str]) -> None:
        if refuses != self._said:
            (logger.warning if refuses else logger.info)("%s", refuses or "takes jobs")
            status.write(self.config.status_path, refuses)
            self._said = refuses


def serve(config: Config) -> None:
    """Run the service; never returns."""
    service = Service(config, Units())
    service.start()
    while True:
        time.sleep(service.step())
