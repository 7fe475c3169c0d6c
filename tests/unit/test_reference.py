"""docs/reference says what the code says."""

from __future__ import annotations

import pytest

from tests.docs.reference import FOLDER, pages

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_it_is_as_the_code_has_it(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name], "make docs writes it anew"


def test_there_are_no_others() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PAGES.keys()
