"""The module does what it says: changes, once; predicts without writing; shows both sides."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

import protocol
from builder.spool import reconcile, status
from builder.spool.spool import Spool
from library import spool_exchange
from protocol import VERSION

ROOT = Path(__file__).parents[3]
ISO = "%Y-%m-%dT%H:%M:%SZ"
JOB: dict[str, Any] = {
    "protocol": VERSION,
    "key": "bookworm-1-1",
    "project": "demo",
    "version": "1.0",
    "target": "bookworm",
    "sdist": {"filename": "d-1.0.tar.gz", "url": "https://localhost/d", "sha256": "0" * 64},
}
RELEASE = {
    "name": "bookworm",
    "python_version": "3.11",
    "interpreter_tag": "cp311",
    "abi_tag": "cp311",
    "platform_tag": "linux_armv7l",
    "machine": "armv7l",
    "armv6": True,
}


class Pi:
    """A provisioned builder in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = folder / "builder.json"
        self.spool = Spool(folder / "spool")
        self.spool.make()
        self.capsys = capsys
        document = {
            "release": RELEASE,
            "spool_dir": str(self.spool.root),
            "status_path": str(folder / "status.json"),
            "min_free_bytes": 0,
        }
        self.settings.write_text(json.dumps(document))
        self.status = folder / "status.json"
        status.write(self.status, None)

    def run(self, **arguments: Any) -> dict[str, Any]:
        """Call the module to its real end and return its answer."""
        values = {
            "config_path": str(self.settings),
            "code_path": str(ROOT),
            "protocol": VERSION,
            "leased": [],
            **arguments,
        }
        with patch_module_args(values), pytest.raises(SystemExit):
            spool_exchange.main()
        answer: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return answer


@pytest.fixture
def pi(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Pi:
    monkeypatch.setattr(reconcile, "service_state", lambda: "active")
    return Pi(tmp_path, capsys)


def test_jobs_are_handed_over_once(pi: Pi) -> None:
    first = pi.run(jobs=[JOB], leased=["bookworm-1-1"])
    assert first["changed"] is True
    assert first["report"]["queued"] == ["bookworm-1-1"]
    assert first["report"]["refuses"] is None
    again = pi.run(jobs=[JOB], leased=["bookworm-1-1"])
    assert again["changed"] is False
    assert again["report"]["queued"] == ["bookworm-1-1"]


@pytest.mark.parametrize("check", [False, True], ids=["for real", "in check mode"])
@pytest.mark.parametrize("behind", [timedelta(days=51), -timedelta(minutes=6)])
def test_a_pi_whose_clock_is_wrong_takes_none_of_the_jobs(
    pi: Pi, behind: timedelta, *, check: bool
) -> None:
    pi.run(jobs=[JOB], leased=["bookworm-1-1"])
    new = {**JOB, "key": "bookworm-2-1"}
    leased = ["bookworm-1-1", "bookworm-2-1"]
    there = (datetime.now(UTC) + behind).strftime(ISO)
    answer = pi.run(jobs=[new], leased=leased, now=there, _ansible_check_mode=check)
    assert answer["report"]["queued"] == ["bookworm-1-1"]
    assert "its clock says " in answer["report"]["refuses"]
    assert "timedatectl" in answer["report"]["refuses"]
    # Set right, it takes them.
    answer = pi.run(jobs=[new], leased=leased, now=datetime.now(UTC).strftime(ISO))
    assert answer["report"]["queued"] == leased
    assert answer["report"]["refuses"] is None


def test_a_time_that_is_none_is_named(pi: Pi) -> None:
    assert "'noon' does not match" in pi.run(now="noon")["msg"]


def test_check_mode_predicts_and_writes_nothing(pi: Pi) -> None:
    answer = pi.run(jobs=[JOB], leased=["bookworm-1-1"], _ansible_check_mode=True)
    assert answer["changed"] is True
    assert answer["report"]["queued"] == ["bookworm-1-1"]
    assert pi.spool.snapshot().keys == frozenset()


def test_the_difference_is_shown(pi: Pi) -> None:
    answer = pi.run(jobs=[JOB], leased=["bookworm-1-1"], _ansible_diff=True)
    assert answer["diff"] == {"before": "", "after": "queued bookworm-1-1\n"}


def test_what_is_not_leased_any_more_goes(pi: Pi) -> None:
    pi.run(jobs=[JOB], leased=["bookworm-1-1"])
    assert pi.run(leased=[])["report"]["queued"] == []


@pytest.mark.parametrize(
    ("key", "url", "says"),
    [
        ("../etc", "https://localhost/d", "'../etc' is not a valid job key"),
        ("bookworm-2-1", "http://localhost/d", "job 'bookworm-2-1' can't be used: 'http://localh"),
    ],
)
def test_a_wrong_job_is_named_and_the_others_are_handed_over(
    pi: Pi, key: str, url: str, says: str
) -> None:
    wrong = {**JOB, "key": key, "sdist": {**JOB["sdist"], "url": url}}
    answer = pi.run(jobs=[wrong, JOB], leased=[key, "bookworm-1-1"])
    assert answer["report"]["queued"] == ["bookworm-1-1"]
    assert says in answer["left_out"][0]
    assert pi.spool.snapshot().keys == {"bookworm-1-1"}
    # What is finished isn't held back by it either.
    assert pi.run(jobs=[wrong], leased=[key])["report"]["queued"] == []


def of_another_version(pi: Pi, how: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make the Pi speak another version than the master, in this way; return which."""
    if how == "its service is older":
        pi.status.write_text('{"refuses": null}')
        return 1
    if how == "its code is older":
        monkeypatch.setitem(sys.modules, "builder.spool.status", None)
        return 1
    monkeypatch.setattr(protocol, "VERSION", VERSION + 1)
    return VERSION + 1


@pytest.mark.parametrize(
    "how", ["its service is older", "its code is older", "the master is older"]
)
def test_a_pi_of_another_version_says_what_it_holds_and_takes_nothing(
    pi: Pi, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"bookworm-{number}-1" for number in (1, 2, 3)]
    pi.run(jobs=[{**JOB, "key": key} for key in keys], leased=keys)
    for _ in range(2):
        assert pi.spool.take(0.0)
    (pi.spool.running / f"{keys[0]}.json").rename(pi.spool.done / f"{keys[0]}.json")
    before = pi.spool.snapshot()
    version = of_another_version(pi, how, monkeypatch)
    new = {**JOB, "key": "bookworm-4-1"}
    answer = pi.run(jobs=[new], leased=[new["key"]], revoke=keys)
    assert answer["changed"] is False
    assert answer["report"] == {
        "protocol": version,
        "queued": [keys[2]],
        "running": [{"key": keys[1]}],
        "done": [keys[0]],
    }
    assert pi.spool.snapshot() == before


def test_a_service_that_was_updated_takes_jobs_again(pi: Pi) -> None:
    pi.status.write_text('{"refuses": null}')
    assert pi.run(jobs=[JOB], leased=["bookworm-1-1"])["report"]["queued"] == []
    status.write(pi.status, None)
    assert pi.run(jobs=[JOB], leased=["bookworm-1-1"])["report"]["queued"] == ["bookworm-1-1"]


def test_a_host_that_is_no_builder_says_so(pi: Pi) -> None:
    pi.settings.unlink()
    answer = pi.run()
    assert "run ansible-playbook site.yml" in answer["msg"]


def test_the_leases_must_be_named(pi: Pi) -> None:
    # Without them every result would count as acknowledged.
    options = yaml.safe_load(spool_exchange.DOCUMENTATION)["options"]
    assert options["leased"]["required"] is True
    with patch_module_args({}), pytest.raises(SystemExit):
        spool_exchange.main()
    assert "leased" in json.loads(pi.capsys.readouterr().out)["msg"]
