"""playbooks/secrets.yml makes what is missing, and changes nothing that is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import ansible

PASSWORDS = {"db_owner", "db_sync", "db_queue", "db_site", "db_readonly"}


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(
        "master: {hosts: {boss: {farm_secrets_dir: '{{ inventory_dir }}/secrets'}}}\n"
    )
    return tmp_path


def make(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ["-i", str(inventory), "playbooks/secrets.yml", "--diff", *arguments]
    return ansible.run("ansible-playbook", *options)


def read(inventory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (inventory / "secrets").iterdir()}


def test_check_mode_makes_nothing(inventory: Path) -> None:
    result = make(inventory, "--check")
    assert result.returncode == 0, result.stdout
    assert not (inventory / "secrets").exists()


def test_secrets_are_made_once(inventory: Path) -> None:
    first = make(inventory)
    assert first.returncode == 0, first.stdout
    made = read(inventory)
    assert set(made) == PASSWORDS | {"ca.key", "ca.crt"}
    assert len({made[name] for name in PASSWORDS}) == len(PASSWORDS)
    assert (inventory / "secrets").stat().st_mode & 0o777 == 0o700
    for name in PASSWORDS | {"ca.key"}:
        assert (inventory / "secrets" / name).stat().st_mode & 0o777 == 0o600
        assert made[name].strip() not in first.stdout

    (inventory / "secrets" / "db_queue").unlink()
    again = make(inventory)
    assert "changed=1 " in again.stdout
    assert "changed: [boss] => (item=db_queue)" in again.stdout
    now = read(inventory)
    assert now.pop("db_queue") != made.pop("db_queue")
    assert now == made


def test_a_ca_that_lost_its_key_is_not_replaced(inventory: Path) -> None:
    (inventory / "secrets").mkdir()
    (inventory / "secrets" / "ca.crt").write_text("certificate")
    result = make(inventory)
    assert result.returncode != 0
    assert "ca.key is missing, and ca.crt is there: restore the key" in " ".join(
        result.stdout.split()
    )
    assert "ca.key" not in read(inventory)
