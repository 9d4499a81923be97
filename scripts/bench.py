"""``make bench``: every benchmark in turn; ``--write`` keeps what they print for the README's performance section."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ("bench_import", "bench_simulator", "bench_landing", "bench_polling", "bench_worker_starts")
KEPT = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Run the benchmarks whose names hold one of the arguments, or all."""
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    parts = []
    for name in BENCHMARKS:
        if wanted and not any(part in name for part in wanted):
            continue
        print(f"== {name}", flush=True)
        ran = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        print(ran.stdout, flush=True)
        parts.append(f"`{name}`:\n\n```text\n{ran.stdout.strip()}\n```")
    where = f"Python {platform.python_version()}, Airflow {version('apache-airflow')}, two cores of a shared machine."
    if "--write" in sys.argv:
        KEPT.write_text("\n\n".join([where, *parts]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
