"""A connection as the site has it, and a folder that stands for the web host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection

from master.database import connection as db
from tests.support.farm import Farm


@pytest.fixture
def conn(farm: Farm) -> Iterator[connection]:
    conn = db.connect(farm.config, "site")
    yield conn
    conn.close()


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """Return the folder that the web host serves; what arrives is first written beside it."""
    for name in ("incoming", "site"):
        (tmp_path / "web" / name).mkdir(parents=True)
    return tmp_path / "web/site"
