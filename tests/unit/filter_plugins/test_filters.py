"""The filters of names and durations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from filter_plugins import wheels
from master.status import render


@pytest.mark.parametrize(
    ("name", "normalised"),
    [("Foo_Bar", "foo-bar"), ("a.-_b", "a-b"), ("spidev", "spidev"), ("A", "a")],
)
def test_a_name_is_normalised(name: str, normalised: str) -> None:
    assert wheels.normalised_name(name) == normalised


@pytest.mark.parametrize("name", ["", "-a", "a/b", "../a", "a b", "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match="is no project's name"):
        wheels.normalised_name(name)


def test_a_wheel_name_has_its_parts() -> None:
    assert wheels.wheel_name("Foo_bar-1.0.0-2a-cp311-cp311-linux_armv6l.linux_armv7l.whl") == {
        "project": "foo-bar",
        "version": "1.0.0",
        "build": "2a",
        "tags": ["cp311-cp311-linux_armv6l", "cp311-cp311-linux_armv7l"],
    }
    assert wheels.wheel_name("six-1.17.0-py2.py3-none-any.whl")["build"] == ""


@pytest.mark.parametrize("filename", ["six-1.17.0.tar.gz", "six.whl", "../six-1-py3-none-any.whl"])
def test_what_is_no_wheel_name_is_refused(filename: str) -> None:
    with pytest.raises(AnsibleFilterError, match="is no wheel's file name"):
        wheels.wheel_name(filename)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        ("45.4", "45 s"),
        (200, "3 min 20 s"),
        (180, "3 min"),
        (3_629, "1 h"),
        (7_500, "2 h 5 min"),
        (90_061, "1 d 1 h"),
        (-1, "0 s"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: object, text: str) -> None:
    assert wheels.duration(seconds) == text


def test_filter_and_report_say_the_same() -> None:
    for seconds in [*range(0, 10_000, 7), 86_399, 86_400, 86_460, 90_000, 172_800, 1e6]:
        assert wheels.duration(seconds) == render.duration(seconds), seconds


@pytest.mark.parametrize("value", ["soon", None, "nan", "inf"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(AnsibleFilterError, match="is no number of seconds"):
        wheels.duration(value)


def test_ansible_finds_the_filters() -> None:
    assert set(wheels.FilterModule().filters()) == {"normalised_name", "wheel_name", "duration"}


def test_a_playbook_can_use_them(tmp_path: Path) -> None:
    """Ansible hands filters its own kinds of text and number, and takes back what it can show."""
    play = tmp_path / "play.yml"
    play.write_text(
        """
- hosts: localhost
  gather_facts: false
  vars:
    name: Foo_Bar
    wheel: foo_bar-1.0-1-py3-none-any.whl
    parts: "{{ wheel | wheel_name }}"
  tasks:
    - ansible.builtin.assert:
        that:
          - name | normalised_name == 'foo-bar'
          - parts.project == 'foo-bar'
          - parts.tags == ['py3-none-any']
          - (100 + 100) | duration == '3 min 20 s'
    - ansible.builtin.debug:
        msg: "{{ 'a/b' | normalised_name }}"
      failed_when: false
"""
    )
    done = subprocess.run(
        ["ansible-playbook", "--inventory", "localhost,", "--connection", "local", str(play)],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                          "ANSIBLE_FILTER_PLUGINS": "filter_plugins"},
    )  # fmt: skip
    assert "All assertions passed" in done.stdout, done.stdout + done.stderr
    assert "is no project's name" in done.stdout + done.stderr
