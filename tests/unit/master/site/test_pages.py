"""The pages that people read."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from master.site import pages
from master.site.model import Farm, Project, RecentBuild, TargetCount
from master.site.page import Site, size
from master.site.pages import log, project, project_json, start
from tests.support.pages import BOOKWORM, HOSTILE, MOMENT, TRIXIE, demo

URL = "https://[fd00::1]"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Elements, ids, links and text of a page. Raises on a tag that isn't closed in its turn."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.codes: list[str] = []
        self.text = ""
        self.feed(page.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if values.get("href"):
            self.links.append(str(values["href"]))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "code":
            self.codes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "code" in self.open:
            self.codes[-1] += data


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "simple/demo-lib").mkdir(parents=True)
    return Site(URL, tmp_path, cursor=None, templates=tuple(pages.__path__))


def project_page(site: Site, of: Project) -> Page:
    (content,) = project.render(site, of).values()
    assert isinstance(content, bytes)
    return Page(content)


@pytest.fixture
def page(site: Site) -> Page:
    return project_page(site, demo())


@pytest.fixture
def start_page(site: Site) -> Page:
    farm = Farm(
        counts=(TargetCount(BOOKWORM, built=3, failed=1), TargetCount(TRIXIE, waiting=2)),
        recent=(
            RecentBuild("demo-lib", "1.10", "trixie", "failed", HOSTILE, MOMENT),
            RecentBuild("demo-lib", "1.10", "bookworm", "built", None, MOMENT),
        ),
    )
    return Page(*start.render(site, farm))


def test_a_project_page_says_how_to_install_it(page: Page) -> None:
    assert page.codes[:2] == [
        f"pip3 install --cert {BUNDLE} --extra-index-url {URL}/simple/ demo-lib",
        "sudo apt install liblzo2-2 libstdc++6",
    ]
    assert "../../#use" in page.links


def test_a_project_page_shows_each_state_with_reason_and_log(page: Page) -> None:
    for state in ("built", "failed", "skipped", "pending", "building"):
        assert state in page.text
    assert "cc1: </a></p><script>alert(1)</script> \"'&" in page.text
    assert {"log/7.txt", "log/9.txt", "log/5.txt"} <= set(page.links)
    assert "log/8.txt" not in page.links
    assert "a" * 64 in page.text
    assert "1 min 5 s" in page.text


def test_a_project_page_says_what_keeps_a_wheel_off_the_first_pis(page: Page) -> None:
    says = (
        "Not for a Pi 1, Zero or Zero W (ARMv6): </a></p><script>alert(1)</script> \"'& has Tag_CPU"
    )
    assert says in page.text
    assert page.text.count("ARMv6") == 1


def test_what_pypi_removed_is_shown_and_not_linked(page: Page) -> None:
    assert "PyPI has removed this version" in page.text
    assert not any("demo_lib-1.8" in link for link in page.links)


def test_strangers_text_stays_text(page: Page, start_page: Page, site: Site) -> None:
    assert "script" not in page.tags
    assert "script" not in start_page.tags
    hostile = Project("demo-lib", HOSTILE)
    assert "script" not in project_page(site, hostile).tags


def test_links_within_a_page_lead_somewhere(page: Page) -> None:
    inner = [link[1:] for link in page.links if link.startswith("#")]
    assert inner
    assert set(inner) <= {*page.ids}
    assert len(page.ids) == len(set(page.ids))


def test_nothing_planned_and_nothing_built_are_pages_too(site: Site) -> None:
    empty = project_page(site, Project("new", "New", (), (BOOKWORM,)))
    assert "There is no wheel of it here yet" in empty.text
    assert "Nothing of it has been planned yet" in empty.text
    assert "Nothing has been built yet" in Page(*start.render(site, Farm())).text


def test_the_start_page_says_how_to_use_the_farm(start_page: Page) -> None:
    assert "python3 -m venv env\n. env/bin/activate" in start_page.codes
    assert f"pip3 install --cert {BUNDLE} --extra-index-url {URL}/simple/ NAME" in start_page.codes
    assert f"uv pip install --system-certs --index {URL}/simple/ NAME" in start_page.codes
    assert f"[global]\nextra-index-url = {URL}/simple/\ncert = {BUNDLE}" in start_page.codes
    assert "project/demo-lib/#v1.10" in start_page.links
    # Where projects' pages send who doesn't trust the farm's CA yet.
    assert "use" in start_page.ids
    assert "All projects with a wheel: 1." in start_page.text
    assert "</script>" in start_page.text


def test_a_page_needs_nothing_of_another_host(page: Page, start_page: Page) -> None:
    assert not [link for link in (*page.links, *start_page.links) if "//" in link]


def test_programs_find_on_the_page_what_people_do(site: Site) -> None:
    (content,) = project_json.render(site, demo()).values()
    assert isinstance(content, bytes)
    data = json.loads(content)
    assert [target["name"] for target in data["targets"]] == ["bookworm", "trixie"]
    assert [version["version"] for version in data["versions"]] == ["1.10", "1.9", "1.8", "1.7"]
    newest = data["versions"][0]
    assert newest["targets"]["bookworm"] == {
        "state": "built",
        "reason": None,
        "log": "log/7.txt",
        "apt_packages": ["liblzo2-2", "libstdc++6"],
    }
    assert newest["targets"]["trixie"]["state"] == "failed"
    assert newest["targets"]["trixie"]["log"] == "log/9.txt"
    assert newest["files"][0]["apt_packages"] == ["liblzo2-2", "libstdc++6"]
    assert newest["files"][0]["not_armv6"] == f"{HOSTILE} has Tag_CPU_arch: v7"
    assert [build["log"] for build in newest["builds"]] == ["log/7.txt", None, "log/9.txt"]


LOGS = [
    ("plain\n\ttext é", "plain\n\ttext é"),
    ("\x1b[31;1merror:\x1b[0m no", "error: no"),
    ("\x1b]0;title\x07x\x1b]8;;url\x1b\\y\x1b(B", "xy"),
    ("a title without an end\x1b]0;no\nis one line", "a title without an end\nis one line"),
    ("10%\r20%\r\nend", "10%\n20%\nend"),
    ("a\x00b\x9bc\x7f", "abc"),
]


@pytest.mark.parametrize(("raw", "clean"), LOGS)
def test_a_log_steers_no_terminal(raw: str, clean: str) -> None:
    assert log.text(raw.encode()).decode() == clean


def test_a_log_that_is_no_utf8_is_shown_all_the_same() -> None:
    assert log.text(b"\xff!") == "\ufffd!".encode()


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_950, "10 kB"), (999_499, "999 kB"),
     (999_500, "1.0 MB"), (12_000_000, "12 MB"), (999_500_000, "1.0 GB"), (2.5e12, "2500.0 GB")],
)  # fmt: skip
def test_a_size_has_a_unit_that_people_can_read(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text
