"""What a DAG file pays to import the operators and the sensor, beside what it pays for the http provider.

    python tests/benchmarks/bench_import.py

Fresh processes, taken in turns, so that a busy machine slows both alike; CPU time on top of ``airflow.sdk``, the
median of five. Nothing is asserted by time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5
OURS = ("airflow_video_providers.operators.video", "airflow_video_providers.sensors.video")
THEIRS = ("airflow.providers.http.operators.http",)

_MEASURE = """
import importlib, json, sys, time
import airflow.sdk
before = set(sys.modules)
start = time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""


def measure(names: tuple[str, ...], folder: str) -> tuple[float, list[str]]:
    """CPU seconds of importing ``names`` on top of ``airflow.sdk`` in a fresh process, and the modules it loaded."""
    environment = {**os.environ, "AIRFLOW_HOME": folder, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as in production, only the first import compiles
    command = [sys.executable, "-c", _MEASURE, *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["modules"]


def main() -> None:
    """Print both medians, their ratio, and how many modules come with ours."""
    with tempfile.TemporaryDirectory() as folder:
        measure(OURS, folder)
        measure(THEIRS, folder)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            seconds, modules = measure(OURS, folder)
            ours.append(seconds)
            theirs.append(measure(THEIRS, folder)[0])
    own = [name for name in modules if name.partition(".")[0] == "airflow_video_providers"]
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"CPU of an import on top of airflow.sdk, median of {ROUNDS} fresh processes each, taken in turns:")
    print(
        f"  operators and sensor of this package  {mine * 1000:7.1f} ms  ({len(own)} own modules, {len(modules) - len(own)} others)"
    )
    print(f"  airflow.providers.http operators      {other * 1000:7.1f} ms")
    print(f"  ratio                                  1 / {other / mine:.1f}")


if __name__ == "__main__":
    main()
