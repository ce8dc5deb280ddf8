"""Names and versions, normalised where they enter (PEP 503, PEP 440)."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from master.errors import FarmError

LONGEST = 200
"""Characters of a name or a version that the database takes."""


class BadNameError(FarmError):
    """No project or version can be called that."""


def project_name(text: str) -> str:
    """Return the normalised name of a project (PEP 503). Raises BadNameError."""
    try:
        name = canonicalize_name(text, validate=True)
    except InvalidName as error:
        raise BadNameError(
            f"{text!r} is not a valid name of a project (PEP 503): correct it"
        ) from error
    if len(name) > LONGEST:
        raise BadNameError(
            f"{text[:30]!r}… is longer than the {LONGEST} characters that a name may have"
        )
    return name


def version_text(text: str) -> str:
    """Return the normalised spelling of a version (PEP 440).

    Raises packaging's InvalidVersion, also for one that is longer than what can be stored.
    """
    # Before it's parsed, too: Python reads no number of more than 4300 digits.
    if len(text) <= LONGEST and len(version := str(Version(text))) <= LONGEST:
        return version
    raise InvalidVersion(f"{text[:30]!r}… is longer than {LONGEST} characters")


def package(text: str) -> tuple[str, str | None]:
    """Return project and version of NAME or NAME==VERSION, both normalised. Raises BadNameError."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise BadNameError(f"{text!r} is neither NAME nor NAME==VERSION") from error
    pins = [s.version for s in requirement.specifier if s.operator == "=="]
    plain = not (requirement.extras or requirement.marker or requirement.url)
    if not plain or len(pins) != len(requirement.specifier) or len(pins) > 1:
        raise BadNameError(f"{text!r} is neither NAME nor NAME==VERSION")
    if pins and pins[0].endswith(".*"):
        raise BadNameError(f"{text!r} stands for many versions: name each one that is to be built")
    try:
        return project_name(requirement.name), version_text(pins[0]) if pins else None
    except InvalidVersion as error:
        raise BadNameError(f"{text[:60]!r} doesn't name a valid version: {error}") from error
