"""The benchmark of finished videos, in miniature: it runs, and measures what it says."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.bench_finished import POPULATIONS, Population
from tests.benchmarks.status_server import _ID, finishing_id

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_small_one_prints_a_line_for_each_contender() -> None:
    pytest.importorskip("uvloop")
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.bench_finished",
        "--jobs",
        "3",
        "--rounds",
        "1",
        "--faster",
        "200",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    own = re.findall(r"^  this package +([\d.]+) +([\d.]+) +([\d.]+)$", ran.stdout, re.MULTILINE)
    assert len(own) == len(POPULATIONS)
    for cpu, notice, polls in own:
        assert float(cpu) > 0
        assert float(notice) >= 0
        assert float(polls) >= 1
    assert "Warm-up, not measured" in ran.stdout


def test_a_population_is_the_same_in_every_run_and_has_its_median() -> None:
    for models in POPULATIONS.values():
        videos = Population(models, 1.0).videos(3000, random.Random(1))  # noqa: S311 # not a secret
        assert videos == Population(models, 1.0).videos(3000, random.Random(1))  # noqa: S311 # not a secret
        first = sorted(seconds for model, seconds in videos if model == videos[0][0])
        assert first[len(first) // 2] == pytest.approx(models[0][0], rel=0.1)


@pytest.mark.parametrize(
    "asked",
    ["GET /v2/requests/status/{} HTTP/1.1", "GET /api/v2/accounts/1/runs/{}/ HTTP/1.1", '{{"run_id": {}}}'],
)
def test_the_server_reads_when_a_job_ends_from_its_id(asked: str) -> None:
    found = _ID.search(asked.format(finishing_id(1_800_000_000.25, 7)).encode())
    assert found is not None
    assert int(found[1]) == 1_800_000_000_250
