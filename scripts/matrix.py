"""``make test-matrix``: the suite on each supported Airflow and Python, each in a virtual environment of its own.

``--airflow 3.1 --python 3.11`` runs one cell, which is what ``make test-lowest`` does. Environments stay in
``.venv-matrix-<airflow>-<python>`` and are used again. Arguments after ``--`` go to pytest.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Airflow -> the versions that it is tested with: the newest patch and what fits it.
CONSTRAINTS = {"3.1": "constraints/airflow-3.1.txt", "3.2": "constraints/airflow-3.2.txt", "3.3": "constraints.txt"}
PYTHONS = ("3.11", "3.12", "3.13")
#: What Airflow makes of the provider, beside the pipelines of tests/matrix.
OF_AIRFLOW = (
    "plugin/test_routes",
    "package/test_provider",
    "package/test_provider_commands",
    "hooks/test_connections",
    "hooks/test_connection_form",
    "triggers/test_serialization",
)
#: What needs no Airflow, or what its database is asked for nothing.
EVERYWHERE = ("core", "contract", "testing", "hooks/test_base.py")
#: What runs everywhere; the second row waits for schedulers more than it computes. Emulators and the DAG engine in
#: memory belong to the newest Airflow alone.
TESTS = (
    ("-m", "not slow", "-n", "2", *(f"tests/{name}" for name in EVERYWHERE)),
    ("-n", "3", "--dist", "loadfile", "tests/matrix", *(f"tests/{name}.py" for name in OF_AIRFLOW)),
)
#: The pages in a real browser: once for each Airflow, because no Python changes them.
BROWSER = ("tests/plugin/browser",)
#: Tests that take longer hang.
LONGEST_SECONDS = 900


def main() -> int:
    """Run the chosen cells; the exit code is 0 only if all of them passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", action="append", choices=CONSTRAINTS, help="default: all")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="default: all")
    parser.add_argument("--install", action="store_true", help="make the environments and run nothing")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest")
    chosen = parser.parse_args()
    rows = []
    for airflow, python in itertools.product(chosen.airflow or CONSTRAINTS, chosen.python or PYTHONS):
        print(f"\n=== Airflow {airflow}, Python {python}", flush=True)
        started = time.monotonic()
        interpreter = environment(airflow, python)
        installed = time.monotonic()
        wanted = (*TESTS, BROWSER) if python == (chosen.python or PYTHONS)[0] else TESTS
        results = [] if chosen.install else [run_tests(interpreter, *tests, *chosen.pytest) for tests in wanted]
        rows.append(
            (airflow, python, "passed" if all(results) else "FAILED", installed - started, time.monotonic() - installed)
        )
    print(f"\n{'Airflow':9}{'Python':8}{'result':8}{'install':>9}{'tests':>8}")
    for airflow, python, result, install, tests in rows:
        print(f"{airflow:9}{python:8}{result:8}{install:8.0f}s{tests:7.0f}s")
    return 0 if all(row[2] == "passed" for row in rows) else 1


def run_tests(interpreter: str, *arguments: str) -> bool:
    """Did these tests pass, and did they come to an end?"""
    try:
        done = subprocess.run(
            [interpreter, "-m", "pytest", "-q", *arguments], cwd=ROOT, check=False, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"No end after {LONGEST_SECONDS} s.")
        return False
    return done.returncode == 0


def environment(airflow: str, python: str) -> str:
    """The interpreter of the cell's environment, made or brought up to date."""
    place = ROOT / f".venv-matrix-{airflow}-{python}"
    interpreter = str(place / "bin" / "python")
    stamp = place / "installed"
    sources = [ROOT / CONSTRAINTS[airflow], ROOT / "pyproject.toml", ROOT / "tests/matrix/requirements.txt"]
    if stamp.exists() and all(stamp.stat().st_mtime > source.stat().st_mtime for source in sources):
        return interpreter
    subprocess.run([find_python(python), "-m", "venv", "--clear", str(place)], check=True)
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip", "uv"], check=True)
    wanted = ["--constraint", str(sources[0]), "--editable", str(ROOT), "--requirement", str(sources[2])]
    # As in the Makefile: uv where it reaches a package index, pip where only pip does.
    quick = [interpreter, "-m", "uv", "pip", "install", "--quiet", "--python", interpreter, *wanted]
    if subprocess.run(quick, check=False, stderr=subprocess.DEVNULL).returncode:
        subprocess.run([*pip, *wanted], check=True)
    stamp.touch()
    return interpreter


def find_python(version: str) -> str:
    """An interpreter of this version: on PATH, or among pyenv's, whose shims answer for the chosen one only."""
    candidates = [shutil.which(f"python{version}"), sys.executable]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")), reverse=True)
    for candidate in filter(None, candidates):
        probe = "import sys; print('%d.%d' % sys.version_info[:2])"
        answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return str(candidate)
    sys.exit(f"There is no Python {version} on this machine; install it, or choose others with --python.")


if __name__ == "__main__":
    sys.exit(main())
