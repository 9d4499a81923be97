"""``make bench``: every benchmark in turn; ``--write`` keeps what they print for the page about performance.

With arguments, only those whose names hold one of them: ``python scripts/bench.py --write size cpu``.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A module of ``tests.benchmarks``, and its arguments.
BENCHMARKS = (
    "bench_import",
    "bench_console",
    "bench_simulator",
    "bench_landing",
    "bench_polling detection",
    "bench_finished",
    "bench_callbacks",
    "bench_called",
    "bench_polling size",
    "bench_polling cpu",
    "bench_worker_starts",
)
KEPT = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Run the benchmarks whose names hold one of the arguments, or all."""
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    printed = {}
    for name in BENCHMARKS:
        if wanted and not any(part in name for part in wanted):
            continue
        print(f"== {name}", flush=True)
        module, *arguments = name.split()
        ran = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        print(ran.stdout, flush=True)
        printed[name] = ran.stdout.strip()
    if "--write" in sys.argv:
        keep(printed)
    return 0


def keep(printed: dict[str, str]) -> None:
    """Put what was printed in the place of what an earlier run of the same benchmarks has printed."""
    kept = dict(re.findall(r"^`(.+?)`:\n\n```text\n(.+?)\n```$", KEPT.read_text(), re.DOTALL | re.MULTILINE)) | printed
    where = f"Python {platform.python_version()}, Airflow {version('apache-airflow')}, two cores of a shared machine."
    parts = [f"`{name}`:\n\n```text\n{kept[name]}\n```" for name in BENCHMARKS if name in kept]
    KEPT.write_text("\n\n".join([where, *parts]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
