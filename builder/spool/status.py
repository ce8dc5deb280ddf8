"""What the service says of itself, for the report: on a tmpfs, where no full disk silences it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

from builder import files
from protocol import VERSION, fields


def write(path: Path, refuses: Optional[str]) -> None:
    """Say whether the builder takes jobs now: None, or why not."""
    files.write_json(path, {"protocol": VERSION, "refuses": refuses}, path.with_suffix(".new"))


def read(path: Path) -> Optional[str]:
    """Return why the builder takes no jobs now, or None; a service that never spoke takes none."""
    try:
        refuses = json.loads(path.read_text(encoding="utf-8"))["refuses"]
    except FileNotFoundError:
        return "the builder service isn't running: see journalctl -u wheelyard-builder on the Pi"
    except (ValueError, KeyError, TypeError) as error:
        return f"{path} can't be read: {error}"
    return None if refuses is None else str(refuses)


def spoken(path: Path) -> int:
    """Return the version of the protocol that the running service speaks; ours where none says.

    Until site.yml restarts it, a service runs by the code that it began with.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return VERSION
    return fields.version(said) if isinstance(said, dict) else VERSION
