"""A change that breaks Pis doesn't reach the whole fleet, and a Pi's own trouble is its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support import ansible
from tests.support.ansible import ROOT

PIS = [f"pi{number}" for number in range(1, 10)]
Provision = Callable[..., set[str]]


@pytest.fixture
def provision(tmp_path: Path) -> Provision:
    """Run a play in the batches of builders.yml; return the Pis that it has provisioned."""
    (real,) = yaml.safe_load((ROOT / "playbooks/site/builders.yml").read_text())
    batches = {key: real[key] for key in ("serial", "max_fail_percentage")}
    play = {"hosts": "all", "gather_facts": False}
    ping = {"ansible.builtin.ping": None, "when": "inventory_hostname in off"}
    work = {"ansible.builtin.assert": {"that": "inventory_hostname not in broken"}}
    done = {"ansible.builtin.debug": {"msg": "done"}}
    plays = [{**play, "tasks": [ping]}, {**play, **batches, "tasks": [work, done]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    # A port at which nobody answers.
    nobody = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory = {"all": {"hosts": dict.fromkeys(PIS, nobody)}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def run(*arguments: str, off: str = "", broken: str = "") -> set[str]:
        variables = yaml.safe_dump({"off": off.split(), "broken": broken.split()})
        (tmp_path / "variables.yml").write_text(variables)
        options = ["-i", "hosts.yml", "-e", "@variables.yml", "play.yml", *arguments]
        result = ansible.run("ansible-playbook", *options, cwd=tmp_path, ANSIBLE_SSH_RETRIES="0")
        return set(re.findall(r"^(pi\d) +: ok=2 ", result.stdout, re.MULTILINE))

    return run


def test_all_pis_are_provisioned(provision: Provision) -> None:
    assert provision() == set(PIS)


def test_a_pi_may_be_provisioned_alone(provision: Provision) -> None:
    assert provision("-l", "pi7") == {"pi7"}


def test_a_change_that_breaks_a_pi_ends_with_the_first_one(provision: Provision) -> None:
    assert provision(broken="pi1") == set()


def test_a_change_that_breaks_most_pis_ends_before_the_whole_fleet(provision: Provision) -> None:
    assert provision(broken="pi2 pi4 pi6") == {"pi1"}


def test_a_pis_own_trouble_holds_up_no_other(provision: Provision) -> None:
    assert provision(broken="pi3 pi8") == set(PIS) - {"pi3", "pi8"}


def test_a_pi_that_is_off_holds_up_no_other(provision: Provision) -> None:
    assert provision(off="pi1 pi9") == set(PIS) - {"pi1", "pi9"}
