"""The modules, called as Ansible calls them, on a master whose database is real."""

from __future__ import annotations

import errno
import importlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from master.config import Config
from master.database.migrate import SCHEMA
from tests.support.farm import Farm, exchange, said, settings, upstream
from tests.support.index import LOGIN_PAGE, Catalogue, File, Server
from tests.support.wheels import BOOKWORM, TRIXIE, Forge

Run = Callable[..., dict[str, Any]]
TARGETS = [
    {name: value for name, value in asdict(target).items() if name != "target_id"}
    for target in (BOOKWORM, TRIXIE)
]


@pytest.fixture
def run(
    config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a module; the settings are those of the test's farm, or changed ones."""
    # Ansible keeps them for the life of a process, which is one module's elsewhere.
    monkeypatch.setattr(warnings, "_global_warnings", {})

    def call(name: str, changes: dict[str, Any] | None = None, /, **arguments: Any) -> Any:
        path = tmp_path / "master.json"
        path.write_text(json.dumps(settings(config, **(changes or {}))))
        arguments = {"config_path": str(path), **arguments}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            importlib.import_module(name).main()
        return json.loads(capsys.readouterr().out)

    return call


def test_the_way_of_one_release(run: Run, farm: Farm) -> None:
    with Server(Catalogue({"demo": [File("demo-1.0.tar.gz")]})) as server:
        index = {"pypi_url": server.url}
        synced = run("pypi_sync", index)
        assert synced["changed"]
        assert (synced["projects"], synced["queued"], synced["failed"]) == (1, 2, 0)
        assert not run("pypi_sync", index)["changed"]
    claimed = run("queue_claim", builders={"pi1": "bookworm"})
    assert claimed["changed"]
    (handout,) = claimed["handouts"]
    (job,) = handout["jobs"]
    farm.send("pi1", job["key"], Forge())
    checked = run(
        "result_record",
        exchanges={"pi1": exchange(said(done=[job["key"]]))},
        _ansible_check_mode=True,
    )
    assert [one["key"] for one in checked["recorded"]] == [job["key"]]
    assert farm.rows("SELECT * FROM builds") == []
    recorded = run("result_record", exchanges={"pi1": exchange(said(done=[job["key"]]))})
    assert recorded["changed"]
    assert recorded["recorded"][0]["filename"] == "demo-1.0-cp311-cp311-linux_armv7l.whl"
    assert not run("result_record", exchanges={"pi1": exchange(said())})["changed"]
    assert not run("queue_claim", builders={"pi1": "bookworm"})["changed"]
    named = run("job_request", targets=["bookworm"], packages=["demo"])
    assert named["already_built"] == ["demo==1.0 (bookworm)"]
    assert named["job_ids"] == []


def test_what_is_asked_for_by_name_is_read_by_the_sync_and_queued_by_the_request(
    run: Run, farm: Farm
) -> None:
    catalogue = Catalogue({"demo": [File("demo-1.0.tar.gz")], "new": [File("new-1.0.tar.gz")]})
    packages = ["new", "nowhere"]

    def ask(names: list[str], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        synced = run("pypi_sync", index, packages=names, targets=["bookworm"], **more)
        told = {name: synced[name] for name in ("unread", "pages")}
        return synced, run("job_request", packages=names, targets=["bookworm"], **told, **more)

    with Server(catalogue) as server:
        index = {"pypi_url": server.url}
        synced, asked = ask(packages)
        assert list(synced["unread"]) == ["nowhere"]
        assert asked["msg"].startswith(f"nothing is queued: the index {server.url} has no project")
        # What is new of the others holds, and of what is followed nothing is queued.
        assert farm.rows("SELECT name, followed FROM projects ORDER BY name") == [
            ("demo", True),
            ("new", False),
        ]
        assert farm.states() == {}
        catalogue.projects["new"] += [File("new-1.1.tar.gz")]
        _, asked = ask(["new==1.1"], _ansible_check_mode=True)
        assert (asked["changed"], asked["queued"]) == (True, 1)
        assert farm.value("SELECT count(*) FROM versions WHERE version = '1.1'") == 0
        assert farm.states() == {}
        synced, asked = ask(["new==1.1"])
        assert (synced["changed"], synced["pages"], asked["queued"]) == (True, [], 1)
    assert farm.states() == {"new 1.1": "pending"}
    assert farm.states("trixie") == {}


def test_a_partial_failure_is_counted_and_told_in_ten_lines(
    run: Run, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text: warned.append(text))
    names = [f"p{number}" for number in range(12)]
    catalogue = Catalogue({"demo": [File("demo-1.0.tar.gz")]})
    with Server(catalogue) as server:
        index = {"pypi_url": server.url, "pypi_projects": ["demo", *names]}
        synced = run("pypi_sync", index)
        assert (synced["projects"], synced["failed"], synced["queued"]) == (13, 12, 2)
        assert len(synced["errors"]) == 11
        assert synced["errors"][-1] == "and 2 more"
        assert warned == ["12 of 13 projects could not be synced:", *synced["errors"]]
        catalogue.answers["*"] = LOGIN_PAGE
        failed = run("pypi_sync", index)
        assert failed["failed"]
        assert failed["msg"].startswith("no project could be synced: the index http://127.0.0.1:")
        assert failed["msg"].endswith("(and 12 other errors)")
        del catalogue.answers["*"]
        del catalogue.projects["demo"]
        assert "1 of the 1 versions" in run("pypi_sync", index)["msg"]
        accepted = run("pypi_sync", index, accept_losses=True)
        assert "not offered any longer" in accepted["msg"]
    assert set(farm.states().values()) == {"skipped"}


def test_what_the_settings_no_longer_want_leaves_the_queue(run: Run, farm: Farm) -> None:
    files = [File("demo-1.0.tar.gz"), File("demo-2.0.tar.gz")]
    with Server(Catalogue({"demo": files})) as server:
        index = {"pypi_url": server.url}
        run("pypi_sync", index)
        fewer = run("pypi_sync", {**index, "pypi_versions": 1}, targets=["bookworm"])
        assert fewer["changed"]
        assert farm.states() == {"demo 2.0": "pending", "demo 1.0": "skipped"}
        assert set(farm.states("trixie").values()) == {"pending"}
        none = {**index, "pypi_projects": []}
        checked = run("pypi_sync", none, _ansible_check_mode=True)
        assert (checked["changed"], checked["dropped"]) == (True, ["demo"])
        assert farm.states()["demo 2.0"] == "pending"
        # Of those for whom the run is, as build.yml -l says.
        assert run("pypi_sync", none, targets=["bookworm"])["dropped"] == ["demo"]
        assert set(farm.states().values()) == {"skipped"}
        assert set(farm.states("trixie").values()) == {"pending"}
        dropped = run("pypi_sync", none)
        assert (dropped["changed"], dropped["dropped"]) == (True, ["demo"])
        assert set(farm.states("trixie").values()) == {"skipped"}
        again = run("pypi_sync", none)
        assert (again["changed"], again["dropped"]) == (False, [])
        assert run("pypi_sync", index)["queued"] == 4


def test_a_builder_is_paused_once_and_check_mode_only_tells(run: Run, farm: Farm) -> None:
    farm.claim({"pi1": "bookworm"})
    pi1 = {"builders": ["pi1"], "reason": "a new fan"}
    first = {"before": {"pi1": None}, "after": {"pi1": "a new fan"}}
    told = run("builder_pause", **pi1, _ansible_check_mode=True)
    assert (told["changed"], told["diff"]) == (True, first)
    done = run("builder_pause", **pi1)
    assert (done["changed"], done["diff"]) == (True, first)
    assert not run("builder_pause", **pi1)["changed"]
    assert not run("builder_pause", **pi1, by="upgrade", state="resumed")["changed"]
    again: dict[str, Any] = {"builders": ["pi1"], "state": "resumed"}
    assert run("builder_pause", **again, _ansible_check_mode=True)["changed"]
    assert run("builder_pause", **again)["builders"] == {"pi1": None}
    assert not run("builder_pause", **again)["changed"]
    unknown = run("builder_pause", builders=["pi7"])
    assert unknown["msg"].startswith("the farm doesn't know pi7; it knows pi1. A new Pi is known")


def test_the_schema_is_brought_once(run: Run, farm: Farm) -> None:
    assert not run("schema_migrate", targets=TARGETS)["changed"]
    changed = [*TARGETS[:1], {**TARGETS[1], "python_version": "3.14"}]
    assert run("schema_migrate", targets=changed, _ansible_check_mode=True)["targets"] == ["trixie"]
    assert farm.value("SELECT python_version FROM targets WHERE name = 'trixie'") == "3.13"
    assert run("schema_migrate", targets=changed)["targets"] == ["trixie"]
    assert run("schema_migrate", targets=TARGETS[:1])["targets"] == ["trixie"]
    assert farm.value("SELECT active FROM targets WHERE name = 'trixie'") is False


def test_a_bare_database_is_migrated_and_check_mode_only_lists(run: Run, farm: Farm) -> None:
    farm.rows("DROP SCHEMA public CASCADE")
    farm.rows("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
    listed = run("schema_migrate", targets=TARGETS, _ansible_check_mode=True)
    assert listed["changed"]
    assert listed["applied"] == sorted(path.stem for path in SCHEMA.glob("*.sql"))
    assert listed["targets"] == ["bookworm", "trixie"]
    assert farm.rows("SELECT FROM pg_tables WHERE schemaname = 'public'") == []
    assert run("schema_migrate", targets=TARGETS)["applied"] == listed["applied"]
    assert not run("schema_migrate", targets=TARGETS)["changed"]


@pytest.mark.parametrize(
    "name",
    ["schema_migrate", "pypi_sync", "job_request", "queue_claim", "result_record", "builder_pause"],
)
def test_a_database_that_is_off_is_named_with_cause_and_way_out(run: Run, name: str) -> None:
    database = {"host": "127.0.0.1", "port": 9, "name": "wheelyard", "sslrootcert": "/no/ca.crt"}
    needed: dict[str, Any] = {
        "result_record": {"exchanges": {}},
        "job_request": {"packages": []},
        "builder_pause": {"builders": ["pi1"]},
    }
    arguments = needed.get(name, {})
    message = run(name, {"database": database}, **arguments)["msg"]
    assert "wheelyard at 127.0.0.1:9 can't be reached" in message
    assert "Connection refused" in message
    assert "systemctl status postgresql" in message


def test_settings_that_are_missing_or_wrong_are_named(run: Run) -> None:
    message = run("queue_claim", config_path="/nowhere/master.json")["msg"]
    assert "/nowhere/master.json can't be read (No such file or directory)" in message
    assert "ansible-playbook site.yml" in message
    assert "pypi_versions is 0" in run("queue_claim", {"pypi_versions": 0})["msg"]


def test_what_the_farm_doesnt_build_for_is_named(run: Run, farm: Farm) -> None:
    message = run("job_request", packages=["demo"], targets=["jessie"])["msg"]
    assert "doesn't build for jessie, but for bookworm, trixie" in message
    assert "jessie" in run("pypi_sync", targets=["jessie"])["msg"]
    claimed = run("queue_claim", builders={"pi9": "jessie"})
    assert "pi9 would build for jessie" in claimed["left_out"]


def test_a_project_that_the_index_lacks_fails_the_sync_only_if_it_is_all(
    run: Run, farm: Farm
) -> None:
    with Server(Catalogue({"demo": [File("demo-1.0.tar.gz")]})) as server:
        index = {"pypi_url": server.url}
        both = run("pypi_sync", index, projects=["demo", "nothing"])
        assert farm.value("SELECT followed FROM projects") is False
        assert run("pypi_sync", index)["errors"] == []
        assert farm.value("SELECT followed FROM projects") is True
        assert both["changed"]
        assert "no project nothing" in both["errors"][0]
        alone = run("pypi_sync", index, projects=["nothing"])
        assert alone["failed"]
        assert "no project nothing" in alone["msg"]


def test_a_full_disk_is_said_by_claim_and_record(
    run: Run, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.sync(upstream("demo", "1.0"))
    pi1 = {"pi1": "bookworm"}
    claimed = run("queue_claim", {"min_free_bytes": 1 << 60}, builders=pi1)
    assert not claimed["changed"]
    assert "no jobs are handed out" in claimed["paused"]
    (job,) = run("queue_claim", builders=pi1)["handouts"][0]["jobs"]
    farm.send("pi1", job["key"], Forge())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    recorded = run("result_record", exchanges={"pi1": exchange(said(done=[job["key"]]))})
    assert recorded["failed"]
    assert "disk of the master is full" in recorded["msg"]
    assert farm.rows("SELECT * FROM builds") == []
