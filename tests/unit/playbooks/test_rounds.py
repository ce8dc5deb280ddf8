"""What a round makes of its builders' answers, and what it tells the journal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from builder.spool.reconcile import wrong_clock
from callback_plugins import farm_journal
from filter_plugins.rounds import round_exchanges, round_finished
from protocol import VERSION
from tests.support import ansible
from tests.support.ansible import ROOT

REGISTERED = ROOT / "roles/builder/templates/etc/wheelyard/inventory/builder.yml.j2"
JOURNAL = {
    # Stand-ins of modules are no good beside the real ones' other half.
    "ANSIBLE_ACTION_PLUGINS": "/nowhere",
    "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "callback_plugins"),
    "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    "ANSIBLE_SSH_RETRIES": "0",
    "ANSIBLE_STDOUT_CALLBACK": "farm_journal",
}


def answer(done: list[str], **results: bool) -> dict[str, Any]:
    """Return the variables of a builder, with each collected key and whether that failed."""
    return {
        "round_handout": {"jobs": [{"key": "a-9-1", "project": "lzo"}]},
        "round_exchange": {"changed": True, "report": {"queued": [], "done": done}},
        "round_collect": {
            "results": [{"item": key, "failed": failed} for key, failed in results.items()]
        },
    }


def test_a_builder_that_answers_has_its_report() -> None:
    exchanges = round_exchanges(["pi1"], {"pi1": answer(["a-1-1"], **{"a-1-1": False})})
    assert exchanges == {
        "pi1": {
            "report": {"queued": [], "done": ["a-1-1"]},
            "collected": ["a-1-1"],
            "handed": ["a-9-1"],
        }
    }


def test_a_result_that_did_not_arrive_whole_is_not_collected() -> None:
    variables = {"pi1": answer(["a-1-1", "a-2-1"], **{"a-1-1": True, "a-2-1": False})}
    exchange = round_exchanges(["pi1"], variables)["pi1"]
    assert exchange["report"]["done"] == ["a-1-1", "a-2-1"]
    assert exchange["collected"] == ["a-2-1"]


def test_a_builder_that_is_unreachable_or_fails_has_none() -> None:
    variables: dict[str, dict[str, Any]] = {
        "off": {"round_exchange": {"unreachable": True, "msg": "timed out"}},
        "broken": {"round_exchange": {"failed": True, "msg": "no spool"}},
        "silent": {},
    }
    for facts in variables.values():
        facts["round_handout"] = {"jobs": []}
    silent: dict[str, Any] = {"report": None, "collected": [], "handed": []}
    assert round_exchanges(variables, variables) == dict.fromkeys(variables, silent)


def test_a_builder_cant_say_what_the_master_knows() -> None:
    pi1 = answer(["a-1-1"])
    pi1["round_exchange"]["report"] |= {"collected": ["a-1-1"], "handed": ["a-2-1"]}
    exchange = round_exchanges(["pi1"], {"pi1": pi1})["pi1"]
    assert (exchange["collected"], exchange["handed"]) == ([], ["a-9-1"])


def test_results_are_collected_from_those_who_have_some() -> None:
    variables: dict[str, dict[str, Any]] = {
        "pi1": answer(["a-1-1"]),
        "pi2": answer([]),
        "pi3": {"round_exchange": {"unreachable": True}},
    }
    assert round_finished(variables, variables) == ["pi1"]
    assert round_finished(["pi2", "pi3"], variables) == []


def test_the_journal_has_a_line_for_each_result() -> None:
    result = {
        "changed": True,
        "recorded": [
            {"key": "bookworm-1-1", "status": "built", "reason": None},
            {"key": "bookworm-2-1", "status": "failed", "reason": "no cups.h\n\x1b[2J"},
        ],
        "refused": [{"key": "bookworm-3-1", "reason": "not its lease"}],
        "lost": ["bookworm-4-1"],
    }
    assert list(farm_journal.news(result)) == [
        "bookworm-1-1 built",
        "bookworm-2-1 failed: no cups.h [2J",
        "refused: key=bookworm-3-1 reason=not its lease",
        "lost: bookworm-4-1",
    ]


def test_the_journal_is_silent_when_nothing_happened() -> None:
    assert not list(farm_journal.news({"changed": False, "recorded": [], "handouts": [{}]}))


def test_a_failure_has_its_cause_in_one_line() -> None:
    assert farm_journal.cause({"msg": "", "stderr": "rsync:\n no route"}) == "rsync: no route"
    assert farm_journal.cause({}) == "no reason given"
    assert farm_journal.cause({"msg": "Task failed: Module failed: no disk"}) == "no disk"


WARNER = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={}, supports_check_mode=True)
for number in range(30):
    module.warn(f"no project\\x1b[2J {number}")
module.exit_json()
"""


def test_the_journal_has_what_modules_warn_of_and_no_more_than_it_can_take(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/warner.py").write_text(WARNER)
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "tasks": [{"warner": {}}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = ansible.run("ansible-playbook", "play.yml", "-i", "pi1,", cwd=tmp_path, **JOURNAL)
    assert done.stdout.splitlines() == [f"pi1: no project [2J {number}" for number in range(20)]


def test_a_release_that_the_master_has_no_facts_of_does_not_stop_a_round(tmp_path: Path) -> None:
    (play, *_) = yaml.safe_load((ROOT / "playbooks/round.yml").read_text())
    fleet = play["tasks"][0]["queue_claim"]["builders"]
    say = {"ansible.builtin.debug": {"msg": fleet}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [say]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    for name, release in (("pi1", "bookworm"), ("pi9", "bullseye")):
        variables = {
            "builder_release": {"name": release},
            "builder_name": name,
            "builder_address": "fd77::1",
            "builder_ssh_port": 22,
        }
        text = Environment().from_string(REGISTERED.read_text()).render(variables)
        (tmp_path / f"{name}.yml").write_text(text)
    options = ["play.yml", "-i", "pi1.yml", "-i", "pi9.yml"]
    said = ansible.run("ansible-playbook", *options, cwd=tmp_path).stdout
    assert "pi1: bookworm" in said
    assert "pi9: bullseye" in said


ECHO = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
options = {name: {} for name in ("protocol", "jobs", "leased", "revoke", "now")}
module = AnsibleModule(argument_spec=options)
report = {"queued": [], "running": [], "done": [], "service": module.params["now"]}
report["protocol"] = int(module.params["protocol"])
module.exit_json(report=report, left_out=[])
"""


def test_a_builder_is_told_the_time_at_which_it_is_talked_to(tmp_path: Path) -> None:
    exchange = yaml.safe_load((ROOT / "playbooks/round.yml").read_text())[1]
    kept = {"ansible.builtin.copy": {"content": "{{ round_exchange }}", "dest": "said.json"}}
    plays = [
        exchange | {"hosts": "all"},
        {"hosts": "all", "gather_facts": False, "tasks": [kept]},
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    (tmp_path / "library").mkdir()
    (tmp_path / "library/spool_exchange.py").write_text(ECHO)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "round_handout": {"protocol": VERSION, "jobs": [], "leased": [], "revoke": []},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"pi1": variables}}}))
    before = datetime.now(UTC).replace(microsecond=0)
    # The master's own time zone doesn't matter.
    environment = {"PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"}
    options = ["play.yml", "-i", "hosts.yml"]
    ansible.run("ansible-playbook", *options, cwd=tmp_path, **environment).check_returncode()
    now = json.loads((tmp_path / "said.json").read_text())["report"]["service"]
    there = datetime.fromisoformat(now)
    assert before <= there <= datetime.now(UTC)
    assert wrong_clock(now, there) is None


def test_of_what_rsync_prints_the_round_keeps_a_line(tmp_path: Path) -> None:
    rsync = tmp_path / "rsync"
    rsync.write_text("#!/bin/sh\nyes 'words of a Pi' | head -c 100000 >&2\nexit 12\n")
    rsync.chmod(0o755)
    (*_, collect, _record, _publish, _end) = yaml.safe_load(
        (ROOT / "playbooks/round.yml").read_text()
    )
    kept = {
        "ansible.builtin.assert": {
            "that": [
                "round_collect.results[0].failed",
                "round_collect.results[0].msg | length < 1000",
                "round_collect.results[0].rc == 12",
            ]
        }
    }
    plays = [
        collect | {"hosts": "all"},
        {"hosts": "all", "gather_facts": False, "tasks": [kept]},
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_rsync_path": str(rsync),
        "farm_state_dir": str(tmp_path),
        "farm_wheel_max_bytes": 1,
        "round_exchange": {"report": {"done": ["a-1-1"]}},
        "round_handout": {"leased": ["a-1-1"], "revoke": []},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"pi1": variables}}}))
    done = ansible.run("ansible-playbook", "play.yml", "-i", "hosts.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout) < 10_000


STUBS = {
    "queue_claim": """
handout = {"protocol": 3, "jobs": [], "revoke": []}
leases = json.loads(pathlib.Path("leases.json").read_text())
handouts = [handout | {"builder": name, "leased": keys} for name, keys in leases.items()]
said = {"handouts": handouts, "stale": True}
""",
    "spool_exchange": """
said = {"report": {"done": ["a-1-1"]}} if given["leased"] else {"failed": True}
""",
    "wheel_collect": "said = {}",
    "result_record": """
pathlib.Path("recorded.json").write_text(json.dumps(given["exchanges"]))
said = {"failed": pathlib.Path("broken").exists(), "msg": "no database"}
""",
}
STUB = """#!/usr/bin/python
import json, pathlib
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({{option: {{"type": "raw"}} for option in {options!r}}})
given = module.params
{body}
(module.fail_json if said.pop("failed", False) else module.exit_json)(**{{"msg": "", **said}})
"""


def run_round(
    tmp_path: Path, leases: dict[str, list[str]]
) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the whole round with stand-ins for its modules; return what it printed and recorded."""
    plays = yaml.safe_load((ROOT / "playbooks/round.yml").read_text())
    tasks = [task for play in plays for task in play["tasks"]]
    (tmp_path / "library").mkdir()
    for name, body in STUBS.items():
        (options,) = [[*task[name]] for task in tasks if name in task]
        (tmp_path / f"library/{name}.py").write_text(STUB.format(options=options, body=body))
    (tmp_path / "roles/publish/tasks").mkdir(parents=True)
    touch = [{"ansible.builtin.copy": {"content": "", "dest": f"{tmp_path}/published"}}]
    (tmp_path / "roles/publish/tasks/main.yml").write_text(yaml.safe_dump(touch))
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    (tmp_path / "leases.json").write_text(json.dumps(leases))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    # A port at which nobody answers.
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    builders = {"pi1": local, "pi2": local, "pi3": {**local, **away}}
    farm = {
        "farm_master": "localhost",
        "farm_state_dir": str(tmp_path),
        "farm_wheel_max_bytes": 1,
        "release": {"name": "sid"},
    }
    groups = {
        "master": {"hosts": {"localhost": local}},
        "web": {"hosts": {"www": local}},
        "builders": {"hosts": builders},
        "contacted": {},
        "finished": {},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": farm, "children": groups}}))
    done = ansible.run("ansible-playbook", "play.yml", "-i", "hosts.yml", cwd=tmp_path, **JOURNAL)
    return done, json.loads((tmp_path / "recorded.json").read_text())


@pytest.mark.parametrize("broken", [False, True])
def test_one_builder_holds_up_nobody_and_a_round_that_cant_record_publishes_and_fails(
    tmp_path: Path, broken: bool
) -> None:
    if broken:
        (tmp_path / "broken").touch()
    done, exchanges = run_round(tmp_path, {"pi1": ["a-1-1"], "pi2": [], "pi3": []})
    assert exchanges == {
        "pi1": {"report": {"done": ["a-1-1"]}, "collected": ["a-1-1"], "handed": []},
        "pi2": {"report": None, "collected": [], "handed": []},
        "pi3": {"report": None, "collected": [], "handed": []},
    }
    assert (tmp_path / "published").exists()
    assert "pi3 doesn't answer: " in done.stdout
    assert "pi2: Hand over jobs, and ask what is finished: " in done.stdout
    assert (done.returncode != 0) == broken
    assert ("Not all that came back is recorded" in done.stdout) == broken


@pytest.mark.parametrize("leases", [{}, {"pi2": [], "pi3": []}])
def test_a_round_in_which_no_builder_answers_is_recorded_published_and_well(
    tmp_path: Path, leases: dict[str, list[str]]
) -> None:
    done, exchanges = run_round(tmp_path, leases)
    assert exchanges == {name: {"report": None, "collected": [], "handed": []} for name in leases}
    assert (tmp_path / "published").exists()
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(leases)
    assert not done.stderr


def test_the_groups_that_a_round_fills_are_there_from_the_start() -> None:
    # Else each round would warn of hosts that it can't match.
    farm = ROOT / "roles/master/templates/etc/wheelyard/inventory/farm.yml.j2"
    for play in yaml.safe_load((ROOT / "playbooks/round.yml").read_text()):
        assert re.search(rf"^    {play['hosts']}:$", farm.read_text(), re.MULTILINE)
