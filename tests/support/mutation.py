"""Code that is broken on purpose, in a copy: the tests of a rule have to notice.

A mutation names a function and what is changed in it, and both are compared as syntax trees: comments, line breaks and
quotes may change, and so may all that stands outside of the function.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import airflow_video_providers

PACKAGE = Path(airflow_video_providers.__file__).parent
TESTS = Path(__file__).parents[1]
#: In the place of what is changed: all that the function does.
BODY = "(the whole body)"


class Change(NamedTuple):
    """In a function (``Ledger.holds``), an expression or a statement becomes another: the ``nth`` of equal ones."""

    function: str
    old: str
    new: str
    nth: int | None = None


class MutationError(Exception):
    """The mutation does not fit the code."""


def mutated(module: str, changes: list[Change]) -> str:
    """The source of a module of the package, changed.

    :raises MutationError: a function is not there, or what is to change is not there once.
    """
    return mutate((PACKAGE / module).read_text(), changes)


def mutate(source: str, changes: list[Change]) -> str:
    tree = ast.parse(source)
    for change in changes:
        function, new = _function(tree, change.function), ast.parse(change.new).body
        if change.old == BODY:
            function.body = new
            continue
        (old,) = ast.parse(change.old).body
        if isinstance(old, ast.Expr):
            found = _Replacement(old.value, new[0].value, change.nth)
        else:
            found = _Replacement(old, new, change.nth)
        found.visit(function)
        if found.count != 1 and not (change.nth and change.nth <= found.count):
            raise MutationError(f"{change.function} has {found.count} times, not once: {change.old}")
    broken = ast.unparse(ast.fix_missing_locations(tree))
    compile(broken, "<mutant>", "exec")
    return broken


def _function(node, name):
    for part in name.split("."):
        node = next((child for child in node.body if getattr(child, "name", None) == part), None)
        if node is None:
            raise MutationError(f"there is no {name}")
    return node


class _Replacement(ast.NodeTransformer):
    def __init__(self, old, new, nth):
        self.old, self.new, self.nth, self.count = ast.dump(old), new, nth, 0

    def visit(self, node):
        if ast.dump(node) == self.old:
            self.count += 1
            return self.new if self.nth in (None, self.count) else node
        return self.generic_visit(node)


def run_tests_on_a_copy(
    tmp_path: Path, module: str, changes: list[Change], *, folders: list[str], tests: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run ``tests`` with a copy of the package in which ``module`` is changed, and of the ``folders`` they need."""
    ignore = shutil.ignore_patterns("__pycache__", "test_mutations.py")
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=ignore)
    for folder in ("support", *folders):
        shutil.copytree(TESTS / folder, tmp_path / "tests" / folder, ignore=ignore)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: -\n")
    (tmp_path / PACKAGE.name / module).write_text(mutated(module, changes))
    command = [sys.executable, "-m", "pytest", "-qx", "-m", "not slow", "-p", "no:cacheprovider"]
    command += ["--import-mode", "importlib", *(f"tests/{name}" for name in tests)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
