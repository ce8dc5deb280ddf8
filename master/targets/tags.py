"""Targets, and which wheels serve them (PEP 425)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags

ANY = "any"
ARMV6 = "linux_armv6l"
OF_64BIT_KERNEL = frozenset({"linux_armv8l", "linux_aarch64"})
"""What build backends may take for the platform of a 32-bit Python on a 64-bit kernel."""


@dataclass(frozen=True)
class Target:
    """What a wheel is built for, named after its release."""

    target_id: int
    name: str
    python_version: str
    interpreter_tag: str
    abi_tag: str
    platform_tag: str
    armv6: bool
    """Its compiler makes ARMv6 code, so that what it builds can run on every Pi."""

    @property
    def python(self) -> tuple[int, int]:
        major, minor = self.python_version.split(".")
        return int(major), int(minor)

    @property
    def is_64bit(self) -> bool:
        return self.platform_tag == "linux_aarch64"

    @property
    def platforms(self) -> list[str]:
        """Most specific first. Raspbian's armv7l hosts also run what is built for ARMv6."""
        also = [ARMV6] if self.platform_tag == "linux_armv7l" else []
        return [self.platform_tag, *also]

    def tags(self) -> frozenset[Tag]:
        """Yield every tag of a wheel that the target's own pip would install, but manylinux."""
        return frozenset(
            [
                *cpython_tags(self.python, abis=[self.abi_tag], platforms=self.platforms),
                *compatible_tags(self.python, self.interpreter_tag, self.platforms),
            ]
        )


def serves(tags: Iterable[Tag], target: Target) -> bool:
    """Return whether the target's pip would install a wheel with these tags."""
    return not target.tags().isdisjoint(tags)


def is_pure(tags: Iterable[Tag]) -> bool:
    """Return whether a wheel with these tags says that it serves every platform."""
    return all(tag.abi == "none" and tag.platform == ANY for tag in tags)


def runs_on(requires_python: str | None, target: Target) -> bool:
    """Return whether Requires-Python (PEP 345) admits the target's Python.

    Compared with the newest patch release there could be, as only the minor version is known.
    What can't be parsed or compared excludes nothing, which is pip's rule.
    """
    if not requires_python:
        return True
    try:
        wanted = SpecifierSet(requires_python)
        return any(wanted.contains(f"{target.python_version}.{patch}") for patch in (0, 99))
    except ValueError:  # InvalidSpecifier is one; a number of thousands of digits is another
        return True
