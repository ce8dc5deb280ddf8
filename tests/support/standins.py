"""Stand-ins for Ansible's modules, where they would need root, a farm or a reboot.

They are action plugins, which cost a hundredth of what a module does, and know for which host.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import ansible

# Writes down that it was called, and says what it is told to.
STAND_IN = """
import json, pathlib
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        host, given = task_vars["inventory_hostname"], self._task.args
        with open("calls", "a") as calls:
            calls.write(json.dumps([NAME, host, self._task.check_mode, given]) + "\\n")
        said = json.loads(pathlib.Path("answers.json").read_text())
        builders = dict.fromkeys(given.get("builders") or [], given.get("reason"))
        return {"builders": builders, **said.get(NAME, {}), **said.get(f"{NAME} {host}", {})}
"""


@dataclass(frozen=True)
class Call:
    """What a stand-in was called with."""

    module: str
    host: str
    check: bool
    given: dict[str, Any]


@dataclass(frozen=True)
class Played:
    """What a playbook has done, as far as the stand-ins were asked for it."""

    calls: list[Call]
    output: str
    succeeded: bool

    def hosts(self, *modules: str, check: bool = False) -> list[str]:
        """Return, in their order, the hosts for which these modules were called."""
        return [call.host for call in self.calls if call.module in modules and call.check == check]


class StandIns:
    """A folder with playbooks in which some modules are replaced."""

    def __init__(self, folder: Path, modules: Sequence[str]) -> None:
        self.folder = folder
        self.modules = modules
        plugins = folder / "action_plugins"
        plugins.mkdir()
        for name in modules:
            (plugins / f"stand_in_{name}.py").write_text(f"NAME = {name!r}\n{STAND_IN}")

    def copy(self, source: Path, name: str) -> None:
        """Copy plays or tasks to the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replaced = self._replaced(yaml.safe_load(source.read_text()))
        path.write_text(yaml.safe_dump(replaced, sort_keys=False))

    def _replaced(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._replaced(one) for one in part]
        if not isinstance(part, dict):
            return part
        found = {}
        for key, value in part.items():
            name = key.removeprefix("ansible.builtin.")
            found[f"stand_in_{name}" if name in self.modules else key] = self._replaced(value)
        return found

    def play(
        self, playbook: str, inventory: dict[str, Any], *arguments: str, **answers: dict[str, Any]
    ) -> Played:
        """Run a playbook; answers has what MODULE, or MODULE__HOST, says."""
        said = {name.replace("__", " "): answer for name, answer in answers.items()}
        (self.folder / "answers.json").write_text(json.dumps(said))
        (self.folder / "calls").write_text("")
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
        options = [playbook, "-i", "hosts.yml", *arguments]
        result = ansible.run("ansible-playbook", *options, cwd=self.folder)
        lines = (self.folder / "calls").read_text().splitlines()
        output = " ".join((result.stdout + result.stderr).split())
        return Played([Call(*json.loads(x)) for x in lines], output, result.returncode == 0)
