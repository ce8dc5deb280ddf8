"""The pages of the site. Each file here is one, as its PAGE says (master/site/page.py)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from master.site.page import Page


def load() -> list[Page[Any]]:
    """Return all pages, by the names of their files."""
    return [
        importlib.import_module(f"{__name__}.{module.name}").PAGE
        for module in pkgutil.iter_modules(__path__)
    ]
