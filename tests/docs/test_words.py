"""One word per thing: the glossary's. Words that said the same before are held out of the pages."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import PAGES, Page
from tests.support.vocabulary import RETIRED

#: History keeps its words.
PAGES_OF_TODAY = [page for page in PAGES if page.name != "docs/changelog.md"]


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: page.name)
def test_no_page_uses_a_retired_word(page: Page) -> None:
    text = " ".join(re.sub(r"(?s)### Retired words.*?(?=\n## |$)", "", page.prose).split())
    for word in RETIRED:
        found = word.text and word.text.search(text)
        assert not found, f"{found}: write {word.use}"


def glossary() -> dict[str, str]:
    (page,) = [page for page in PAGES if page.name == "docs/architecture.md"]
    (table,) = re.findall(r"^## Glossary\n(.*?)^### Retired words", page.text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)[2:])


def test_the_glossary_has_each_word_once_in_order() -> None:
    words = list(glossary())
    assert words == sorted(words, key=str.casefold)
    expected = {"poll", "defer", "retry", "Clear", "submit", "job", "request_id", "vendor", "model", "ledger", "attempt",
                "land", "manifest", "quarantine"}  # fmt: skip
    assert expected <= set(words)


def test_and_the_retired_ones_with_the_word_to_use() -> None:
    (page,) = [page for page in PAGES if page.name == "docs/architecture.md"]
    (table,) = re.findall(r"^### Retired words\n(.*?)^## ", page.text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)[2:]
    assert rows == [(word.word, word.use) for word in RETIRED]
