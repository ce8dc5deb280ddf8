"""The module site_render, as a task of the role publish runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.master_module import MASTER_CODE
from ansible.module_utils.testing import patch_module_args

from library import site_render
from master.config import Config
from tests.support.farm import Farm, settings
from tests.support.site import ONE

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module to its end and returns what it says."""
    path = tmp_path / "master.json"
    path.write_text(json.dumps(settings(config, pypi_projects=[])))

    def run_module(**arguments: Any) -> dict[str, Any]:
        with (
            patch_module_args({"config_path": str(path)} | arguments),
            pytest.raises(SystemExit),
        ):
            site_render.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.fixture
def farm(farm: Farm) -> Farm:
    farm.built(ONE)
    return farm


@pytest.mark.usefixtures("farm")
def test_it_renders_lists_and_then_has_nothing_to_do(run: Run, config: Config) -> None:
    rendered = run()
    assert rendered["changed"]
    assert rendered["projects"] == ["one"]
    assert rendered["lists"] == {"files": 2, "pages": 6, "root": 5, "delete": 0}
    assert run(state="published") | {"invocation": None} == {
        "changed": True,
        "published": 1,
        "invocation": None,
    }
    assert not run()["changed"]
    assert not run(state="published")["changed"]
    assert not list((config.state_dir / "publish").iterdir())


@pytest.mark.usefixtures("farm")
def test_check_mode_tells_and_does_nothing(run: Run, config: Config) -> None:
    told = run(_ansible_check_mode=True)
    assert told["changed"]
    assert told["projects"] == ["one"]
    assert not (config.state_dir / "site").exists()
    run()
    assert run(state="published", _ansible_check_mode=True)["published"] == 1
    assert run(_ansible_check_mode=True)["changed"]


@pytest.mark.usefixtures("farm")
def test_everything_can_be_had_again(run: Run) -> None:
    run()
    run(state="published")
    assert run(state="stale", _ansible_check_mode=True)["stale"] == 1
    assert not run()["changed"]
    assert run(state="stale")["stale"] == 1
    assert run()["projects"] == ["one"]


def test_a_wheel_that_the_store_lost_is_warned_of(
    run: Run, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: warnings.append(text))
    run()
    run(state="published")
    farm.dirty("one")
    (farm.config.store / "one" / ONE).unlink()
    result = run()
    assert not result["changed"]
    assert "not in the store" in result["errors"][0]
    assert warnings == result["errors"]


def test_a_failure_is_kept_for_who_asks(run: Run, farm: Farm) -> None:
    assert run(state="failed", error="no route to host")["changed"]
    query = "SELECT value FROM sync_state WHERE key = 'last_publish_error'"
    assert farm.value(query) == "no route to host"
    assert "error" in run(state="failed")["msg"]


def test_a_master_that_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "can't be read" in run(config_path="/nowhere/master.json")["msg"]
    monkeypatch.setattr(MASTER_CODE, "missing", ImportError("no module"))
    assert "not a provisioned master (no module)" in run()["msg"]
    assert "site.yml" in run()["msg"]


def test_a_database_that_does_not_answer_is_named(run: Run, farm: Farm, tmp_path: Path) -> None:
    path = tmp_path / "master.json"
    path.write_text(path.read_text().replace(farm.config.database.host, "/nowhere"))
    message = run()["msg"]
    assert "can't be reached" in message
    assert "/nowhere" in message
