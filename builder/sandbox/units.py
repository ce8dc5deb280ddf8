"""The two units of a build, through systemctl, as the user that polkit lets start just these."""

from __future__ import annotations

import re
import subprocess
import time

from protocol import key as keys
from protocol.result import UnitResult

# systemd.exec(5): these statuses mean that systemd couldn't set up the process.
_SETUP_STATUS = range(200, 246)
# How often a build is looked at that was under way when the service started.
_POLL_S = 2.0
_INSTANCE = re.compile(rf"wheel-(?:root|build)@({keys.PATTERN})\.service\b")


class UnitError(Exception):
    """A unit couldn't be started: this Pi's fault, never the package's."""


class Units:
    """Starts, waits for and stops the units of builds."""

    def start_root(self, key: str) -> None:
        """Make the root and the folders of a new build; raises UnitError."""
        # What is left of an earlier attempt with this key must not pass for the end of this one.
        self._systemctl("reset-failed", f"wheel-build@{keys.check(key)}.service", check=False)
        self._systemctl("start", f"wheel-root@{key}.service")

    def build(self, key: str, timeout_s: float | None = None) -> UnitResult:
        """Run the build, unless it runs or has ended already, and return how it ended.

        Raises UnitError when the sandbox couldn't be set up.
        """
        state = self._show(key)["ActiveState"]
        # A start would run a build anew that has failed, in the root that it left.
        if state != "inactive":
            self._wait(key)
        elif not self._start(key, timeout_s):
            self._systemctl("stop", f"wheel-build@{key}.service")
            return UnitResult("timeout")
        return self.outcome(key)

    def _start(self, key: str, timeout_s: float | None) -> bool:
        """Start a build; return whether it ended within `timeout_s`."""
        unit = f"wheel-build@{keys.check(key)}.service"
        try:
            self._systemctl("start", unit, check=False, timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait(self, key: str) -> None:
        """Wait for a build that was started before."""
        # By looking: a start waits too, but begins it anew if it fails at this very moment.
        while self._show(key)["ActiveState"] in ("activating", "deactivating"):
            time.sleep(_POLL_S)

    def is_building(self, key: str) -> bool:
        """Return whether the build of `key` runs, or has ended and nobody has asked how."""
        state = self._show(key)["ActiveState"]
        return state in ("activating", "active", "failed", "deactivating")

    def outcome(self, key: str) -> UnitResult:
        """Return how the build of `key` ended; raises UnitError when it never began."""
        state = self._show(key)
        result, status = state["Result"], int(state["ExecMainStatus"] or 0)
        if state["ActiveState"] == "active":
            return UnitResult("success")
        setup = result == "exit-code" and status in _SETUP_STATUS
        if state["ActiveState"] != "failed" or setup or result == "resources":
            raise UnitError(
                f"wheel-build@{key}.service couldn't start: it is {state['ActiveState']}, result "
                f"{result}, status {status}; see journalctl -u wheel-build@{key}"
            )
        return UnitResult(result, status)

    def _show(self, key: str) -> dict[str, str]:
        answer = self._systemctl(
            "show",
            "--property=ActiveState,Result,ExecMainStatus",
            f"wheel-build@{keys.check(key)}.service",
        )
        return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)

    def end_processes(self, key: str) -> None:
        """Kill whatever a build left running, so that its files stay as they are."""
        self._systemctl("stop", f"wheel-build@{keys.check(key)}.service", check=False)

    def remove(self, key: str) -> None:
        """Stop both units of a build; its root and its folders are gone afterwards."""
        for unit in (f"wheel-build@{keys.check(key)}.service", f"wheel-root@{key}.service"):
            self._systemctl("stop", unit, check=False)
            self._systemctl("reset-failed", unit, check=False)

    def keys(self) -> frozenset[str]:
        """Return the keys of which a unit is loaded."""
        answer = self._systemctl(
            "list-units", "--all", "--plain", "--no-legend", "wheel-root@*", "wheel-build@*"
        )
        found = (_INSTANCE.match(line) for line in answer.splitlines())
        return frozenset(match[1] for match in found if match)

    def _systemctl(
        self, verb: str, *arguments: str, check: bool = True, timeout_s: float | None = None
    ) -> str:
        process = subprocess.run(
            ["systemctl", "--no-ask-password", verb, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and process.returncode != 0:
            raise UnitError(
                f"systemctl {verb} {arguments[-1]} failed: {process.stderr.strip()}; "
                f"see journalctl -u {arguments[-1]}"
            )
        return process.stdout
