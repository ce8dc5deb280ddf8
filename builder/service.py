"""The builder service: one job after the other, for as long as this Pi may take jobs.

It has no way to end but being killed, and it may be killed at any moment: what was under way is
found in the spool, and a build under way goes on in its own unit, when it starts again.
"""

from __future__ import annotations

import logging
import time
from typing import Optional, Protocol

from builder import files
from builder.attempt.build import Builder, BuildUnits
from builder.config import Config
from builder.sandbox.preflight import Preflight
from builder.sandbox.units import Units
from builder.spool import reconcile, status
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
        self._said: Optional[str] = ""

    def start(self) -> Optional[str]:
        """Bring to an end, or queue again, what a kill cut off; remove what else it left.

        Returns why this Pi had better prove itself again, or None.
        """
        started = self.spool.recover(self.config.release.name)
        # A build that goes on may take hours more; this Pi had proven itself when it began.
        self._say(None if started else "the builder service has just started, and proves itself")
        for key in self.units.keys() - {job.key for job in started}:
            self.units.remove(key)
        troubles = [self.builder.resume(job) for job in started]
        return next((trouble for trouble in troubles if trouble), None)

    def step(self, trouble: Optional[str]) -> tuple[Optional[str], float]:
        """Build the next job, if this Pi may and there is one.

        Takes and returns the trouble that the last job met with, or None; also returns how many
        seconds to wait before the next step.
        """
        free = files.free_bytes(self.config.spool_dir)
        refuses = (
            reconcile.low_disk(self.config, free)
            or self._foreign()
            or self.preflight.refusal(again=trouble is not None)
            or self.builder.pause.refusal()
        )
        self._say(refuses)
        if refuses:
            return None, REFUSING_S
        try:
            job = self.spool.take(time.time())
        except OSError as error:
            if not files.is_full(error):
                raise
            job, trouble = None, files.full(error)
        else:
            trouble = None if job is None else self.builder.build(job)
        if trouble:
            self._say(trouble)
            return trouble, REFUSING_S
        return None, 0.0 if job else IDLE_S

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
    trouble = service.start()
    while True:
        trouble, wait_s = service.step(trouble)
        time.sleep(wait_s)
