"""Every block of the guide is a piece of a file that the tests run, or is run here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_video_providers.testing.conformance import CHECKS
from tests.testing.conformance.test_fourth_vendor import installed  # noqa: F401  the fixture

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "adding-a-vendor.md").read_text()
BLOCK = re.compile(
    r"(?:<!-- (?P<what>from|run)(?:: (?P<path>\S+))? -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL
)
BLOCKS = [block.groupdict() for block in BLOCK.finditer(GUIDE)]


def test_every_block_of_code_says_where_it_comes_from():
    assert len(BLOCKS) > 7
    assert {block["language"] for block in BLOCKS if not block["what"]} == {"console"}


def test_the_whole_files_are_there():
    named = re.findall(r"\]\(\.\./([^)]+)\)", GUIDE)
    assert {block["path"] for block in BLOCKS if block["path"]} <= set(named)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block["what"] == "from"], ids=lambda block: block["path"]
)
def test_a_block_is_a_piece_of_its_file(block):
    assert block["text"].strip() in (ROOT / block["path"]).read_text()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("block", [block for block in BLOCKS if block["what"] == "run"])
def test_a_block_runs(block):
    names: dict[str, object] = {}
    exec(compile(block["text"], "docs/adding-a-vendor.md", "exec"), names)  # noqa: S102  the page's own code
    assert names["submit"].model == "pixazo:paper-film-image-to-video"


def test_the_table_lists_every_check_and_why():
    table = GUIDE.partition("<!-- generated: checks -->\n\n")[2].partition("\n<!-- end -->")[0]
    rows = "".join(f"| `{check.__name__}` | {check.__doc__} |\n" for check in CHECKS)
    assert table == f"| check | why |\n| --- | --- |\n{rows}"


@pytest.mark.parametrize(
    ("file", "name"),
    [("tests/testing/conformance/runway.py", "Runway"), ("airflow_video_providers/core/vendors/fal.py", "Fal")],
)
def test_whatever_an_odd_vendors_file_states_or_overrides_stands_in_the_guide(file, name):
    tree = ast.parse((ROOT / file).read_text())
    (vendor,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    stated = [target.id for node in vendor.body if isinstance(node, ast.Assign) for target in node.targets]
    stated += [node.name for node in vendor.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    assert [each for each in stated if not re.search(rf"\b{each}\b", GUIDE)] == []
