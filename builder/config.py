"""The settings of one builder, as the builder role writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from protocol.result import MAX_LOG_BYTES

DEFAULT_PATH = Path("/etc/wheelyard/builder.json")


class ConfigError(Exception):
    """The settings can't be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Release:
    """What a wheel is built for, and what the rootfs must say of itself."""

    name: str
    python_version: str
    interpreter_tag: str
    abi_tag: str
    platform_tag: str
    machine: str
    armv6: bool
    """Its compiler makes ARMv6 code, which every Pi runs."""

    @property
    def is_64bit(self) -> bool:
        """Whether its programs and libraries are for 64-bit ARM."""
        return self.machine == "aarch64"

    @property
    def machines(self) -> tuple[str, ...]:
        """What `uname -m` may say: to 32-bit programs a 64-bit kernel says armv8l."""
        return (self.machine,) if self.is_64bit else (self.machine, "armv8l")

    @property
    def environment(self) -> dict[str, str]:
        """What has a build see this target, whatever kernel it runs on."""
        return {
            # Python itself would name the kernel's.
            "_PYTHON_HOST_PLATFORM": self.platform_tag.replace("_", "-", 1),
            # For setarch(8), which wheel-build@ runs where the kernel has more bits than a target.
            "PERSONALITY": "linux64" if self.is_64bit else "linux32",
        }

    @property
    def tag(self) -> str:
        """The target as one tag, e.g. `cp311-cp311-linux_armv7l` (PEP 425)."""
        return f"{self.interpreter_tag}-{self.abi_tag}-{self.platform_tag}"


@dataclass(frozen=True)
class Config:
    """Where things are on this Pi, and the limits that a build must keep."""

    release: Release
    spool_dir: Path = Path("/var/lib/wheelyard/spool")
    work_dir: Path = Path("/var/lib/wheelyard/work")
    rootfs_dir: Path = Path("/var/lib/wheelyard/rootfs")
    status_path: Path = Path("/run/wheelyard/status.json")
    build_user: str = "wheelyard-build"
    builder_user: str = "wheelyard-builder"
    min_free_bytes: int = 1 << 30
    min_memory_bytes: int = 400 << 20
    sdist_max_bytes: int = 1 << 30
    wheel_max_bytes: int = 1 << 30
    log_max_bytes: int = MAX_LOG_BYTES
    # wheel-build@ has it from the role; this is for the master to know.
    build_timeout_s: int = 10800
    fetch_timeout_s: float = 600.0
    interruptions_max: int = 3
    # Addresses of this farm that a build must not reach; the trial build tries them.
    forbidden_addresses: tuple[str, ...] = field(default=())

    @property
    def rootfs(self) -> Path:
        """The tree in which this builder builds."""
        return self.rootfs_dir / self.release.name

    @property
    def rootfs_marker(self) -> Path:
        """What the rootfs is made of, and when it was."""
        return self.rootfs / "etc/wheelyard-rootfs.json"


def parse(document: dict[str, Any]) -> Config:
    """Return the settings in `document`; raises ConfigError on a missing or unknown key."""
    try:
        values = dict(document)
        values["release"] = Release(**values["release"])
        for key in ("spool_dir", "work_dir", "rootfs_dir", "status_path"):
            if key in values:
                values[key] = Path(values[key])
        if "forbidden_addresses" in values:
            values["forbidden_addresses"] = tuple(values["forbidden_addresses"])
        return Config(**values)
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(item.name for item in fields(Config))
        raise ConfigError(f"the settings don't fit: {error}; known ones are: {known}") from error


def load(path: Path = DEFAULT_PATH) -> Config:
    """Read the settings of this Pi; raises ConfigError naming the file and the way out."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{path}: {error}. The builder role writes it: run ansible-playbook site.yml"
        ) from error
