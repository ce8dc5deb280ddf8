"""The module changes once, predicts without ordering, and shows both sides and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.control_module import CONTROL_CODE
from ansible.module_utils.testing import patch_module_args

from library import mythic_pi
from tests.support.mythic_beasts import KEY, SECRETS, Cloud

NAME = "farm-stretch-1"


class Account:
    """The stand-in, asked through the module."""

    def __init__(self, cloud: Cloud, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.cloud = cloud
        self.folder = folder
        self.capsys = capsys

    def run(self, *without: str, **arguments: Any) -> dict[str, Any]:
        """Call the module to its real end and return its answer, which has no secret in it."""
        values = {
            "provider": self.cloud.options(self.folder),
            "name": NAME,
            "model": 4,
            "memory": 4096,
            "image": "rpi-bookworm-armhf",
            "ssh_key": "ssh-ed25519 AAAA",
            "known_hosts": str(self.folder / "known_hosts"),
            "_ansible_diff": True,
            **arguments,
        }
        for name in without:
            del values[name]
        with patch_module_args(values), pytest.raises(SystemExit):
            mythic_pi.main()
        said = self.capsys.readouterr()
        for secret in SECRETS | self.cloud.tokens:
            assert secret not in said.out + said.err
        answer: dict[str, Any] = json.loads(said.out)
        return answer


@pytest.fixture
def account(cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Account:
    return Account(cloud, tmp_path, capsys)


def test_check_mode_predicts_what_is_then_done_once(account: Account) -> None:
    predicted = account.run(_ansible_check_mode=True)
    assert predicted["changed"] is True
    assert account.cloud.orders == []
    done = account.run()
    assert (done["changed"], done["diff"]) == (True, predicted["diff"])
    assert done["diff"] == {
        "before": {},
        "after": {"model": 4, "memory": 4096, "disk": 10, "image": "rpi-bookworm-armhf"},
    }
    assert done["pi"]["address"] == "2001:db8::1:1"
    again = account.run()
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"]


def test_a_pi_is_given_back_once(account: Account) -> None:
    account.cloud.pi(NAME)
    done = account.run(state="absent")
    assert done["diff"] == {"before": {"model": 4, "memory": 4096}, "after": {}}
    assert done["pi"] is None
    assert account.run(state="absent")["changed"] is False


def test_what_the_provider_refuses_ends_the_module_with_a_sentence(account: Account) -> None:
    account.cloud.sold_out = True
    answer = account.run()
    assert answer["failed"] is True
    assert "no Pi 4 with 4096 MB is in stock" in answer["msg"]


def test_a_wrong_key_is_in_no_answer(account: Account) -> None:
    account.cloud.answers["POST /login"] = (401, "no such key: {authorization}, " + KEY[1])
    answer = account.run()
    assert "doesn't accept the API key in" in answer["msg"]
    assert "exception" not in answer


def test_a_pi_is_not_rented_without_its_kind(account: Account) -> None:
    answer = account.run("model")
    assert "state is present but all of the following are missing: model" in answer["msg"]


def test_a_python_without_the_code_is_named(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONTROL_CODE, "missing", ImportError("No module named 'requests'"))
    said = account.run()["msg"]
    assert said.startswith("this is not the Python of the checkout (No module named 'requests')")
    assert "run make venv" in said
