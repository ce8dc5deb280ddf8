"""The inventory of a farm, on disk, for playbooks that connect to no host."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support import ansible
from tests.support.ansible import ROOT

SECRETS = ("ca.key", "ca.crt", "db_owner", "db_sync", "db_queue", "db_site", "db_readonly")

FARM: dict[str, Any] = {
    "all": {
        "vars": {
            "farm_secrets_dir": "{{ inventory_dir }}/secrets",
            "farm_site_url": "https://wheels.example.org",
            "farm_pypi_projects": ["spidev", "ruamel.yaml"],
            "farm_pypi_versions": 1,
        }
    },
    "database": {"hosts": {"db": {"ansible_host": "2001:db8::10"}}},
    "master": {"hosts": {"boss": {"ansible_host": "192.0.2.20"}}},
    "web": {"hosts": {"www": {"ansible_host": "2001:db8::30"}}},
    "builders": {
        "children": {
            "bookworm": {"hosts": {"pi1": {"ansible_host": "2001:db8::41"}}},
            "trixie": {"hosts": {"pi2": {"ansible_host": "2001:db8::42"}}},
        }
    },
    "pip_clients": {"hosts": {}},
}


class Inventory:
    """An inventory on disk, right in every way until a test spoils it."""

    def __init__(self, folder: Path, checkout: Path = ROOT) -> None:
        """Write the secrets to `folder`; the inventory is written when a playbook runs on it."""
        self.folder = folder
        self.checkout = checkout
        self.inventory = deepcopy(FARM)
        (folder / "secrets").mkdir()
        for name in SECRETS:
            (folder / "secrets" / name).write_text("secret\n")

    @property
    def settings(self) -> dict[str, Any]:
        """Return what stands in group_vars/all."""
        variables: dict[str, Any] = self.inventory["all"]["vars"]
        return variables

    @property
    def releases(self) -> dict[str, Any]:
        """Return the release groups."""
        children: dict[str, Any] = self.inventory["builders"]["children"]
        return children

    def validate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the play, and return its output with all white space made single spaces."""
        return self._run("playbooks/validate.yml", *arguments)

    def evaluate(self, part: str, expression: str) -> dict[str, Any]:
        """Return what `expression` is in a part of site.yml, by host.

        Its variables are those that the play hands to its roles.
        """
        path = self.checkout / "playbooks/site" / part
        play, *_ = yaml.safe_load(path.read_text())
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            said = {
                "content": f"{{{{ {expression} | to_json }}}}",
                "dest": f"{folder}/{{{{ inventory_hostname }}}}.json",
            }
            evaluated = {
                "hosts": play["hosts"],
                "connection": "local",
                "gather_facts": False,
                "vars_files": str(path.parent / play["vars_files"]),
                "vars": {
                    key: value
                    for role in play["roles"]
                    for key, value in role.get("vars", {}).items()
                }
                | {"ansible_python_interpreter": sys.executable},
                "tasks": [{"ansible.builtin.copy": said}],
            }
            (folder / "play.yml").write_text(yaml.safe_dump([evaluated]))
            result = self._run(folder / "play.yml")
            assert result.returncode == 0, result.stdout
            return {said.stem: json.loads(said.read_text()) for said in folder.glob("*.json")}

    def _run(self, playbook: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(self.inventory))
        options = ["-i", self.folder, playbook, *arguments]
        result = ansible.run(
            "ansible-playbook",
            *options,
            cwd=self.checkout,
            ANSIBLE_CONFIG=str(self.checkout / "ansible.cfg"),
            # Nothing connects anywhere: a connection would be refused here.
            ANSIBLE_SSH_EXECUTABLE="/bin/false",
        )
        output = " ".join((result.stdout + result.stderr).split())
        return subprocess.CompletedProcess(result.args, result.returncode, output, "")
