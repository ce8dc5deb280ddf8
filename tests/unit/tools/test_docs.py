"""What is generated of the documents says what the roles and playbooks say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tools import docs

PAGES = docs.pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(docs.ROOT)))
def test_a_generated_page_is_up_to_date(page: Path) -> None:
    assert page.read_text() == PAGES[page], "make docs"


def test_every_setting_of_the_example_is_in_the_table() -> None:
    table = PAGES[docs.SETTINGS].split("## Where each goes")[1]
    for setting in yaml.safe_load(docs.EXAMPLE.read_text()):
        assert f"`{setting}`" in table
