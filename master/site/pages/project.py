"""A project's page: how to install it, its versions and targets, wheels and builds."""

from __future__ import annotations

from master.site import queries
from master.site.model import Project
from master.site.page import Content, ProjectPage, Site


def render(site: Site, project: Project) -> dict[str, Content]:
    return {
        f"project/{project.name}/index.html": site.html(
            "project.html.j2", up="../../", project=project
        )
    }


PAGE = ProjectPage(queries.projects, render)
