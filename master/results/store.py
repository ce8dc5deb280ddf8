"""The verified wheels on the master's disk: PROJECT/FILENAME, its METADATA beside it (PEP 658).

A wheel is here if and only if its build is recorded. The database can't put a file here, so a
file's way is: an intent is written, the wheel is packed beside it and linked in, the database
commits, the intent goes.
Cut off anywhere, the intent is still there, and the database says whether the wheel stays.

A database that is restored from an older backup forgets wheels that are here. They stay, so that
their names, which were published, are not given to other bytes; no page offers them.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from master import files
from master.config import Config

METADATA_SUFFIX = ".metadata"


@dataclass(frozen=True)
class Intent:
    """One wheel on its way into the store."""

    key: str
    project: str
    filename: str


class Store:
    def __init__(self, config: Config) -> None:
        self._store = config.store
        self._intents = config.intents

    def path(self, project: str, filename: str) -> Path:
        return self._store / project / filename

    def workshop(self, key: str) -> Path:
        """Return an empty folder for what is made on the way; it goes with the intent."""
        folder = self._intents / f"{key}.d"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def begin(self, intent: Intent) -> None:
        """Write down that the wheel is coming. Raises OSError."""
        self._intents.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"project": intent.project, "filename": intent.filename})
        files.write(self._intents / f"{intent.key}.json", text.encode())

    def put(self, intent: Intent, wheel: Path, metadata: bytes) -> None:
        """Link the wheel in and write its METADATA. Raises OSError.

        The caller has seen that there is none of that name.
        """
        target = self.path(intent.project, intent.filename)
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True)
            files.sync_folder(self._store)
        # On the web host another user serves it.
        wheel.chmod(0o644)
        with wheel.open("rb") as file:
            os.fsync(file.fileno())
        target.hardlink_to(wheel)
        files.write(_metadata(target), metadata)

    def intents(self) -> list[Intent]:
        """Return those that were cut off, after removing what was never more than a start."""
        found = []
        for path in sorted(self._intents.glob("*.json")):
            raw = json.loads(path.read_bytes())
            found.append(Intent(path.stem, raw["project"], raw["filename"]))
        keys = {intent.key for intent in found}
        for path in self._intents.glob("*"):
            if path.name.partition(".")[0] not in keys:
                files.remove(path)
        return found

    def undo(self, intent: Intent) -> None:
        """Take the wheel out again and forgets the intent."""
        target = self.path(intent.project, intent.filename)
        metadata = _metadata(target)
        for path in (files.beside(metadata), metadata, target):
            path.unlink(missing_ok=True)
        if target.parent.is_dir() and not any(target.parent.iterdir()):
            target.parent.rmdir()
        self.forget(intent.key)

    def forget(self, key: str) -> None:
        """Forget the intent, which is fulfilled."""
        shutil.rmtree(self._intents / f"{key}.d", ignore_errors=True)
        (self._intents / f"{key}.json").unlink(missing_ok=True)


def _metadata(wheel: Path) -> Path:
    return wheel.with_name(wheel.name + METADATA_SUFFIX)
