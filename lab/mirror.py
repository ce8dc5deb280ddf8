"""Find the package mirror that this machine itself uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT_FOLDER = Path("/etc/apt")
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<rest>\S+\s+\S+.*)$")


@dataclass(frozen=True)
class Source:
    """One archive and suite that apt reads, see sources.list(5)."""

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the binary sources of a `sources.list`, the format of one line each."""
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.partition("#")[0].strip())
        if match:
            uri, suite, *components = match["rest"].split()
            yield Source(uri, suite, tuple(components))


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the binary sources of a `.sources` file that are switched on, the deb822 format."""
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"} and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()))


def machine_sources(folder: Path = APT_FOLDER) -> list[Source]:
    """Return what apt reads on this machine, in apt's own order of files."""
    sources: list[Source] = []
    main_list = folder / "sources.list"
    if main_list.is_file():
        sources += parse_one_line(main_list.read_text())
    for path in sorted((folder / "sources.list.d").glob("*")):
        if path.suffix == ".list":
            sources += parse_one_line(path.read_text())
        elif path.suffix == ".sources":
            sources += parse_deb822(path.read_text())
    return sources


def debian_mirror(sources: list[Source], codename: str) -> str:
    """Return the URI from which the machine takes the main suite of its own release.

    Raises LookupError when no source has `codename` with the component main.
    """
    for source in sources:
        if source.suite in {codename, "stable"} and "main" in source.components:
            return source.uri
    raise LookupError(
        f"no apt source has {codename} main: name a Debian mirror for it in"
        " /etc/apt/sources.list.d/debian.sources"
    )


def machine_codename(os_release: Path = Path("/etc/os-release")) -> str:
    """Return the machine's VERSION_CODENAME, see os-release(5); empty when it has none."""
    for line in os_release.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip("\"'")
    return ""
