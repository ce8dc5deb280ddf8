"""What the modules that run on a Pi share: its own code, and what that may be too old or new for.

This comes along from the master, whatever version of the code the Pi has.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from builder.config import Config


class BuilderModule(AnsibleModule):  # type: ignore[misc] # ansible is untyped
    """A module of a Pi; it has check mode, and its options are these, protocol and two paths."""

    def __init__(self, options: dict[str, Any]) -> None:
        spec = {
            "protocol": {"type": "int", "required": True},
            "config_path": {"type": "path", "default": "/etc/wheelyard/builder.json"},
            "code_path": {"type": "path", "default": "/opt/wheelyard"},
        }
        super().__init__(argument_spec={**options, **spec}, supports_check_mode=True)
        sys.path.insert(0, self.params["code_path"])

    @contextmanager
    def settings(self) -> Iterator[Config]:
        """Yield the Pi's settings; what goes wrong with its files ends the module."""
        try:
            from builder import config  # noqa: PLC0415 -- the Pi's own copy
        except ImportError as error:
            self.fail_json(
                msg=f"this host is not a provisioned builder: {error};"
                " run ansible-playbook site.yml"
            )
        try:
            yield config.load(Path(self.params["config_path"]))
        except (config.ConfigError, OSError, ValueError) as error:
            self.fail_json(msg=f"the spool can't be brought to agree with the leases: {error}")

    def of_another_version(self, settings: Config) -> dict[str, Any] | None:
        """Return what a Pi reports that speaks another protocol than the master, else None.

        Its code and its service must agree with the master, and the keys are all that is told.
        """
        spoken = self._spoken(settings.status_path)
        if spoken == self.params["protocol"]:
            return None
        return {"protocol": spoken, **_holdings(settings.spool_dir)}

    def _spoken(self, status_path: Path) -> int:
        try:
            from builder.spool.status import spoken  # noqa: PLC0415 -- as above
            from protocol import VERSION  # noqa: PLC0415 -- as above
        except ImportError:
            # The code of before there were versions.
            return 1
        return VERSION if self.params["protocol"] != VERSION else spoken(status_path)


def _holdings(spool: Path) -> dict[str, Any]:
    """Return the keys of what a spool of any version holds."""
    with (spool / "lock").open("w") as lock:
        # A job that is on its way from state to state must not seem lost.
        fcntl.flock(lock, fcntl.LOCK_EX)
        queued, running, done = (
            sorted(path.stem for path in (spool / state).glob("*.json"))
            for state in ("jobs", "running", "done")
        )
    return {"queued": queued, "running": [{"key": key} for key in running], "done": done}
