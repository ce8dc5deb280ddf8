"""The start page: what this is, how to use it, how far the farm is, what was built last."""

from __future__ import annotations

from master.site import queries, tree
from master.site.model import Farm
from master.site.page import Schedule, Site, SitePage


def render(site: Site, farm: Farm) -> tuple[bytes]:
    names = tree.count_folders(site.root, "simple")
    return (site.html("start.html.j2", up="", farm=farm, names=names),)


PAGE = SitePage(Schedule.CHANGE, ("index.html",), queries.farm, render)
