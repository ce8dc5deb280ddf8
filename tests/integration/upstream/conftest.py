"""An index that a test can change, and a sync that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from master.upstream import pypi, sync
from tests.support.farm import Farm, Sync
from tests.support.index import Catalogue, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Catalogue()) as server:
        yield server


@pytest.fixture
def run(farm: Farm, server: Server) -> Sync:
    def call(*names: str, max_loss: float | None = 0.1, newest: int | None = None) -> Any:
        with farm.connect("sync") as conn, pypi.Index(server.url, "x") as index:
            return sync.projects(
                conn,
                index,
                names,
                targets=farm.targets,
                newest=newest,
                now=farm.now,
                max_loss=max_loss,
            )

    return call
