"""The benchmark of videos that are called about, in miniature: it runs, and measures what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_small_one_waits_for_calls_and_polls_less() -> None:
    pytest.importorskip("uvloop")
    pytest.importorskip("airflow.providers.http")
    command = [sys.executable, "-m", "tests.benchmarks.bench_called", "--jobs", "4", "--faster", "30"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = re.findall(r"^  (\S.*?) +(-?[\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", ran.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["this package, called", "HttpSensorTrigger"]
    (_, _, _, _, polls), (_, _, _, _, others) = rows
    assert float(polls) < float(others) / 2
