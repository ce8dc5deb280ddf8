"""The master's settings: what is missing or wrong is said with file and way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from master import config

GOOD: dict[str, Any] = {
    "database": {"host": "db", "port": 5432, "name": "wheelyard", "sslrootcert": "/ca.crt"},
    "state_dir": "/state",
    "pypi_url": None,
    "pypi_projects": ["spidev"],
    "pypi_versions": "all",
    "pypi_max_loss_percent": 10,
    "spool_depth": 3,
    "builder_lost_after_s": 900,
    "wheel_max_bytes": 1073741824,
    "min_free_bytes": 1073741824,
    "site_url": "https://farm/",
}


def load(tmp_path: Path, **changes: Any) -> config.Config:
    path = tmp_path / "master.json"
    path.write_text(json.dumps({k: v for k, v in {**GOOD, **changes}.items() if v != "absent"}))
    return config.load(path)


def test_settings_are_read(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.pypi_versions is None
    assert found.site_url == "https://farm"
    assert found.incoming == Path("/state/incoming")
    assert load(tmp_path, pypi_versions=2).pypi_versions == 2
    url = "https://[2001:db8::1]:8080/simple/"
    assert load(tmp_path, pypi_url=url).pypi_url == url


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"database": {"host": "db"}}, "lacks the setting 'port'"),
        *(({name: "absent"}, f"lacks the setting '{name}'") for name in GOOD),
        ({"pypi_versions": 0}, "pypi_versions is 0"),
        ({"spool_depth": 0}, "spool_depth is 0, and must be from 1"),
        ({"spool_depth": "many"}, "invalid literal"),
        ({"database": []}, "is wrong"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        load(tmp_path, **changes)
    assert message in str(caught.value)
    assert str(tmp_path / "master.json") in str(caught.value)
    assert "ansible-playbook site.yml" in str(caught.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(config.ConfigError, match=r"x\.json is wrong"):
        config.load(tmp_path / "x.json")
