"""Before it takes jobs a builder proves itself, by a trial build in the real sandbox.

Nothing about the target is read off the Pi itself: its own system may be another release, another
architecture, or emulate the rootfs.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from builder import __version__, files
from builder.attempt import log as build_log
from builder.attempt import output
from builder.attempt.build import BuildUnits, Place, memory_bytes
from builder.config import Config, Release
from builder.sandbox.units import UnitError
from protocol import fields

TRIAL_KEY = "trial-0-0"
_SDIST = "trial-0.tar.gz"
_TRIAL_LIMIT_S = 600.0
_LOG_SHOWN_BYTES = 400
_SSH_PORT = 22
_PROBES_MAX = 20
_AGAIN_S = 600.0
# 2026-01-01: before this was written. A Pi without a network comes up in the past.
_FIRST_SANE_TIME = 1767225600.0
# There while systemd-timesyncd.service(8) runs: in no container, which has its host's clock.
_TIMESYNC = Path("/run/systemd/timesync")
_CLOCK_LIMIT_S = 300.0
_CGROUP_CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
_BACKEND = Path(__file__).with_name("trial_backend.py")
_SANDBOX = (
    Path("/etc/systemd/system/wheel-root@.service"),
    Path("/etc/systemd/system/wheel-build@.service"),
    Path("/etc/nftables.d/builder.nft"),
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What a trial build showed. `fingerprint` is of all that it depends on."""

    fingerprint: str
    refuses: Optional[str]
    facts: dict[str, Any]


def judge(facts: dict[str, Any], release: Release) -> Optional[str]:
    """Return why wheels made by a builder that sees `facts` would be wrong, or None."""
    if facts["machine"] != release.machine:
        return (
            f"uname -m says {facts['machine']} in the rootfs and {release.name} needs "
            f"{release.machine}: boot a 32-bit kernel (arm_64bit=0 in config.txt, then reboot)"
        )
    if facts["python_version"] != release.python_version:
        return (
            f"the rootfs has Python {facts['python_version']} and {release.name} has "
            f"{release.python_version}: its rootfs is of another release; run site.yml again"
        )
    if facts["compiler"] != facts["python_triple"]:
        return (
            f"the compiler of the rootfs makes code for {facts['compiler']}, and its Python is "
            f"{facts['python_triple']}: remove the other compiler from builder_apt_packages"
        )
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


def host_lacks(memory: int, now: float, controllers: Path, min_memory_bytes: int) -> Optional[str]:
    """Return what this Pi lacks of what no build can do without, and the cure, or None."""
    if memory < min_memory_bytes:
        wanted = min_memory_bytes >> 20
        return f"{memory >> 20} MiB of memory, and a build needs {wanted} MiB: use a larger Pi"
    if now < _FIRST_SANE_TIME:
        return "the clock isn't set, so no certificate is valid; see timedatectl on the Pi"
    # Raspberry Pi OS starts without it; a host with cgroups of the old kind has no such file.
    if controllers.exists() and "memory" not in controllers.read_text(encoding="ascii").split():
        return (
            "the kernel doesn't limit memory, so a build could take all of it: add "
            "cgroup_enable=memory to cmdline.txt and reboot"
        )
    return None


def trial_sdist(probes: Sequence[tuple[str, int]]) -> bytes:
    """Return a tiny sdist whose backend writes down what it sees, and which `probes` it reaches."""
    contents = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: trial\nVersion: 0\n",
        "pyproject.toml": (
            b"[build-system]\nrequires = []\n"
            b'build-backend = "trial_backend"\nbackend-path = ["."]\n'
        ),
        "trial_backend.py": _BACKEND.read_bytes(),
        "probe.json": json.dumps(list(probes)).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, raw in contents.items():
            member = tarfile.TarInfo(f"trial-0/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


class Preflight:
    """Knows whether this builder may take jobs. A trial counts until what it saw changes."""

    def __init__(
        self, config: Config, units: BuildUnits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self.units = units
        self.clock = clock
        self._path = config.state_dir / "preflight.json"
        self._packages = config.rootfs / "var/lib/dpkg/status"
        self._last_trial: Optional[float] = None
        self._clock_until: Optional[float] = clock() + _CLOCK_LIMIT_S

    def refusal(self, *, again: bool = False) -> Optional[str]:
        """Return why this builder must take no jobs, or None. `again`: don't trust an old trial."""
        lacks = host_lacks(
            memory_bytes(), time.time(), _CGROUP_CONTROLLERS, self.config.min_memory_bytes
        )
        return lacks or self._waits_for_the_clock() or self.verdict(again=again).refuses

    def _waits_for_the_clock(self) -> Optional[str]:
        """Return that no time server has set the clock yet, in words, or None: also after a while.

        A Pi without one may have the right time all the same: in each round, the master compares.
        """
        if self._clock_until is None:
            return None
        if _TIMESYNC.is_dir() and not (_TIMESYNC / "synchronized").exists():
            if self.clock() < self._clock_until:
                return (
                    f"the clock isn't set yet: waits up to {_CLOCK_LIMIT_S / 60:.0f} min for a "
                    "time server; see timedatectl timesync-status on the Pi"
                )
            logger.warning("no time server has set the clock: goes on with the time that it has")
        self._clock_until = None
        return None

    def verdict(self, *, again: bool = False) -> Verdict:
        """Return the verdict on this builder as it is now, from a new trial where it takes one."""
        if not self._packages.exists():
            # For a moment, while another rootfs takes its place; or there never was one.
            return Verdict("", f"{self.config.rootfs} isn't there: run site.yml for this Pi", {})
        fingerprint = self._fingerprint()
        old = self._stored()
        if old is not None and old.fingerprint == fingerprint and not again:
            if old.refuses is None:
                return old
            if self._last_trial is not None and self.clock() - self._last_trial < _AGAIN_S:
                return old
        self._last_trial = self.clock()
        verdict = self._trial(fingerprint)
        logger.info("trial build: %s", verdict.refuses or "this builder makes the right wheels")
        self._store(verdict)
        return verdict

    def _trial(self, fingerprint: str) -> Verdict:
        place = Place(self.config.work_dir / TRIAL_KEY)
        try:
            self.units.start_root(TRIAL_KEY)
            (place.sdist / _SDIST).write_bytes(trial_sdist(self._probes()))
            place.hand_over(_SDIST)
            outcome = self.units.build(TRIAL_KEY, _TRIAL_LIMIT_S)
            self.units.end_processes(TRIAL_KEY)
            if not outcome.succeeded:
                log = build_log.trimmed(place.log, self.config.log_max_bytes)
                end = fields.one_line(log[-_LOG_SHOWN_BYTES:].decode("utf-8", "replace"))
                return Verdict(fingerprint, f"the trial build failed ({outcome}): {end}", {})
            copy = self.config.spool_dir / "tmp" / "trial.whl"
            output.take(place.wheels, copy, self.config.wheel_max_bytes)
            with zipfile.ZipFile(copy) as archive:
                facts = json.loads(archive.read("trial-0.dist-info/facts.json"))
            copy.unlink()
            refuses = judge(facts, self.config.release)
            facts["accepted_tags"] = facts["accepted_tags"][:1]
            return Verdict(fingerprint, refuses, facts)
        except (UnitError, OSError, output.WheelError, zipfile.BadZipFile, KeyError) as error:
            return Verdict(fingerprint, f"the trial build can't be made: {error}", {})
        finally:
            self.units.remove(TRIAL_KEY)

    def _probes(self) -> list[tuple[str, int]]:
        # Every farm host listens on ssh, this one too; a few of a large farm's show enough.
        addresses = ("127.0.0.1", "::1", *self.config.forbidden_addresses[:_PROBES_MAX])
        return [(address, _SSH_PORT) for address in addresses]

    def _fingerprint(self) -> str:
        """Hash all that a trial depends on; a boot too, since firewall and kernel come up anew."""
        status = self._packages.stat()
        seen = [
            __version__,
            _BACKEND.read_text(encoding="utf-8"),
            repr(asdict(self.config.release)),
            repr(self.config.forbidden_addresses),
            repr((status.st_ino, status.st_mtime_ns, status.st_size)),
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"),
            repr(tuple(os.uname())),
            *(path.read_text(encoding="utf-8") for path in _SANDBOX if path.exists()),
        ]
        return hashlib.sha256("\0".join(seen).encode()).hexdigest()

    def _stored(self) -> Optional[Verdict]:
        try:
            return Verdict(**json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _store(self, verdict: Verdict) -> None:
        try:
            files.write_json(self._path, asdict(verdict), self._path.with_suffix(".new"))
        except OSError as error:
            if not files.is_full(error):
                raise
            logger.warning("the trial's verdict can't be kept: %s", error)
