"""Hosts trust what this machine trusts beyond Debian's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import certificates

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = certificates.to_pem("A" * 100)
OWN = certificates.to_pem("B" * 130)


def test_only_what_debian_does_not_ship_is_added(tmp_path: Path) -> None:
    shipped = tmp_path / "ca-certificates/mozilla"
    shipped.mkdir(parents=True)
    (shipped / "a.crt").write_text(SHIPPED)
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(f"# A comment\n{SHIPPED}{OWN}")
    assert certificates.added(bundle, tmp_path / "ca-certificates") == [OWN]


def test_a_machine_without_a_bundle_adds_nothing(tmp_path: Path) -> None:
    assert certificates.added(tmp_path / "none.crt", tmp_path) == []


def test_pem_has_lines_of_64() -> None:
    assert max(len(line) for line in OWN.splitlines()) == 64
    assert certificates.certificates(OWN) == ["B" * 130]
