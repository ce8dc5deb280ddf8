"""The mirror of the images is the one that this machine itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import mirror
from lab.mirror import Source

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """\
# Made by the installer
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
  contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours
deb http://mirror.example/debian bookworm-updates main
"""


def test_deb822_gives_the_binary_sources_that_are_switched_on() -> None:
    assert list(mirror.parse_deb822(DEB822)) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib")),
        Source("http://mirror.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_one_line_sources_are_read_with_their_options() -> None:
    assert list(mirror.parse_one_line(ONE_LINE)) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        Source("http://mirror.example/debian", "bookworm-updates", ("main",)),
    ]


def test_both_formats_of_a_machine_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (tmp_path / "sources.list.d/b.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/c.list").write_text("deb http://c.example/x any main\n")
    (tmp_path / "sources.list.d/d.list.save").write_text("deb http://d.example/x any main\n")
    uris = [source.uri for source in mirror.machine_sources(tmp_path)]
    assert uris[0] == "http://a.example/debian"
    assert uris[-1] == "http://c.example/x"
    assert mirror.debian_mirror(mirror.machine_sources(tmp_path), "bookworm") == uris[0]


def test_the_main_suite_is_what_counts() -> None:
    sources = [
        Source("http://x.example/debian-security", "bookworm-security", ("main",)),
        Source("http://x.example/vendor", "bookworm", ("stable",)),
        Source("http://x.example/debian", "bookworm", ("main",)),
    ]
    assert mirror.debian_mirror(sources, "bookworm") == "http://x.example/debian"


def test_a_machine_without_a_mirror_is_told_so() -> None:
    with pytest.raises(LookupError, match=r"no apt source has trixie main: name a Debian mirror"):
        mirror.debian_mirror([Source("http://x.example/debian", "bookworm", ("main",))], "trixie")


def test_the_codename_is_read_from_os_release(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert mirror.machine_codename(path) == "bookworm"
    path.write_text("ID=other\n")
    assert mirror.machine_codename(path) == ""
