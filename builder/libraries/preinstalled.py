"""Which packages every installation of a release has, by dpkg's database in its tree.

Nothing in the tree is run: it may be of another architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

# What debootstrap(8) installs by default, too (Debian Policy, 2.5). Nobody must have the standard
# ones.
_PRIORITIES = ("required", "important")
_END_OF_NAME = re.compile(r"[ (:]")

Fields = Mapping[str, str]


def packages(root: Path) -> set[str]:
    """Return the packages of the tree at `root` that every installation of its release has.

    They are the essential and important ones, Python, and what these depend on: not what only the
    packages for builds have brought.
    """
    status = root / "var/lib/dpkg/status"
    installed = _installed(status.read_text(encoding="utf-8", errors="replace"))
    providers: dict[str, list[str]] = {}
    for name, fields in installed.items():
        for (virtual,) in _dependencies(fields, "Provides"):
            providers.setdefault(virtual, []).append(name)
    found: set[str] = set()
    left = [name for name, fields in installed.items() if _is_basic(name, fields)]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for alternatives in _dependencies(installed[name], "Pre-Depends", "Depends"):
            left += _serving(alternatives, installed, providers)
    return found


def _installed(status: str) -> dict[str, Fields]:
    """Return the fields of each package whose files are there (deb822(5))."""
    stanzas = (
        dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        for stanza in status.split("\n\n")
    )
    return {
        fields["Package"]: fields
        for fields in stanzas
        if fields.get("Status", "").endswith(" installed")
    }


def _is_basic(name: str, fields: Fields) -> bool:
    return (
        name == "python3"
        or fields.get("Essential") == "yes"
        or fields.get("Priority") in _PRIORITIES
    )


def _dependencies(fields: Fields, *relations: str) -> Iterator[list[str]]:
    """Yield the alternatives of each dependency, without versions and architectures."""
    for relation in relations:
        for dependency in filter(None, fields.get(relation, "").split(",")):
            yield [
                _END_OF_NAME.split(alternative.strip(), maxsplit=1)[0]
                for alternative in dependency.split("|")
            ]


def _serving(
    alternatives: list[str], installed: Mapping[str, Fields], providers: Mapping[str, list[str]]
) -> list[str]:
    """Return the package that the first installed alternative means.

    Of a virtual package that several provide, any may have been brought by packages for builds.
    """
    for name in alternatives:
        if name in installed:
            return [name]
        if name in providers:
            return providers[name] if len(providers[name]) == 1 else []
    return []
