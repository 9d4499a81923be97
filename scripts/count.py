"""How large the house is and how far one walks in it: files and changes of file per journey, lines, functions, circles.

``python scripts/count.py [ROOT]``: of this checkout, or of another one, an older layout too. What needs the package at
work (the journeys) runs in the environment that starts it, so run it there with that checkout's own interpreter.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import graphlib
import io
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PACKAGE = "airflow_video_providers"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines(folder: Path) -> tuple[int, int]:
    """Files and lines of Python below a folder."""
    files = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    return len(files), sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def functions(folder: Path) -> Iterator[tuple[str, Function]]:
    """Every function with the place where it stands."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(folder)}:{node.name}", node


def length(function: Function) -> int:
    """Lines of a function without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> int:
    """How many a function takes, ``self`` not counted."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([one for one in every if one.arg not in ("self", "cls")])


def circle(folder: Path, *, types: bool) -> list[str]:
    """Modules that import each other around a corner; ``types`` counts what only a type checker reads."""

    def module(path: Path) -> str:
        parts = path.relative_to(folder).with_suffix("").parts
        return ".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))

    files = {module(path): path for path in folder.rglob("*.py")}

    def imported(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if not types and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.ImportFrom) and child.module and not child.level:
                for alias in child.names:
                    name = f"{child.module}.{alias.name}"
                    yield name if name in files else child.module
            elif isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            yield from imported(child)

    graph = {
        name: {one for one in imported(ast.parse(path.read_text(encoding="utf-8"))) if one in files} - {name}
        for name, path in files.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [str(one) for one in error.args[1]]
    return []


def walked(folder: Path, journey: Callable[[], object]) -> tuple[int, int]:
    """Files of the package that a journey runs through, and how often it goes from one to another."""
    visited: list[str] = []
    own = f"{folder}/"
    left_out = f"{folder}/testing/", f"{folder}/simulator/", f"{folder}/conformance/"

    def called(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event in ("call", "return") and name.startswith(own) and not name.startswith(left_out):
            where = frame if event == "call" else frame.f_back
            while where is not None and not where.f_code.co_filename.startswith(own):
                where = where.f_back
            if where is not None and (not visited or visited[-1] != where.f_code.co_filename):
                visited.append(where.f_code.co_filename)

    journey()  # once before: what is imported and cached at a first time is no part of the way
    sys.setprofile(called)
    try:
        journey()
    finally:
        sys.setprofile(None)
    return len(set(visited)), max(0, len(visited) - 1)


def journeys(folder: Path) -> Iterator[tuple[str, int, int]]:
    """The three of the architecture's page, in an Airflow without database against the simulator."""
    from airflow.sdk import DAG

    from airflow_video_providers.operators.video import DownloadVideoOperator
    from airflow_video_providers.sensors.video import VideoJobSensor
    from airflow_video_providers.simulator import running
    from tests.support.submitting import Desk

    logging.disable(logging.CRITICAL)
    with running() as simulator, tempfile.TemporaryDirectory() as videos:
        simulator.configure(frozen_clock=True, queue_seconds=[0, 0], run_seconds=[1, 1])
        number = 0

        def run(task_of: Callable[[int], Any]) -> object:
            nonlocal number
            number += 1
            desk.airflow.store.clear()  # else another task's records lie there: this Airflow has one store
            with contextlib.redirect_stdout(io.StringIO()):  # Airflow's own lines of a task
                outcome = desk.run(task_of(number))
            if outcome.error is not None:
                raise outcome.error
            return outcome

        desk = Desk(simulator)
        yield (
            "a prompt to the vendor and back",
            *walked(folder, lambda: run(lambda n: desk.submit(task_id=f"submit{n}"))),
        )
        run(lambda n: desk.submit(task_id=f"submit{n}"))
        job = desk.airflow.xcom(f"submit{number}", "return_value")
        simulator.advance(10)

        def wait(n: int) -> object:
            with DAG("dag", schedule=None):
                return VideoJobSensor(task_id=f"wait{n}", job=job, deferrable=False)

        def land(n: int) -> object:
            with DAG("dag", schedule=None):
                return DownloadVideoOperator(task_id=f"land{n}", job=finished, output_path=f"{videos}/{n}")

        yield ("a job that waits, in a worker", *walked(folder, lambda: run(wait)))
        finished = desk.airflow.xcom(f"wait{number}", "return_value")
        yield ("an address to a file and its manifest", *walked(folder, lambda: run(land)))


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root.resolve()
    folder = root / PACKAGE
    sys.path.insert(0, str(root))
    for name, where in (("package", folder), ("tests", root / "tests")):
        files, count = lines(where)
        print(f"{name}: {files} files, {count} lines")
    known = [
        (name, node) for name, node in functions(folder) if not name.startswith(("testing", "simulator", "conformance"))
    ]
    longest = max(known, key=lambda one: length(one[1]))
    print(f"longest function: {length(longest[1])} lines, {longest[0]}")
    print("widest functions (parameters):")
    for name, node in sorted(known, key=lambda one: -parameters(one[1]))[:5]:
        print(f"  {parameters(node):3} {name}")
    for types in (False, True):
        found = circle(folder, types=types)
        print(f"circle of imports{', for a type checker' if types else ''}: {' -> '.join(found) or 'none'}")
    try:
        for name, files, changes in journeys(folder):
            print(f"journey, {name}: {files} files, {changes} changes of file")
    except ImportError as missing:
        print(f"journeys: not with this layout ({missing})")


if __name__ == "__main__":
    main()
