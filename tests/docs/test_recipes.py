"""Each recipe has a page, which shows the file that tests/pipelines/test_example_dags.py runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
EXAMPLES = ROOT / "airflow_video_providers" / "example_dags"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_recipe_shows_an_example_that_runs_in_ci(page: Path) -> None:
    (shown,) = re.findall(r"^```\{literalinclude\} (\S+)$", page.read_text(), re.MULTILINE)
    example = (page.parent / shown).resolve()
    assert example.is_file()
    assert example.parent == EXAMPLES
    assert f"`{example.relative_to(ROOT)}`" in page.read_text()
    dags = re.findall(r"^def (example_\w+)\(\):$", example.read_text(), re.MULTILINE)
    runs = (ROOT / "tests" / "pipelines" / "test_example_dags.py").read_text()
    assert any(f'"{dag}"' in runs for dag in dags)


def test_every_recipe_stands_in_the_sites_tree() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert {page.stem for page in PAGES} == set(re.findall(r"^recipes/(\S+)$", index, re.MULTILINE))
    assert len(PAGES) == 9


def test_no_example_reads_a_date_that_a_run_by_hand_or_by_an_asset_has_not() -> None:
    for example in EXAMPLES.glob("*.py"):
        assert not re.search(r"\{\{\s*(ds|ts|logical_date|data_interval)", example.read_text()), example.name
