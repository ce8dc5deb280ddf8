"""The settings of a builder are what its role writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder import config


def test_settings_are_read_as_the_role_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "builder.json"
    release = {
        "name": "bookworm",
        "python_version": "3.11",
        "interpreter_tag": "cp311",
        "abi_tag": "cp311",
        "platform_tag": "linux_armv7l",
        "machine": "armv7l",
        "armv6": True,
    }
    path.write_text(json.dumps({"release": release, "forbidden_addresses": ["::1"]}))
    loaded = config.load(path)
    assert loaded.release.tag == "cp311-cp311-linux_armv7l"
    assert loaded.forbidden_addresses == ("::1",)
    assert str(loaded.rootfs) == "/var/lib/wheelyard/rootfs/bookworm"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"release": {}}'])
def test_settings_that_do_not_fit_name_the_file_and_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "builder.json"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match=r"run ansible-playbook site\.yml") as caught:
        config.load(path)
    assert str(path) in str(caught.value)
