"""Each recipe has a page, and each aggregator, which shows the file that tests/pipelines/test_example_dags.py runs."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_video_providers.core.vendors import catalogue

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
AGGREGATORS = [ROOT / "docs" / "vendors" / f"{name}.md" for name in ("fal", "replicate")]
EXAMPLES = ROOT / "airflow_video_providers" / "example_dags"


@pytest.mark.parametrize("page", [*PAGES, *AGGREGATORS], ids=lambda page: page.stem)
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


SOON = [vendor.id for vendor in catalogue.vendors().values() if (vendor.retention or timedelta.max) < timedelta(days=1)]
#: What takes up what is bought: one of these, or a task that does it all.
TAKES_UP = re.compile(r"(VideoJobSensor|DownloadVideoOperator|GenerateVideoOperator(\.partial)?)")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("example_*.py")), ids=lambda path: path.stem)
def test_where_a_vendor_forgets_soon_what_is_bought_lands_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    weighted = {
        ast.unparse(call.func): bool({"priority_weight", None} & {word.arg for word in call.keywords}) for call in calls
    }
    found = {name: first for name, first in weighted.items() if TAKES_UP.fullmatch(name)}
    if any(f'"{vendor}:' in text for vendor in SOON):
        assert found
        assert all(found.values())
        assert 'weight_rule="absolute"' in text or '"weight_rule": "absolute"' in text
        assert not weighted.get("SubmitVideoOperator")


def test_the_examples_of_vendors_that_forget_soon_are_known() -> None:
    soon = {path.stem for path in EXAMPLES.glob("*.py") if any(f'"{vendor}:' in path.read_text() for vendor in SOON)}
    assert soon == {
        "example_video_quickstart",
        "example_video_replicate",
        "example_video_takes",
        "example_video_wait_elsewhere",
    }
