"""Who may import whom. Read from the source, so that an import inside of a function counts too."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import airflow_video_providers

PACKAGE = "airflow_video_providers"
ROOT = Path(airflow_video_providers.__file__).parent

#: Each row may import the rows above it, and its own.
ROWS: list[set[str]] = [
    {"_compat", "exceptions", "jobs", "redact", "border", "held_connection", "storage_address"},
    {"fields", "field_errors"},
    {"models"},
    {"vendors"},
    {"catalogue"},
    {"client", "environment", "session", "wire", "polling", "pricing", "settings", "timing", "transport", "metrics"},
    {"hooks", "links"},
    {"triggers"},
    {"lineage", "openlineage", "landing", "ledger"},
    {"sensors", "operators"},
]
#: Rooms that may know less than their row.
ONLY: dict[str, set[str]] = {
    "landing": {"exceptions", "jobs", "redact", "border", "polling", "held_connection", "storage_address"},
    "ledger": {"exceptions", "jobs", "redact", "border", "held_connection", "storage_address"},
    "exceptions": {"_compat", "jobs"},
    "metrics": {"exceptions", "jobs"},
    "simulator": set(),
}
#: Rooms beside the rows: what reads or tests the whole.
BESIDE = {"get_provider_info", "conformance", "simulator"}
MAY_KNOW_AIRFLOW = {
    "_compat", "hooks", "triggers", "sensors", "operators", "links", "lineage", "openlineage",
    "metrics",  # where there is Airflow
    "held_connection.py", "landing/store.py", "landing/object_store.py",
    "ledger/config.py", "ledger/metadata.py", "ledger/stores.py", "ledger/cli.py", "ledger/airflow_view.py",
}  # fmt: skip
MAY_KNOW_HTTPX = {
    "vendors/base.py",
    "border.py",
    "client.py",
    "environment.py",
    "session.py",
    "transport.py",
    "landing",
    "simulator",
    "conformance",  # plays the vendor to a vendor's file
}
ROOMS = sorted({path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")} - {"__init__"})


def imports(path: Path) -> set[str]:
    """The modules that a file imports when it runs, absolute; what only a type checker reads is left out."""
    found: set[str] = set()

    def read(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
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


def room_of(module: str) -> str | None:
    """The room of this package that a module belongs to."""
    parts = module.split(".")
    inside = parts[0] == PACKAGE and len(parts) > 1
    return parts[1] if inside and parts[1] in ROOMS else None


def files(room: str) -> list[Path]:
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


def may_import(room: str) -> set[str]:
    if room in ONLY:
        return ONLY[room] | {room}
    if room in BESIDE:
        return set(ROOMS) - {"simulator"}
    height = next(number for number, row in enumerate(ROWS) if room in row)
    return set().union(*ROWS[: height + 1])


def test_every_room_has_its_place():
    assert set(ROOMS) == set().union(*ROWS) | BESIDE


@pytest.mark.parametrize("room", ROOMS)
def test_every_arrow_points_down(room):
    for path in files(room):
        others = {other for module in imports(path) if (other := room_of(module))}
        assert others <= may_import(room), path.name


@pytest.mark.parametrize("library", ["airflow", "httpx"])
def test_airflow_and_httpx_are_known_in_their_own_rooms_only(library):
    allowed = MAY_KNOW_AIRFLOW if library == "airflow" else MAY_KNOW_HTTPX
    for path in ROOT.rglob("*.py"):
        if any(module.split(".")[0] == library for module in imports(path)):
            place = path.relative_to(ROOT).as_posix()
            assert place in allowed or place.split("/")[0].removesuffix(".py") in allowed, place


def test_the_simulator_is_a_second_opinion():
    allowed = {"httpx", "starlette", "uvicorn", "pytest"}
    for path in files("simulator"):
        foreign = (
            {module.split(".")[0] for module in imports(path)} - set(sys.stdlib_module_names) - allowed - {PACKAGE}
        )
        assert not foreign, path.name


def test_the_reader_of_imports_reads_them_all(tmp_path):
    source = tmp_path / "file.py"
    source.write_text(
        "from __future__ import annotations\n"
        "import os, httpx as h\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from airflow.sdk import Context\n"
        "else:\n    import runtime\n"
        f"from {PACKAGE} import catalogue, polling\n"
        f"def f():\n    from {PACKAGE}.client import VideoClient\n"
    )
    found = imports(source)
    assert found >= {
        "os",
        "httpx",
        "runtime",
        f"{PACKAGE}.catalogue",
        f"{PACKAGE}.polling",
        f"{PACKAGE}.client.VideoClient",
    }
    assert not any(module.startswith("airflow.") for module in found)
    assert {room_of(module) for module in found} == {None, "catalogue", "polling", "client"}


#: What is imported only where it is there: what Airflow's own processes have, and the extras.
WHERE_IT_IS_THERE = {
    "sqlalchemy",
    "flask-appbuilder",
    "flask-babel",
    "wtforms",
    "av",
    "pytest",
    "apache-airflow-providers-openlineage",
}


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=!\[ ;]", line, maxsplit=1)[0] for line in project["dependencies"]}
    known = packages_distributions()
    missing = set()
    for path in ROOT.rglob("*.py"):
        for name in imports(path):
            root = name.partition(".")[0]
            if root in sys.stdlib_module_names or root in (PACKAGE, "airflow", "__future__"):
                continue
            distributions = {one.lower().replace("_", "-") for one in known.get(root, [root])}
            if not distributions & (declared | WHERE_IT_IS_THERE):
                missing.add(root)
    assert missing == set()
