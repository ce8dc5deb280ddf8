"""Words for people: durations, counts and columns, and what strangers say in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def one_line(words: object, longest: int = 500) -> str:
    """Return what may be a stranger's words as one printable line, empty for all but text."""
    text = words if isinstance(words, str) else ""
    # No more of it than shows: it can be as long as strangers like.
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * longest])
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    left = max(0, round(seconds))
    if left >= 60 * 60:
        left = round(left / 60) * 60
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {name}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def clock(when: datetime) -> str:
    """Return `2026-11-21 08:00 UTC`."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def count(number: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Return rows with their columns aligned; those whose number is in right, to the right."""
    numbers = set(right)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def indent(lines: Iterable[str]) -> list[str]:
    """Return the lines, two columns to the right."""
    return [f"  {line}" for line in lines]
