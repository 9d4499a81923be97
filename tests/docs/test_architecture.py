"""The map is the territory: what the architecture page says of the code is so."""

from __future__ import annotations

import ast
import re

import airflow_video_providers
from tests.support.pages import PAGES, ROOT

PACKAGE = ROOT / airflow_video_providers.__name__
(PAGE,) = [page for page in PAGES if page.name == "docs/architecture.md"]
#: Public, and smoothed over by the distribution that is made for it.
COMPAT = "airflow.providers.common.compat"


def imported_from_airflow() -> set[str]:
    """The modules of Airflow that the package imports when it runs; what only a type checker reads is left out."""
    found: set[str] = set()

    def read(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                read(ast.Module(child.orelse, []))
                continue
            if isinstance(child, ast.ImportFrom) and child.module and not child.level:
                found.add(child.module)
            elif isinstance(child, ast.Import):
                found.update(name.name for name in child.names)
            read(child)

    for path in set(PACKAGE.rglob("*.py")) - set(PACKAGE.glob("example_dags/*.py")):  # an author's, not internals
        read(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in found if name.split(".")[0] == "airflow" and not name.startswith(COMPAT)}


def test_every_import_of_airflow_s_internals_is_listed_and_no_other() -> None:
    (table,) = re.findall(r"^### Imported\n(.*?)^### ", PAGE.text, re.DOTALL | re.MULTILINE)
    listed = set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))
    assert listed == imported_from_airflow()


def test_what_is_relied_on_without_an_import_is_still_in_the_code() -> None:
    (table,) = re.findall(r"^### Relied on without an import\n(.*?)^## ", PAGE.text, re.DOTALL | re.MULTILINE)
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    first = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[2:]
    for name in re.findall(r"`([\w.*]+)", " ".join(first)):
        word = name.rpartition(".")[2].removesuffix("*")
        assert word in code, name


def test_every_module_that_is_named_is_there() -> None:
    for page in PAGES:
        for path in re.findall(r"`((?!_rejected)(?:\w+/)*\w+(?:/|\.py))`", page.by_hand):
            places = [PACKAGE / path, ROOT / path]
            assert page.name == "docs/adding-a-vendor.md" or any(place.exists() for place in places), (
                f"{page.name}: {path}"
            )


def test_every_function_that_is_named_stands_in_the_module_that_is_named_with_it() -> None:
    named = set(re.findall(r"`(\w+)\(\)` in `([\w/]+\.py)`", PAGE.text))
    assert {name for name, _ in named} == {"compose", "decide", "lost", "void_after_error"}
    for name, path in named:
        assert re.search(rf"^def {name}\(", (PACKAGE / path).read_text(), re.MULTILINE), name


def test_every_room_of_the_package_is_in_the_table_of_layers() -> None:
    (table,) = re.findall(r"^## Layers\n(.*?)^## ", PAGE.text, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`(\w+)(?:/|\.py)`", table))
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")} - {"__init__"}
    (faces,) = re.findall(r"^The modules (.*?) hold no code", PAGE.text, re.DOTALL | re.MULTILINE)
    assert rooms <= named | set(re.findall(r"`(\w+)`", faces))
    floors = {path.name for path in (PACKAGE / "core").iterdir() if path.is_dir()} - {"__pycache__"}
    assert floors == set(re.findall(r"`core/(\w+)/`", table))
