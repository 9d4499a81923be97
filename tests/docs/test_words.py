"""One word per thing: the glossary's. Words that said the same before are held out of the pages."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import PAGES, Page

#: Retired, and what stands instead.
RETIRED = {
    r"looks? at (a|the) jobs?": "poll",
    r"(a|one|two|each|every|last|next|first|between two) looks?\b": "poll",
    r"looks fall": "poll",
    r"put(s|ting)? (it |the (wait|task|job) )?aside": "defer",
    r"(is|are|was|were) told": "reported, logged",
    r"gestures?": "attach, forget",
    r"parcels?": "verified file",
    r"\bbook\b": "ledger",
    r"(?<!video )generations?\b": "max_tries",
}
#: History keeps its words.
PAGES_OF_TODAY = [page for page in PAGES if page.name != "docs/changelog.md"]


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: page.name)
def test_no_page_uses_a_retired_word(page: Page) -> None:
    text = " ".join(page.prose.split())
    for pattern, instead in RETIRED.items():
        found = re.search(rf"(?i)\b{pattern}", text)
        assert not found, f"{found}: write {instead}"


def glossary() -> dict[str, str]:
    (page,) = [page for page in PAGES if page.name == "docs/architecture.md"]
    (table,) = re.findall(r"^## Glossary\n(.*?)^Some modules", page.text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)[2:])


def test_the_glossary_has_each_word_once_in_order() -> None:
    words = list(glossary())
    assert words == sorted(words, key=str.casefold)
    expected = {"poll", "defer", "retry", "Clear", "submit", "job", "request_id", "vendor", "model", "ledger", "attempt",
                "land", "manifest", "quarantine"}  # fmt: skip
    assert expected <= set(words)
