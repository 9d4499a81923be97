"""The pages that are written for people, taken apart: README, docs, contributing, security."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
#: What programs have printed: shown by pages, not pages.
PRINTED = {"demo.md", "benchmarks.md"}
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w{}:-]*)(?P<argument>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
_MARK = re.compile(r"<!-- (?P<word>test|from|run)(?:: (?P<what>[^>]*?))? -->\n\Z")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code.

    :param mark: What the comment before it says is to be done with it: ``("test", "lands a clip")``.
    """

    page: str
    language: str
    argument: str
    text: str
    mark: tuple[str, str] | None

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0] if self.text.strip() else self.argument}"


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def by_hand(self) -> str:
        """Without what is generated."""
        return _GENERATED.sub("", self.text)

    @cached_property
    def prose(self) -> str:
        """Without code, too."""
        return re.sub(r"`[^`\n]+`", "", _BLOCK.sub("", self.by_hand))

    @cached_property
    def blocks(self) -> list[Block]:
        found = []
        for match in _BLOCK.finditer(self.by_hand):
            mark = _MARK.search(self.by_hand, 0, match.start())
            indent = len(match["indent"])
            text = "".join(line[indent:] for line in match["text"].splitlines(keepends=True))
            marked = None if mark is None else (mark["word"], mark["what"] or "")
            found.append(Block(self.name, match["language"], match["argument"].strip(), text, marked))
        return found

    @cached_property
    def anchors(self) -> set[str]:
        """As the forge and the site make them of headings."""
        titles = _HEADING.findall(_BLOCK.sub("", self.text))
        return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}

    @cached_property
    def links(self) -> list[str]:
        return re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", self.text))


README = Page(ROOT / "README.md")
PAGES = [
    README,
    *(Page(ROOT / name) for name in ("CONTRIBUTING.md", "SECURITY.md")),
    *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in PRINTED),
]


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages, of all pages."""
    return [block for page in PAGES for block in page.blocks if block.language in languages]
