"""Which services run by older files than there are: systemd's times, held against the files'."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

COMMANDS = {"reloaded": "reload", "restarted": "restart"}
# A reload isn't a start, but a change of state.
_SINCE = {"reloaded": "StateChangeTimestamp", "restarted": "ActiveEnterTimestamp"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def newer_file(module: AnsibleModule, name: str, state: str, files: list[str]) -> str | None:
    """Return one of the files, or of those in folders among them, that a service hasn't read.

    None of a service that doesn't run. Fails the module where one isn't there, but for check mode,
    in which not all of them may be there yet.
    """
    since = _since(module, name, _SINCE[state])
    if since is None:
        return None
    newer: str | None = None
    try:
        # To the microsecond, as systemd says it.
        times = ((path.lstat().st_mtime_ns // 1000, str(path)) for path in _all(files))
        newer = next((path for time, path in times if time > since), None)
    except FileNotFoundError as error:
        if not module.check_mode:
            module.fail_json(f"{error.filename}, which {name} reads, isn't there")
    return newer


def systemctl(module: AnsibleModule, *arguments: str) -> str:
    """Return what it says, or fail the module."""
    command = ["systemctl", *arguments]
    code, said, errors = module.run_command(command)
    if code:
        module.fail_json(f"{' '.join(command)} failed, and says: {errors.strip() or said.strip()}")
    return str(said)


def _since(module: AnsibleModule, name: str, field: str) -> int | None:
    """Return microseconds since the epoch, or None of a service that doesn't run."""
    shown = systemctl(module, "show", f"--property=ActiveState,{field}", "--timestamp=us+utc", name)
    said = dict(line.split("=", 1) for line in shown.splitlines())
    if said["ActiveState"] != "active":
        return None
    # Without the day of the week, which is in the words of a locale.
    when = datetime.strptime(said[field].split(" ", 1)[1] + "+0000", "%Y-%m-%d %H:%M:%S.%f UTC%z")
    return (when - _EPOCH) // timedelta(microseconds=1)


def _all(paths: list[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield path
        # What Python compiles for itself isn't a change.
        yield from (inside for inside in path.rglob("*") if "__pycache__" not in inside.parts)
