"""A key has one spelling and one pattern, and leads nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol import MessageError, key
from protocol.key import Key

POLKIT = (
    Path(__file__).parents[3] / "roles/builder/templates/etc/polkit-1/rules.d/50-wheelyard.rules.j2"
)


def test_a_key_is_read_back_and_nothing_else_is_a_key() -> None:
    one = Key("bookworm", 12, 3)
    assert str(one) == "bookworm-12-3"
    assert key.parse("bookworm-12-3") == one
    for wrong in ("bookworm-12", "bookworm-00-1", "bookworm-1-01", "../x-1-1", "a-1-1\n", None, 7):
        assert key.parse(wrong) is None


def test_a_text_that_is_not_a_key_is_named() -> None:
    assert key.check("bookworm-12-1") == "bookworm-12-1"
    with pytest.raises(MessageError, match=r"'\.\./x' is not a valid job key"):
        key.check("../x")
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MessageError, match="a list is not a valid job key"):
        key.read(deep)


def test_polkit_lets_the_builder_start_units_of_keys_and_of_nothing_else() -> None:
    assert f"/^wheel-(root|build)@{key.PATTERN}\\.service$/.test(" in POLKIT.read_text()
