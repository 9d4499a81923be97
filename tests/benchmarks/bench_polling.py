"""Benchmarks of the waiting: ``python -m tests.benchmarks.bench_polling [detection] [size] [cpu] [--rounds N]``.

Ratios within one run, rounds interleaved, medians. Needs the peers' providers (dependency group ``bench``).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version

from tests.benchmarks.status_server import certificate

PACKAGES = (
    "apache-airflow",
    "httpx",
    "aiohttp",
    "apache-airflow-providers-http",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-databricks",
)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["detection", "cpu", "size", []], help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    chosen = parser.parse_args()
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bench-"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", end="; ")
    print(", ".join(f"{package} {_version(package)}" for package in PACKAGES))
    certificate()
    from tests.benchmarks import bench_polling_cpu, bench_polling_detection, bench_polling_size

    parts = chosen.parts or ["detection", "size", "cpu"]
    if "detection" in parts:
        bench_polling_detection.main()
    if "size" in parts:
        bench_polling_size.main(chosen.rounds)
    if "cpu" in parts:
        bench_polling_cpu.main(chosen.rounds)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
