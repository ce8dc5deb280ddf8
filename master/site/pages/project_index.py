"""A project's wheels, as installers read them."""

from __future__ import annotations

from master.site import queries, simple
from master.site.model import Project
from master.site.page import Content, ProjectPage, Site


def render(_: Site, project: Project) -> dict[str, Content]:
    if not project.offered:
        # A client that finds an index page looks no further.
        return {}
    html = simple.project_html(project)
    contents = (simple.project_json(project), html, html)
    return dict(zip(simple.paths(f"simple/{project.name}"), contents, strict=True))


PAGE = ProjectPage(queries.projects, render)
