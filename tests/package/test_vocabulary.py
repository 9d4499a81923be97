"""One word for each thing: what is retired stands in no name, no comment and no text. The pages: ``tests/docs/test_words.py``."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import airflow_video_providers
from tests.support.vocabulary import EXCEPTIONS, RETIRED, Retired

PACKAGE = Path(airflow_video_providers.__file__).parent
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.relative_to(PACKAGE).as_posix().startswith(tuple(EXCEPTIONS))
]
_PARTS = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])")


def parts(name: str) -> set[str]:
    return {name} | {part.lower() for part in _PARTS.split(re.sub("(?i)look_up", "", name))}


def names_and_texts(source: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Identifiers with their lines, and what people read: comments, docstrings and strings."""
    names, texts = [], []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            names.append((token.start[0], token.string))
        elif token.type in (tokenize.COMMENT, tokenize.STRING):
            texts += [(token.start[0] + at, line) for at, line in enumerate(token.string.splitlines())]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            texts += [
                (part.lineno, part.value)
                for part in node.values
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
    return names, texts


def found(word: Retired, name: str, source: str) -> list[str]:
    names, texts = names_and_texts(source)
    pages = [f"{name}:{at}: {part}" for at, part in names if word.identifiers & parts(part)]
    if word.text is not None:
        pages += [f"{name}:{at}: {line.strip()}" for at, line in texts if word.text.search(line)]
    return pages


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in FILES}


@pytest.mark.parametrize("word", RETIRED, ids=lambda word: word.word)
def test_a_retired_word_stands_nowhere_in_the_package(word: Retired, sources: dict[str, str]) -> None:
    assert [place for name, source in sources.items() for place in found(word, name, source)] == []


@pytest.mark.parametrize("word", RETIRED, ids=lambda word: word.word)
def test_no_module_is_called_by_a_retired_word(word: Retired) -> None:
    assert [path.stem for path in FILES if word.identifiers & parts(path.stem)] == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def look_again(): ...", "look"),
        ("class TheBook: ...", "book"),
        ("# two looks at the vendor", "look"),
        ('"""What it was told."""', "tell, told"),
        ('raise ValueError(f"{name} brings {nothing} nothing")', "bring, brought"),
    ],
)
def test_each_kind_of_place_is_read(source: str, word: str) -> None:
    assert {kind.word for kind in RETIRED if found(kind, "a.py", source)} == {word}


@pytest.mark.parametrize("source", ["# the connection is looked up", "# Look for the file", "# it looks like one"])
def test_what_is_meant_otherwise_may_stand(source: str) -> None:
    assert [kind.word for kind in RETIRED if found(kind, "a.py", source)] == []
