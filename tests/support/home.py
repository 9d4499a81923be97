"""A throw-away Airflow: a home with a migrated SQLite database, and processes that see nothing else.

``airflow db migrate`` costs six seconds and more, so that one run of the tests does it once, for all of its workers,
and everybody gets a copy.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

#: Any number of busy neighbours may share the machine: this ends what hangs, and measures nothing.
PATIENCE = 900


def new_home(factory: pytest.TempPathFactory) -> Path:
    """A home with a database of its own; the first call of a whole run of pytest makes the original."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return copy_of(original(shared / "airflow-original"), factory.mktemp("airflow"))


def original(folder: Path) -> Path:
    """A migrated home in this folder, made by the first who asks; the others wait for it."""
    folder.mkdir(exist_ok=True)
    done = folder / "migrated"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run_python(environment(folder), "-m", "airflow", "db", "migrate")
            done.touch()
    return folder


def copy_of(home: Path, folder: Path) -> Path:
    """Another home, with a copy of the database."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(home / "airflow.db", folder)
    return folder


def environment(home: Path, *more: Mapping[str, str], dags: Path | None = None) -> dict[str, str]:
    """The environment of an Airflow in this home: nothing of the user's own Airflow is read or changed.

    :param more: What else to set.
    :param dags: The folder of its DAGs.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)  # every process of Airflow would compile all of it anew
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
    }
    if dags is not None:
        own["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
    for given in more:
        own |= given
    return clean | own


def run_python(env: Mapping[str, str], *arguments: str, stdin: str | None = None) -> str:
    """What a fresh Python says, on both of its outputs; it has to end well."""
    done = subprocess.run(
        [sys.executable, *arguments], env=dict(env), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout
