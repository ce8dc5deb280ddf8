"""A Pi is brought to what is wanted, once; what the provider answers instead is told in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from control import host_key, pis
from control.pis import Kind, Outcome, Wanted
from control.provider import Provider, ProviderError, Settings
from tests.support.mythic_beasts import KEY, Cloud

Bring = Callable[..., Outcome]
NAME = "farm-stretch-1"
SERVER = f"/beta/pi/servers/{NAME}"


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "ssh/known_hosts"


@pytest.fixture
def bring(account: Provider, known_hosts: Path) -> Bring:
    """Bring the Pi to a state, with other facts of what is wanted than the usual ones."""
    usual = Wanted(
        name=NAME,
        state="present",
        kind=Kind(4, 4096, 10, "rpi-bookworm-armhf"),
        ssh_key="ssh-ed25519 AAAA",
        known_hosts=known_hosts,
        timeout_s=5,
        check_mode=False,
    )

    def run(state: str = "present", **facts: Any) -> Outcome:
        return pis.bring(account, replace(usual, state=state, **facts))

    return run


def key_of(cloud: Cloud) -> str:
    return f"{cloud.host_key.get_name()} {cloud.host_key.get_base64()}"


def test_a_pi_is_rented_once_and_waited_for(cloud: Cloud, bring: Bring) -> None:
    cloud.steps = 3
    first = bring()
    assert first.changed
    assert first.before == {}
    assert first.pi
    assert first.pi.address == "2001:db8::1:1"
    assert first.pi.is_up
    assert cloud.orders == [
        {
            "name": NAME,
            "model": 4,
            "memory": 4096,
            "disk": 10,
            "os_image": "rpi-bookworm-armhf",
            "ssh_key": "ssh-ed25519 AAAA",
        }
    ]
    again = bring()
    assert not again.changed
    assert again.before == again.after
    assert len(cloud.orders) == 1


def test_a_pi_whose_renting_was_cut_off_is_waited_for(cloud: Cloud, bring: Bring) -> None:
    cloud.pi(NAME, polls=4, boots=2)
    outcome = bring()
    assert outcome.pi
    assert outcome.pi.is_up
    assert cloud.orders == []


def test_check_mode_orders_nothing(cloud: Cloud, bring: Bring) -> None:
    outcome = bring(check_mode=True)
    assert outcome.changed
    assert outcome.after["memory"] == 4096
    cloud.pi(NAME)
    assert bring("absent", check_mode=True).changed
    assert bring("powered_off", check_mode=True).changed
    assert bring("rebooted", check_mode=True).changed
    assert not [call for call in cloud.calls if not call.startswith("GET") and "login" not in call]


def test_a_host_key_is_learned_once_for_both_ways(
    cloud: Cloud, bring: Bring, known_hosts: Path
) -> None:
    bring()
    line = f"2001:db8::1:1,[127.0.0.1]:{cloud.ssh_port} {key_of(cloud)}\n"
    assert known_hosts.read_text() == line
    assert known_hosts.stat().st_mode & 0o777 == 0o600
    bring()
    assert known_hosts.read_text() == line


def test_a_host_key_that_has_changed_is_not_believed(
    cloud: Cloud, bring: Bring, known_hosts: Path
) -> None:
    bring()
    before = known_hosts.read_text()
    cloud.host_key = paramiko.ECDSAKey.generate()
    with pytest.raises(ProviderError, match=r"its host key is not the one in .*ssh-keygen -R"):
        bring()
    assert known_hosts.read_text() == before


@pytest.mark.parametrize("hashed", [False, True])
def test_the_old_key_of_a_pi_that_is_made_anew_is_dropped(
    cloud: Cloud, bring: Bring, known_hosts: Path, *, hashed: bool
) -> None:
    bring()
    old = key_of(cloud)
    others = "# mine\n@cert-authority *.example ssh-ed25519 AAAA\nother.example ssh-ed25519 AAAA\n"
    name = "2001:db8::1:1"
    mine = paramiko.hostkeys.HostKeys.hash_host(name) if hashed else name
    known_hosts.write_text(f"{others}{mine} {old}\n")
    # Given back elsewhere: nobody has taken the old key out.
    del cloud.pis[NAME]
    cloud.host_key = paramiko.ECDSAKey.generate()
    bring()
    assert old not in known_hosts.read_text()
    assert known_hosts.read_text().startswith(others)
    assert key_of(cloud) in known_hosts.read_text()


def test_a_pi_is_given_back_once_with_its_key(
    cloud: Cloud, bring: Bring, known_hosts: Path
) -> None:
    bring()
    cloud.pi("somebody-elses")
    assert bring("absent").changed
    assert list(cloud.pis) == ["somebody-elses"]
    assert known_hosts.read_text() == ""
    assert not bring("absent").changed


def test_a_pi_is_powered_as_wanted(cloud: Cloud, bring: Bring) -> None:
    cloud.steps = 2
    cloud.pi(NAME)
    off = bring("powered_off")
    assert (off.changed, off.before, off.after) == (True, {"power": True}, {"power": False})
    assert cloud.pis[NAME]["power"] is False
    assert not bring("powered_off").changed
    # It is there, whether on or off.
    assert not bring("present").changed
    assert bring("powered_on").changed
    assert not bring("powered_on").changed


def test_a_pi_is_rebooted_and_waited_for(cloud: Cloud, bring: Bring) -> None:
    cloud.steps = 2
    cloud.pi(NAME)
    outcome = bring("rebooted")
    assert outcome.changed
    assert outcome.pi
    assert outcome.pi.is_up
    assert f"POST {SERVER}/reboot" in cloud.calls


def test_a_pi_that_is_rebooting_goes_on(cloud: Cloud, bring: Bring) -> None:
    cloud.pi(NAME)
    cloud.answers[f"POST {SERVER}/reboot"] = (409, "Already rebooting")
    assert bring("rebooted").changed


def test_a_pi_of_another_kind_is_not_taken_for_the_wanted_one(cloud: Cloud, bring: Bring) -> None:
    cloud.pi(NAME, model=3, memory=1024)
    with pytest.raises(ProviderError, match=r"is a Pi 3 with 1024 MB, .*Give it back"):
        bring()


@pytest.mark.parametrize("state", ["powered_on", "powered_off", "rebooted"])
def test_a_pi_that_is_not_there_is_named(bring: Bring, state: str) -> None:
    with pytest.raises(ProviderError, match=f"the Pi {NAME}: it is not in this account. Rent it"):
        bring(state)


def test_a_pi_that_never_gets_ready_is_named(cloud: Cloud, bring: Bring) -> None:
    cloud.pi(NAME, boots=10**6)
    with pytest.raises(ProviderError, match=r"not up after 0 s. It may yet come: run it again"):
        bring(timeout_s=0)


def test_an_ssh_that_does_not_answer_is_named(
    cloud: Cloud, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.pi(NAME, ssh_port=1)
    with pytest.raises(ProviderError, match=r"ssh doesn't answer at port 1 .*via: relay"):
        bring(timeout_s=0)


@pytest.mark.parametrize("name", ["ab", "a" * 21, "Farm-1", "farm_1"])
def test_a_name_that_the_provider_does_not_take_is_refused(
    cloud: Cloud, bring: Bring, name: str
) -> None:
    with pytest.raises(ProviderError, match=f"{name} is not a valid name of a rented Pi: use 3 to"):
        bring(name=name, check_mode=True)


def test_an_image_that_there_is_not_is_named_with_those_that_there_are(bring: Bring) -> None:
    with pytest.raises(ProviderError, match=r"no image raspbian-stretch .* rpi-bookworm-armhf"):
        bring(kind=Kind(4, 4096, 10, "raspbian-stretch"))


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (
            "POST",
            (400, "disk must be a multiple of 10"),
            r"doesn't accept what is asked .*inventory",
        ),
        ("POST", (401, "Invalid token"), "doesn't accept the API key in .*ID:SECRET"),
        ("POST", (403, "No"), "not authorised, or there is no such thing .*Raspberry Pi provisi"),
        ("POST", (503, "None"), "no Pi 4 with 4096 MB is in stock. Run it again later, or ask for"),
        ("POST", (500, "Oops"), "the provider failed at it. Run it again later"),
        ("POST", (418, "Tea"), "the provider answers 418: run it again later"),
    ],
)
def test_a_code_of_the_provider_is_a_sentence(
    cloud: Cloud, bring: Bring, call: str, answer: tuple[int, str], says: str
) -> None:
    cloud.answers[f"{call} {SERVER}"] = answer
    with pytest.raises(ProviderError, match=f"^the Pi {NAME}: .*{says}") as caught:
        bring()
    assert f'(it says "{answer[1]}")' in str(caught.value)


def test_a_name_that_is_taken_is_told_from_one_that_is_being_provisioned(
    cloud: Cloud, bring: Bring
) -> None:
    cloud.taken.add(NAME)
    with pytest.raises(ProviderError, match=r"the name is taken, .*or another prefix"):
        bring()
    cloud.taken.clear()
    cloud.pi(NAME)
    cloud.answers[f"DELETE {SERVER}"] = (409, "Not fully provisioned")
    with pytest.raises(ProviderError, match=r"still being provisioned. Run it again in some min"):
        bring("absent")


def test_sold_out_and_failed_are_sentences(cloud: Cloud, bring: Bring) -> None:
    cloud.sold_out = True
    with pytest.raises(ProviderError, match=r"is in stock"):
        bring()
    cloud.sold_out, cloud.fails = False, True
    with pytest.raises(ProviderError, match=r"has failed to provision it"):
        bring()


def test_a_token_that_has_expired_is_renewed(cloud: Cloud, bring: Bring) -> None:
    cloud.pi(NAME)
    bring()
    cloud.tokens.clear()
    assert not bring().changed
    assert cloud.logins == 2


def test_a_wrong_key_is_named_by_its_file(cloud: Cloud, tmp_path: Path) -> None:
    options = cloud.options(tmp_path)
    Path(options["key_file"]).write_text("key-id:wrong-secret\n")
    with (
        Provider(Settings(**options)) as account,
        pytest.raises(ProviderError, match=r"the API key: .*mythic_beasts.*Invalid credentials"),
    ):
        pis.servers(account)


@pytest.mark.parametrize("content", [None, "", "id", ":secret"])
def test_a_key_file_that_has_no_key_is_named(
    cloud: Cloud, tmp_path: Path, content: str | None
) -> None:
    options = cloud.options(tmp_path)
    path = Path(options["key_file"])
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ProviderError, match=r"mythic_beasts .*write it .*as ID:SECRET") as caught:
        Provider(Settings(**options))
    assert "secret" not in str(caught.value).replace("ID:SECRET", "")


def test_an_api_that_can_not_be_reached_is_named(cloud: Cloud, tmp_path: Path) -> None:
    options = cloud.options(tmp_path) | {"auth_url": "http://127.0.0.1:1/login"}
    with (
        Provider(Settings(**options)) as account,
        pytest.raises(ProviderError, match=r"127.0.0.1:1/login can't be reached .*curl -I"),
    ):
        pis.servers(account)


def test_no_secret_is_in_an_error_though_the_provider_repeats_it(
    cloud: Cloud, bring: Bring
) -> None:
    cloud.answers[f"POST {SERVER}"] = (400, "you sent {authorization} and " + KEY[1])
    with pytest.raises(ProviderError) as caught:
        bring()
    assert "you sent Bearer … and …" in str(caught.value)


def test_a_known_hosts_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("gone ssh-ed25519 AAAA\n")
    link.symlink_to(real)
    host_key.forget(link, {"gone"})
    assert link.is_symlink()
    assert real.read_text() == ""
