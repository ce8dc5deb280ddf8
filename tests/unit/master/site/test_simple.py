"""The index as installers read it."""

from __future__ import annotations

import json
from dataclasses import replace

from pypi_simple import DistributionPackage, ProjectPage

from master.site import simple
from master.site.model import Project, Version
from tests.support.pages import HOSTILE, demo, wheel

ROOT = "https://farm.example/simple/demo-lib/"


def from_json(project: Project) -> list[DistributionPackage]:
    page = ProjectPage.from_json_data(json.loads(simple.project_json(project)), base_url=ROOT)
    return page.packages


def from_html(project: Project) -> list[DistributionPackage]:
    html = simple.project_html(project).decode()
    return ProjectPage.from_html("demo-lib", html, base_url=ROOT).packages


def test_json_and_html_say_the_same() -> None:
    for left, right in zip(from_json(demo()), from_html(demo()), strict=True):
        for what in (
            "filename",
            "requires_python",
            "is_yanked",
            "yanked_reason",
            "has_metadata",
            "metadata_digests",
            "metadata_url",
            "version",
        ):
            assert getattr(left, what) == getattr(right, what), what
        assert left.url == right.url.partition("#")[0]
        assert left.digests == right.digests == {"sha256": "a" * 64}


def test_files_come_in_the_order_of_their_versions() -> None:
    data = json.loads(simple.project_json(demo()))
    assert data["versions"] == ["1.9", "1.10"]
    assert [file["filename"] for file in data["files"]] == [
        "demo_lib-1.9-1-py3-none-any.whl",
        "demo_lib-1.10-cp311-cp311-linux_armv7l.whl",
    ]


def test_a_file_says_all_that_pep_691_and_its_successors_ask_for() -> None:
    file = json.loads(simple.project_json(demo()))["files"][1]
    assert file == {
        "filename": "demo_lib-1.10-cp311-cp311-linux_armv7l.whl",
        "url": "../../files/demo-lib/demo_lib-1.10-cp311-cp311-linux_armv7l.whl",
        "hashes": {"sha256": "a" * 64},
        "requires-python": ">=3.9,<4",
        "size": 933,
        "upload-time": "2026-01-02T03:04:05.000600Z",
        "yanked": False,
        "core-metadata": {"sha256": "b" * 64},
        "provenance": None,
    }


def test_the_page_says_version_and_status_of_the_api() -> None:
    page = ProjectPage.from_json_data(json.loads(simple.project_json(demo())), base_url=ROOT)
    assert page.repository_version == "1.4"
    assert page.project == "demo-lib"
    html = simple.project_html(demo())
    assert html.startswith(b"<!DOCTYPE html>\n")
    assert b'<meta name="pypi:repository-version" content="1.4">' in html
    assert b'<meta name="pypi:project-status" content="active">' in html


def test_a_yanked_version_is_marked_with_its_reason_whatever_that_holds() -> None:
    yanked, fine = from_json(demo())
    assert (yanked.is_yanked, yanked.yanked_reason) == (True, HOSTILE)
    assert not fine.is_yanked
    assert from_html(demo())[0].yanked_reason == HOSTILE


def test_a_version_yanked_without_a_reason_stays_yanked() -> None:
    for reason in (None, ""):
        version = Version(
            "1", yanked=True, yanked_reason=reason, wheels=(wheel("d-1-py3-none-any.whl"),)
        )
        project = Project("demo-lib", "demo-lib", (version,))
        assert from_json(project)[0].is_yanked
        assert from_html(project)[0].is_yanked
        assert json.loads(simple.project_json(project))["files"][0]["yanked"] is True


def test_every_anchor_stands_on_a_line_of_its_own() -> None:
    lines = simple.project_html(demo()).decode().splitlines()
    anchors = [line for line in lines if "<a " in line]
    assert len(anchors) == 2
    assert all(line.startswith("<a ") and line.endswith("</a><br>") for line in anchors)
    assert "<script" not in "".join(lines)


def test_what_pypi_removed_is_not_offered() -> None:
    assert b"demo_lib-1.8" not in simple.project_json(demo())
    assert b"demo_lib-1.8" not in simple.project_html(demo())


def test_an_index_page_does_not_depend_on_the_order_of_rows() -> None:
    project = demo()
    turned = replace(project, versions=tuple(reversed(project.versions)))
    assert simple.project_json(turned) == simple.project_json(project)
    assert simple.project_html(turned) == simple.project_html(project)


def test_a_file_name_is_quoted_in_its_url() -> None:
    version = Version("1+local", wheels=(wheel("d-1+local-py3-none-any.whl"),))
    page = simple.project_json(Project("d", "d", (version,)))
    assert json.loads(page)["files"][0]["url"] == "../../files/d/d-1%2Blocal-py3-none-any.whl"


def test_the_root_page_lists_projects_by_folder() -> None:
    assert json.loads(simple.root_json(["a", "b-c"])) == {
        "meta": {"api-version": "1.4"},
        "projects": [{"name": "a"}, {"name": "b-c"}],
    }
    html = simple.root_html(["a", "b-c"]).decode().splitlines()
    assert '<a href="a/">a</a><br>' in html
    assert '<a href="b-c/">b-c</a><br>' in html


def test_an_empty_farm_has_a_valid_index() -> None:
    assert json.loads(simple.root_json([]))["projects"] == []
    assert b"<a " not in simple.root_html([])
