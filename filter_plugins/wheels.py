"""Filters for names as PyPI has them, and for durations.

{{ 'Foo_Bar' | normalised_name }}                                foo-bar
{{ 'lzo-1.15-cp311-cp311-linux_armv7l.whl' | wheel_name }}       {'project': 'lzo', …}
{{ 200 | duration }}                                             3 min 20 s
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from packaging.utils import (
    InvalidName,
    InvalidWheelFilename,
    canonicalize_name,
    parse_wheel_filename,
)

_UNITS_S = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def normalised_name(name: object) -> str:
    """A project's name as PEP 503 normalises it. Raises AnsibleFilterError for what is no name."""
    try:
        return str(canonicalize_name(str(name), validate=True))
    except InvalidName as error:
        raise AnsibleFilterError(
            f"{name!r} is no project's name: it may have letters, digits, '.', '-' and '_',"
            f" and must begin and end with a letter or digit"
        ) from error


def wheel_name(filename: object) -> dict[str, Any]:
    """The parts of a wheel's file name (PEP 427): project, version, build and tags.

    build is "" for a wheel without a build tag; tags are texts like cp311-cp311-linux_armv7l.
    Raises AnsibleFilterError.
    """
    try:
        project, version, build, tags = parse_wheel_filename(str(filename))
    except InvalidWheelFilename as error:
        raise AnsibleFilterError(f"{filename!r} is no wheel's file name: {error}") from error
    return {
        "project": str(project),
        "version": str(version),
        "build": "".join(str(part) for part in build),
        "tags": sorted(str(tag) for tag in tags),
    }


def duration(seconds: object) -> str:
    """Seconds for people, in the two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`.

    The control node's twin of master.report.duration. Raises AnsibleFilterError.
    """
    try:
        left = max(0, round(float(str(seconds))))
    except (ValueError, OverflowError) as error:
        raise AnsibleFilterError(f"{seconds!r} is no number of seconds") from error
    if left >= 3_600:
        left = round(left / 60) * 60
    parts = []
    for unit, size_s in _UNITS_S:
        count, left = divmod(left, size_s)
        parts.append((count, unit))
    while parts and not parts[0][0]:
        del parts[0]
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "normalised_name": normalised_name,
            "wheel_name": wheel_name,
            "duration": duration,
        }
