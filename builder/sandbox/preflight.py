"""Before it takes jobs a builder proves itself, by a trial build in the real sandbox.

Nothing about the target is read off the Pi itself: its own system may be another release, another
architecture, or emulate the rootfs.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from builder.attempt import log as build_log
from builder.attempt import output
from builder.attempt.build import BuildUnits, Workdir, memory_bytes
from builder.config import Config, Release
from builder.libraries import elf
from builder.sandbox.units import UnitError
from protocol import fields

TRIAL_KEY = "trial-0-0"
_SDIST = "trial-0.tar.gz"
_TRIAL_LIMIT_S = 600.0
_LOG_SHOWN_BYTES = 400
_SSH_PORT = 22
_PAGE_SIZE_BYTES = 4096
_PROBES_MAX = 20
_AGAIN_S = 600.0
# There while systemd-timesyncd.service(8) runs: in no container, which has its host's clock.
_TIMESYNC = Path("/run/systemd/timesync")
_CLOCK_LIMIT_S = 300.0
_CGROUP_CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
_BACKEND = Path(__file__).with_name("trial_backend.py")
# A pip before 20 takes no backend from the sdist itself (PEP 517's backend-path), so it lies beside
# it: where a build that isn't isolated looks. For pip, 0 means that it isn't.
_ENVIRONMENT = {"PYTHONPATH": "/opt/wheelyard/pip:/in", "PIP_NO_BUILD_ISOLATION": "0"}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreflightResult:
    """What a trial build showed."""

    refuses: Optional[str]
    facts: dict[str, Any]


def judge(facts: dict[str, Any], release: Release) -> Optional[str]:
    """Return why wheels made by a builder that sees `facts` would be wrong, or None."""
    kernel = _judge_kernel(facts, release)
    if kernel:
        return kernel
    if facts["python_version"] != release.python_version:
        return (
            f"the rootfs has Python {facts['python_version']} and {release.name} has "
            f"{release.python_version}: its rootfs is of another release; run site.yml again"
        )
    compiler = _judge_compiler(facts, release)
    if compiler:
        return compiler
    if facts["tag"] != release.tag or release.tag not in facts["accepted_tags"]:
        return (
            f"a wheel of this rootfs is tagged {facts['tag']}, and {release.name} is "
            f"{release.tag}: correct the facts of the release or its rootfs"
        )
    if facts["reached"]:
        return (
            f"a build can reach {', '.join(facts['reached'])}: the firewall isn't loaded; "
            "see systemctl status nftables on the Pi"
        )
    return None


def _judge_kernel(facts: dict[str, Any], release: Release) -> Optional[str]:
    if facts["machine"] not in release.machines:
        return (
            f"uname -m says {facts['machine']} in the rootfs and {release.name} needs "
            f"{' or '.join(release.machines)}: the rootfs is of another release, or the kernel has "
            "other bits than at the last site.yml; run it again"
        )
    if not release.is_64bit and facts["page_size_bytes"] != _PAGE_SIZE_BYTES:
        return (
            f"the kernel's pages have {facts['page_size_bytes'] >> 10} KiB and 32-bit programs "
            f"need {_PAGE_SIZE_BYTES >> 10} KiB: add kernel=kernel8.img to config.txt and reboot"
        )
    return None


def _judge_compiler(facts: dict[str, Any], release: Release) -> Optional[str]:
    if not facts["native"]:
        return (
            f"what the compiler of the rootfs makes is not for {release.machine}: its rootfs is of "
            "another release; run site.yml again"
        )
    if facts["compiler"] != facts["python_triple"]:
        return (
            f"the compiler of the rootfs makes code for {facts['compiler']}, and its Python is "
            f"{facts['python_triple']}: remove the other compiler from rootfs_apt_packages"
        )
    if facts["not_armv6"]:
        return (
            f"what the compiler of the rootfs makes is not ARMv6 code ({facts['not_armv6']}), and "
            f"{release.name} promises that: make the rootfs of Raspbian's packages, or set armv6: "
            f"false for {release.name} in farm_releases"
        )
    return None


def host_lacks(memory: int, controllers: Path, min_memory_bytes: int) -> Optional[str]:
    """Return what this Pi lacks of what no build can do without, and the cure, or None."""
    if memory < min_memory_bytes:
        wanted = min_memory_bytes >> 20
        return f"{memory >> 20} MiB of memory, and a build needs {wanted} MiB: use a larger Pi"
    # Raspberry Pi OS starts without it; a host with cgroups of the old kind has no such file.
    if controllers.exists() and "memory" not in controllers.read_text(encoding="ascii").split():
        return (
            "the kernel doesn't limit memory, so a build could take all of it: add "
            "cgroup_enable=memory to cmdline.txt and reboot"
        )
    return None


def trial_sdist(probes: Sequence[tuple[str, int]]) -> bytes:
    """Return a tiny sdist for trial_backend, which writes down which of `probes` it reaches."""
    contents = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: trial\nVersion: 0\n",
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "trial_backend"\n',
        "probe.json": json.dumps(list(probes)).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, raw in contents.items():
            member = tarfile.TarInfo(f"trial-0/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


def lay_out_trial(workdir: Workdir, probes: Sequence[tuple[str, int]], release: Release) -> None:
    """Put what a trial is made of where wheel-build@ looks for it."""
    (workdir.sdist / _SDIST).write_bytes(trial_sdist(probes))
    shutil.copyfile(_BACKEND, workdir.sdist / _BACKEND.name)
    workdir.hand_over(_SDIST, {**release.environment, **_ENVIRONMENT})


class Preflight:
    """Knows whether this builder may take jobs, from a trial build at the service's start.

    What a trial depends on changes with site.yml, which restarts the service then, or with a boot.
    """

    def __init__(
        self, config: Config, units: BuildUnits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self.units = units
        self.clock = clock
        self._packages = config.rootfs / "var/lib/dpkg/status"
        self._result: Optional[PreflightResult] = None
        self._last_trial = 0.0
        self._clock_until: Optional[float] = clock() + _CLOCK_LIMIT_S

    def refusal(self) -> Optional[str]:
        """Return why this builder must take no jobs, or None."""
        lacks = host_lacks(memory_bytes(), _CGROUP_CONTROLLERS, self.config.min_memory_bytes)
        return lacks or self._waits_for_the_clock() or self.result().refuses

    def _waits_for_the_clock(self) -> Optional[str]:
        """Return that no time server has set the clock yet, in words, or None: also after a while.

        A Pi without one may have the right time all the same: in each round, the master compares.
        """
        if self._clock_until is None:
            return None
        if _TIMESYNC.is_dir() and not (_TIMESYNC / "synchronized").exists():
            if self.clock() < self._clock_until:
                return (
                    f"the clock isn't set yet: waiting up to {_CLOCK_LIMIT_S / 60:.0f} min for a "
                    "time server; see timedatectl timesync-status on the Pi"
                )
            logger.warning("no time server has set the clock: going on with the time that it has")
        self._clock_until = None
        return None

    def forget(self) -> None:
        """Have the next look make a trial."""
        self._result = None

    def result(self) -> PreflightResult:
        """Return what the trial showed; one that refuses is made again now and then."""
        if not self._packages.exists():
            # For a moment, while another rootfs takes its place; or there never was one.
            missing = f"{self.config.rootfs} isn't there: run site.yml for this Pi"
            return PreflightResult(missing, {})
        late = self.clock() - self._last_trial >= _AGAIN_S
        if self._result is None or (self._result.refuses and late):
            self._last_trial = self.clock()
            self._result = self._trial()
            says = self._result.refuses or "this builder makes the right wheels"
            logger.info("trial build: %s", says)
        return self._result

    def _trial(self) -> PreflightResult:
        workdir = Workdir(self.config.work_dir / TRIAL_KEY)
        try:
            self.units.start_root(TRIAL_KEY)
            lay_out_trial(workdir, self._probes(), self.config.release)
            outcome = self.units.build(TRIAL_KEY, _TRIAL_LIMIT_S)
            self.units.end_processes(TRIAL_KEY)
            if not outcome.succeeded:
                log = build_log.trimmed(workdir.log, self.config.log_max_bytes)
                end = fields.one_line(log[-_LOG_SHOWN_BYTES:].decode("utf-8", "replace"))
                return PreflightResult(f"the trial build failed ({outcome}): {end}", {})
            copy = self.config.spool_dir / "tmp" / "trial.whl"
            output.take(workdir.wheels, copy, self.config.wheel_max_bytes)
            with zipfile.ZipFile(copy) as archive:
                facts = json.loads(archive.read("trial-0.dist-info/facts.json"))
                compiled = archive.read(facts["compiled"])
            copy.unlink()
            release = self.config.release
            head = compiled[: elf.HEADER_BYTES]
            facts["native"] = elf.is_native(head, is_64bit=release.is_64bit)
            facts["not_armv6"] = elf.not_armv6(io.BytesIO(compiled)) if release.armv6 else None
            refuses = judge(facts, release)
            facts["accepted_tags"] = facts["accepted_tags"][:1]
            return PreflightResult(refuses, facts)
        except (
            *(UnitError, OSError, output.WheelError, zipfile.BadZipFile, elf.ElfError, KeyError),
        ) as error:
            return PreflightResult(f"the trial build can't be made: {error}", {})
        finally:
            self.units.remove(TRIAL_KEY)

    def _probes(self) -> list[tuple[str, int]]:
        # Every farm host listens on ssh, this one too; a few of a large farm's show enough.
        addresses = ("127.0.0.1", "::1", *self.config.forbidden_addresses[:_PROBES_MAX])
        return [(address, _SSH_PORT) for address in addresses]
