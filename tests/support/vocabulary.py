"""The words that are retired, the word to use, and where one may stand all the same: the one place that says so."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Retired:
    """One retired word.

    :param word: As ``docs/architecture.md`` names it.
    :param use: What is written instead.
    :param identifiers: Parts of an identifier, and whole ones with a capital, that are not used for it.
    :param text: A pattern for comments, docstrings, texts and pages; None where the word is an everyday one.
    """

    word: str
    use: str
    identifiers: frozenset[str] = frozenset()
    text: re.Pattern[str] | None = None


def retired(word: str, use: str, identifiers: str = "", text: str | None = None) -> Retired:
    pattern = None if text is None else re.compile(rf"\b(?:{text})\b", re.IGNORECASE)
    return Retired(word, use, frozenset(identifiers.split()), pattern)


#: Behind "look" these make another verb of it: a connection is looked up, a person looks for a file.
_LOOK = r"look(?:s|ed|ing)?(?!-up| up| for\b| like\b)(?! (?:a|the|its|this) connection up)"

RETIRED = (
    retired("look", "poll; of anything but a job: check, read", "look looks looking", _LOOK),
    retired("tell, told", "report, log, say, know", "tell tells telling told", "tell|tells|telling|told"),
    retired("put aside", "defer", "", "put(?:s|ting)? aside"),
    retired("bring, brought", "fetch, return, serve", "bring brings bringing brought", "bring|brings|bringing|brought"),
    retired("meet, met", "find, get, hit", "meet meets met", "meet|meets|met"),
    retired("turn (of a job)", "slot", "turns", r"(?:its|their|whose|a) turn(?! (?:of|to)\b)|turn to"),
    retired("line (to a vendor)", "shared client", "", r"line to (?:a|the|its) vendor"),
    retired("parcel", "verified file", "parcel parcels", "parcels?"),
    retired("book", "ledger", "book books", "books?"),
    retired("gesture", "action", "gesture gestures", "gestures?"),
    retired("lane", "connection of the client", "lane lanes", "lanes?"),
    retired("waiter", "wait", "waiter waiters", "waiters?"),
    retired("intake", "body reader", "intake", "intake"),
    retired("generation (of a task)", "max_tries", "generations"),
    retired("but, about (methods of an error)", "replace, with_job", "but"),
    retired(
        "Opened, Watch, Silence, Nowhere",
        "SharedClient, PollState, NO_LISTENER, NoStore",
        "Opened Watch Silence Nowhere",
    ),
    retired("literals, buying, placing (modules)", "parse_checks, purchase, commit", "literals buying placing"),
)

#: Files with a word that others gave them, and why.
EXCEPTIONS = {
    "testing/simulator": "its faults are a book, and no user of the package reads it in a log or an error",
}
