"""A new release is one file, and a group of its name in the inventory."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from master.targets import registry
from master.upstream import pypi, sync
from tests.support.ansible import ROOT
from tests.support.farm import Farm
from tests.support.index import Catalogue, File, Server
from tests.support.inventory import Inventory

FACTS = {
    "suite": "sid",
    "python_version": "3.14",
    "interpreter_tag": "cp314",
    "abi_tag": "cp314",
    "pip": {"version": "26.3", "sha256": "0" * 64},
}
PACKAGES = {"apt_packages_added": ["libsid-dev"], "apt_packages_removed": ["bison"]}


def test_a_new_release_is_one_file_and_its_group(tmp_path: Path, farm: Farm) -> None:
    checkout = tmp_path / "checkout"
    for folder in ("filter_plugins", "playbooks", "releases", "roles"):
        shutil.copytree(ROOT / folder, checkout / folder)
    shutil.copy(ROOT / "ansible.cfg", checkout)
    (checkout / "releases/sid.yml").write_text(yaml.safe_dump(FACTS | PACKAGES))
    (tmp_path / "inventory").mkdir()
    inventory = Inventory(tmp_path / "inventory", checkout)
    # The tests' farm promises no ARMv6 code.
    inventory.settings["farm_releases"] = {
        name: {"armv6": False} for name in ("bookworm", "trixie")
    }
    inventory.releases["sid"] = {"hosts": {"pi9": {"ansible_host": "2001:db8::49"}}}

    validated = inventory.validate()
    assert validated.returncode == 0, validated.stdout
    release = inventory.evaluate("builders.yml", "builder_release")["pi9"]
    common = yaml.safe_load((ROOT / "releases/common.yml").read_text())
    packages = {*common.pop("apt_packages"), "libsid-dev"} - {"bison"}
    assert release == {
        "name": "sid",
        **{name: value for name, value in common.items() if name not in PACKAGES},
        **FACTS,
        "apt_packages": sorted(packages),
    }

    targets = inventory.evaluate("master.yml", "master_targets")["boss"]
    assert release in targets
    with farm.connect("owner") as conn:
        assert registry.register(conn, targets, check=False) == ["sid"]
    catalogue = Catalogue({"demo": [File("demo-1.0.tar.gz", requires_python=">=3.14")]})
    with (
        farm.connect("sync") as conn,
        Server(catalogue) as server,
        pypi.Index(server.url, "https://farm.example") as index,
    ):
        done = sync.projects(
            conn,
            index,
            ["demo"],
            targets=registry.active(conn, None),
            newest=None,
            now=farm.now,
            max_loss=None,
            followed=True,
            check=False,
        )
    assert done["demo"].queued == 1
    assert farm.states("sid") == {"demo 1.0": "pending"}
    assert farm.keys("pi9", {"pi9": "sid"})
