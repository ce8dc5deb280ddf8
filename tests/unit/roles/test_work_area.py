"""Where builds lie: in a file system of their own, whatever the Pi's root is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import yaml
from jinja2 import Environment

from tests.support.standins import StandIns

ROLE = Path(__file__).parents[3] / "roles/builder"
MOUNT = "etc/systemd/system/var-lib-wheelyard-work.mount"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def test_builds_lie_on_an_ext4_image_so_that_the_root_may_be_nfs(tmp_path: Path) -> None:
    """An overlay's upper layer can't lie on NFS."""
    pi = StandIns(tmp_path, ("template", "systemd_service"))
    pi.copy(ROLE / "tasks/work_area.yml", "roles/builder/tasks/main.yml")
    shutil.copytree(ROLE / "vars", tmp_path / "roles/builder/vars")
    play = {"hosts": "all", "gather_facts": False, "roles": ["builder"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    image = tmp_path / "work.img"
    variables = {"__builder_work_image": str(image), "builder_work_size": "8M"}
    farm = {"all": {"hosts": {"pi1": LOCAL}}}
    done = pi.play("play.yml", farm, "-e", json.dumps(variables))
    assert done.succeeded, done.output
    made = image.read_bytes()
    assert len(made) == 8 << 20
    # The magic number of ext4 (ext4's superblock, s_magic).
    assert made[1024 + 56 : 1024 + 58] == b"\x53\xef"
    assert done.calls[-1].given["name"] == Path(MOUNT).name
    unit = Environment().from_string((ROLE / f"templates/{MOUNT}.j2").read_text())
    text = unit.render(__builder_work_image=image, __builder_work="/var/lib/wheelyard/work")
    assert f"\nWhat={image}\nWhere=/var/lib/wheelyard/work\nType=ext4\nOptions=loop," in text
