"""What carries a farm's site to a folder that stands for the web host, and reads it there."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.ansible.posix.plugins.modules import synchronize
from psycopg2.extensions import connection

from master.config import Config
from master.site import publish
from tests.support.rows import Rows

CARRY = Path(__file__).parents[2] / "roles/publish/tasks/carry.yml"
ONE = "one-1.0-cp311-cp311-linux_armv7l.whl"
TWO = "two-2.0-py3-none-any.whl"
INDEX = ("index.html", "index.v1_html", "index.v1_json")


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def carry(config: Config, web: Path, lists: dict[str, int], *kinds: str) -> list[str]:
    """Do what the role publish does; return what rsync had to do.

    The role's task is Ansible's to read, and the module's to run. For ssh there is a script that
    does what sshd does over there, with the master's key: only rrsync is run, in the web root.
    """
    ssh = config.state_dir / "ssh"
    ssh.write_text(f'#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND="$*" exec rrsync -wo {web.parent}\n')
    ssh.chmod(0o755)
    loader = DataLoader()
    (task,) = loader.load_from_file(str(CARRY), trusted_as_template=True)
    done: list[str] = []
    for kind in kinds or publish.LISTS:
        if lists[kind]:
            variables = {"publish_list": kind, "publish_state_dir": str(config.state_dir)}
            arguments = Templar(loader, variables).template(task["ansible.posix.synchronize"])
            arguments["dest"] = f"web:{arguments['dest']}"
            arguments["rsync_opts"] += [f"--rsh={ssh}"]
            done += synchronized(arguments)
    return done


def synchronized(arguments: dict[str, Any]) -> list[str]:
    """Return what rsync says that it did, of the module synchronize with these arguments."""
    with (
        patch_module_args(arguments),
        redirect_stdout(StringIO()) as said,
        pytest.raises(SystemExit),
    ):
        synchronize.main()
    result = json.loads(said.getvalue())
    assert not result.get("failed"), result
    lines: list[str] = result["stdout_lines"]
    return lines


def publish_all(conn: connection, config: Config, web: Path) -> list[str]:
    rendered = publish.render(conn, config)
    if not rendered.lists:
        return []
    done = carry(config, web, rendered.lists)
    publish.mark_published(conn, config)
    return done


def an_hour_later(farm: Rows) -> None:
    farm.rows(
        """UPDATE sync_state SET updated_at = updated_at - interval '1 hour'
           WHERE key = 'hourly_pages'"""
    )


def names(done: list[str]) -> set[str]:
    """Return the files that rsync really sent or removed."""
    return {line.split(" ", 1)[1] for line in done if line.startswith(("<f", ">f", "*d"))}
