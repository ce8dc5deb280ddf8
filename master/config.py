"""The master's settings, as site.yml writes them to /etc/wheelyard/master.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from master.errors import FarmError

DEFAULT_PATH = Path("/etc/wheelyard/master.json")


class ConfigError(FarmError):
    """The settings are missing or wrong; the message names file, setting and way out."""


@dataclass(frozen=True)
class Database:
    """Where PostgreSQL listens. No password: libpq finds it in ~/.pgpass."""

    host: str
    """A host name or address; a path is a folder with a unix socket (libpq's rule)."""
    port: int
    name: str
    sslrootcert: Path
    """The farm's CA, for sslmode=verify-full; a unix socket needs none."""


@dataclass(frozen=True)
class Config:
    database: Database
    state_dir: Path
    pypi_url: str | None
    """Of the index to follow; None is PyPI."""
    pypi_projects: tuple[str, ...]
    pypi_versions: int | None
    """How many of a project's newest versions get jobs; None is all ("all" in the file)."""
    pypi_max_loss: float
    """Which share of what the farm has may vanish in one sync, from 0 to 1."""
    spool_depth: int
    builder_lost_after_s: float
    wheel_max_bytes: int
    min_free_bytes: int
    site_url: str

    @property
    def incoming(self) -> Path:
        """Where rounds put what builders made, as BUILDER/KEY; untrusted."""
        return self.state_dir / "incoming"

    @property
    def store(self) -> Path:
        """Verified wheels, as PROJECT/FILENAME."""
        return self.state_dir / "store"

    @property
    def intents(self) -> Path:
        """Files that are on their way into the store (master/results/store.py)."""
        return self.state_dir / "intents"


def load(path: Path | str = DEFAULT_PATH) -> Config:
    """Return the settings in the file at path.

    Raises ConfigError when the file can't be read, isn't JSON, or lacks a setting.
    """
    way_out = "run ansible-playbook site.yml, which writes it"
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        return parse(raw)
    except OSError as error:
        raise ConfigError(f"{path} can't be read ({error.strerror}): {way_out}") from error
    except KeyError as error:
        raise ConfigError(f"{path} lacks the setting {error}: {way_out}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is wrong ({error}): {way_out}") from error


def parse(raw: Mapping[str, Any]) -> Config:
    """Return the settings in an already decoded file. Raises KeyError, TypeError or ValueError."""
    database = raw["database"]
    return Config(
        database=Database(
            host=str(database["host"]),
            port=int(database["port"]),
            name=str(database["name"]),
            sslrootcert=Path(database["sslrootcert"]),
        ),
        state_dir=Path(raw["state_dir"]),
        pypi_url=raw["pypi_url"],
        pypi_projects=tuple(raw["pypi_projects"]),
        pypi_versions=None if raw["pypi_versions"] == "all" else _positive(raw, "pypi_versions"),
        pypi_max_loss=_percent(raw, "pypi_max_loss_percent") / 100,
        spool_depth=_positive(raw, "spool_depth"),
        builder_lost_after_s=float(_positive(raw, "builder_lost_after_s")),
        wheel_max_bytes=_positive(raw, "wheel_max_bytes"),
        min_free_bytes=_positive(raw, "min_free_bytes"),
        site_url=str(raw["site_url"]).rstrip("/"),
    )


def _percent(raw: Mapping[str, Any], name: str) -> float:
    number = float(raw[name])
    if not 0 <= number <= 100:
        raise ValueError(f"{name} is {number:g}, and must be from 0 to 100")
    return number


def _positive(raw: Mapping[str, Any], name: str) -> int:
    number = int(raw[name])
    if number < 1:
        raise ValueError(f"{name} is {number}, and must be from 1")
    return number
