"""Who may import whom, in three sentences, and no circles. Read from the source, so that an import inside of a function counts too."""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path

import pytest

import airflow_video_providers

PACKAGE = "airflow_video_providers"
ROOT = Path(airflow_video_providers.__file__).parent
#: The one guarded import: errors derive from Airflow's where Airflow is.
GUARDED = "core/airflow_errors.py"
MAY_KNOW_HTTPX = (
    "core/vendors/base.py",
    "core/vendors/flow.py",
    "core/border.py",
    "core/client/",
    "core/landing/",
    "testing/",
)


def imports(path: Path, *, types: bool = False) -> set[str]:
    """The modules that a file imports when it runs, absolute; what only a type checker reads only with ``types``."""
    found: set[str] = set()

    def read(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not types and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                read(ast.Module(child.orelse, []))
                continue
            if isinstance(child, ast.Import):
                found.update(name.name for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                inner = ".".join((PACKAGE, *path.relative_to(ROOT).parts[: -child.level])) if child.level else ""
                base = ".".join(part for part in (inner, child.module) if part)
                found.update(f"{base}.{name.name}" for name in child.names)
            read(child)

    read(ast.parse(path.read_text(encoding="utf-8")))
    return found


def floor(module: str) -> str | None:
    """The folder or file directly below the package that a module stands in."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def below(folder: str) -> dict[str, set[str]]:
    return {path.relative_to(ROOT).as_posix(): imports(path) for path in (ROOT / folder).rglob("*.py")}


def test_core_knows_core_alone_and_no_airflow_but_for_one_guarded_import():
    for place, modules in below("core").items():
        assert {floor(module) for module in modules} <= {None, "core", "__version__"}, place
        assert place == GUARDED or not any(module.split(".")[0] == "airflow" for module in modules), place


def test_testing_knows_no_airflow_and_the_simulator_is_a_second_opinion():
    for place, modules in below("testing").items():
        assert not any(module.split(".")[0] == "airflow" for module in modules), place
        assert {floor(module) for module in modules} <= {None, "core", "testing"}, place
    allowed = {"cryptography", "httpx", "starlette", "uvicorn", "pytest", PACKAGE}
    for place, modules in below("testing/simulator").items():
        assert {floor(module) for module in modules} <= {None, "testing"}, place
        assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names, *allowed}, place


def test_httpx_is_known_to_vendors_base_clients_landing_and_testing_only_and_vendors_do_no_input_or_output():
    for place, modules in below(".").items():
        if any(module.split(".")[0] == "httpx" for module in modules):
            assert place.startswith(MAY_KNOW_HTTPX), place
    for place, modules in below("core/vendors").items():
        assert not {"socket", "ssl", "httpcore", "subprocess"} & {module.split(".")[0] for module in modules}, place
        beside = {module.split(".")[2] for module in modules if module.startswith(f"{PACKAGE}.core.")}
        assert not {"client", "landing", "polling", "storage"} & beside, place


def test_no_two_floors_import_each_other():
    for lower, upper in (("hooks", "operators"), ("hooks", "sensors"), ("triggers", "sensors"), ("links", "hooks")):
        for place, modules in below(lower).items():
            assert upper not in {floor(module) for module in modules}, place


def test_the_reader_of_imports_reads_them_all(tmp_path):
    source = tmp_path / "file.py"
    source.write_text(
        "from __future__ import annotations\n"
        "import os, httpx as h\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from airflow.sdk import Context\n"
        "else:\n    import runtime\n"
        f"from {PACKAGE} import core, hooks\n"
        f"def f():\n    from {PACKAGE}.client import VideoClient\n"
    )
    found = imports(source)
    assert found >= {"os", "httpx", "runtime", f"{PACKAGE}.core", f"{PACKAGE}.hooks", f"{PACKAGE}.client.VideoClient"}
    assert not any(module.startswith("airflow.") for module in found)
    assert {floor(module) for module in found} == {None, "core", "hooks", "client"}


def graph(*, types: bool) -> dict[str, set[str]]:
    """Which module of the package imports which.

    :param types: Count what only a type checker reads, too.
    """
    files = {_module(path): path for path in ROOT.rglob("*.py")}
    return {
        name: {_owner(one, files) for one in imports(path, types=types)} - {name, ""} for name, path in files.items()
    }


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _owner(name: str, files: dict[str, Path]) -> str:
    """The module that is or holds this name; "" where it is none of the package."""
    return name if name in files else next((one for one in [name.rpartition(".")[0]] if one in files), "")


def circle(found: dict[str, set[str]]) -> list[str]:
    """Modules that import each other around a corner, if there are any."""
    try:
        graphlib.TopologicalSorter(found).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("types", [False, True], ids=["when it runs", "for a type checker"])
def test_no_modules_import_each_other_around_a_corner(types):
    assert circle(graph(types=types)) == []


def test_a_circle_is_found():
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_the_graph_has_the_package_s_modules_and_their_imports():
    types, runs = graph(types=True), graph(types=False)
    assert f"{PACKAGE}.core.jobs" in runs[f"{PACKAGE}.core.vendors.reading"]
    assert f"{PACKAGE}.core.vendors.models" in types[f"{PACKAGE}.core.vendors.base"]
    assert f"{PACKAGE}.core.vendors.models" not in runs[f"{PACKAGE}.core.vendors.base"]
