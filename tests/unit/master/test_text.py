"""Durations, columns and strangers' words, as people read them."""

from __future__ import annotations

import pytest

from master import text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 3600 * 4 + 120, "3 d 4 h"),
        (86400, "1 d"),
        (86400 + 60, "1 d"),
        (-3, "0 s"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


def test_text_of_strangers_is_one_printable_line() -> None:
    assert text.one_line("a\x1b[31m\n\tb\x9b c") == "a [31m b c"
    assert len(text.one_line("x" * 1000, 200)) == 200


def test_columns_are_aligned() -> None:
    assert text.table([("target", "built"), ("trixie", "7")], right=[1]) == [
        "target  built",
        "trixie      7",
    ]
