"""Every module of the package imports on the Airflow that is installed, and none of them by a deprecated road."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import subprocess
import sys

import pytest

import airflow_video_providers

# Each in a process of its own would take minutes; all in one still starts from nothing, unlike the test process.
IMPORT_ALL = """
import importlib, json, sys, warnings
from airflow.exceptions import RemovedInAirflow4Warning
told = {}
for name in sys.argv[1:]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            importlib.import_module(name)
        except Exception as error:
            told[name] = f"{type(error).__name__}: {error}"
    for warning in caught:
        if "airflow_video_providers" in warning.filename and issubclass(warning.category, DeprecationWarning):
            told[name] = str(warning.message)
print("TOLD " + json.dumps(told))
"""
#: Modules that the others import only where it is there.
NEEDS = {
    "airflow_video_providers.integration.retry_policy": "airflow.sdk.definitions.retry_policy",  # Airflow 3.3
    "airflow_video_providers.integration.openlineage": "airflow.providers.openlineage",
}


def modules() -> list[str]:
    found = pkgutil.walk_packages(airflow_video_providers.__path__, "airflow_video_providers.")
    return [
        module.name
        for module in found
        if not module.name.endswith("__main__") and (module.name not in NEEDS or is_there(NEEDS[module.name]))
    ]


def is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


@pytest.mark.slow
def test_every_module_imports_and_none_by_a_road_that_airflow_has_deprecated():
    names = modules()
    assert len(names) > 50
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.rpartition("TOLD ")[2]) == {}
