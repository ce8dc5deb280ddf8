"""A farm's inventory whose Pis are rented from the stand-in, for the playbooks that rent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support import ansible
from tests.support.ansible import ROOT
from tests.support.inventory import Inventory
from tests.support.mythic_beasts import SECRETS, Cloud


class Rented(Inventory):
    """The inventory, beside the source of the rented Pis."""

    def __init__(self, folder: Path, cloud: Cloud, checkout: Path = ROOT) -> None:
        """Write the source and the API key to `folder`."""
        super().__init__(folder, checkout)
        self.home = folder.parent / "home"
        self.home.mkdir()
        self.cloud = cloud
        self.source: dict[str, Any] = {**cloud.source(folder)}
        self.settings["farm_ssh_key"] = "ssh-ed25519 AAAA"

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook, and return its output with all white space made single spaces."""
        path = self.checkout / "playbooks" / playbook
        result = self.run("ansible-playbook", path, *arguments)
        output = " ".join((result.stdout + result.stderr).split())
        return subprocess.CompletedProcess(result.args, result.returncode, output, "")

    def list(self) -> dict[str, Any]:
        """Return what ansible-inventory has of all hosts."""
        result = self.run("ansible-inventory", "--list")
        assert result.returncode == 0, result.stderr
        hosts: dict[str, Any] = json.loads(result.stdout)
        return hosts

    def run(self, command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of Ansible's on the inventory, whose output has no secret in it."""
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(self.inventory))
        (self.folder / "mythic_beasts.yml").write_text(yaml.safe_dump(self.source))
        result = ansible.run(command, "-i", self.folder, *arguments, HOME=str(self.home))
        for secret in SECRETS | self.cloud.tokens:
            assert secret not in result.stdout + result.stderr
        return result
