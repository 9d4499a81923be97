"""The vendors' own clients, unmodified, against the simulator: a second opinion that nobody here wrote.

Their pins and this package's exclude each other, so they live in an environment of their own: ``make sdks`` makes it, and
``make test-sdks`` runs these tests with the newest releases instead.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.testing.simulator import fal as simulated_fal
from airflow_video_providers.testing.simulator import replicate as simulated_replicate
from airflow_video_providers.testing.simulator import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("VIDEO_SDKS") or ROOT / ".venv-sdks") / "bin" / "python"
DRIVE = Path(__file__).parent / "sdks" / "drive.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="the clients' own environment is not there: make sdks"),
]


@pytest.fixture
def simulator() -> Iterator[SimulatorHandle]:
    with running(queue_seconds=(0.3, 0.3), run_seconds=(0.3, 0.3)) as handle:
        yield handle


def drive(vendor: str, case: str, simulator: SimulatorHandle) -> dict[str, Any]:
    """What a client made of a case."""
    done = subprocess.run(
        [str(PYTHON), str(DRIVE), vendor, case, simulator.url],
        capture_output=True, text=True, check=False, timeout=60, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fetched(url: str) -> bytes:
    return httpx.get(url, trust_env=False).content[4:8]


def bought(simulator: SimulatorHandle) -> tuple[int, int]:
    told = simulator.ledger()
    assert simulator.violations() == []
    return told["accepted"], told["charges"]


def test_fals_client_submits_waits_and_reads(simulator):
    found = drive("fal", "good", simulator)
    assert (found.get("seen"), found.get("type")) == (["Queued", "Completed"], "video/mp4"), found
    assert fetched(found["video"]) == b"ftyp"
    assert bought(simulator) == (1, 1)


def test_fals_client_reads_a_failed_job_as_completed_with_a_422(simulator):
    found = drive("fal", "fails", simulator)
    assert (found.get("code"), found.get("type")) == (422, "generation_failed"), found
    assert bought(simulator) == (1, 0)


def test_fals_client_reads_a_broken_runner_as_503(simulator):
    found = drive("fal", "breaks", simulator)
    assert (found.get("code"), found.get("type")) == (503, "runner_disconnected"), found


def test_fals_client_cancels(simulator):
    found = drive("fal", "cancel", simulator)
    assert (found.get("seen"), found.get("after")) == (["Queued"], "Completed"), found
    assert bought(simulator) == (1, 0)


@pytest.mark.parametrize("case", ["model", "version", "deployment"])
def test_replicates_client_creates_waits_reads_and_lists(case, simulator):
    found = drive("replicate", case, simulator)
    assert (found.get("seen"), found.get("error")) == (["starting", "succeeded"], None), found
    assert fetched(found["video"]) == b"ftyp"
    assert found["listed"] == [found["id"]]
    assert bought(simulator) == (1, 1)


def test_replicates_client_reads_a_failure_and_cancels(simulator):
    found = drive("replicate", "fails", simulator)
    assert (found.get("seen"), found.get("error")) == (["starting", "failed"], "too dark"), found
    found = drive("replicate", "cancel", simulator)
    assert found.get("seen") == ["starting", "canceled"], found
    assert bought(simulator) == (2, 0)


def test_segminds_client_submits_waits_reads_and_hears_of_a_failure(simulator):
    found = drive("segmind", "good", simulator)
    assert found.get("seen") == ["COMPLETED"], found
    assert fetched(found["video"]) == b"ftyp"
    assert drive("segmind", "fails", simulator).get("error") == "too dark"


def renamed(name: str) -> Callable[..., Any]:
    """An answer of the simulator's in which one field has another name."""

    def spoil(body: dict[str, Any]) -> dict[str, Any]:
        return {f"{key}_" if key == name else key: value for key, value in body.items()}

    return spoil


@pytest.mark.parametrize("name", ["request_id", "response_url", "status_url", "cancel_url"])
def test_a_field_of_fals_that_the_simulator_names_wrongly_fails_its_client(name, simulator, monkeypatch):
    right = simulated_fal._addresses
    monkeypatch.setattr(simulated_fal, "_addresses", lambda *given: renamed(name)(right(*given)))
    assert "KeyError" in drive("fal", "good", simulator).get("raised", "")


@pytest.mark.parametrize("name", ["id", "status", "output"])
def test_a_field_of_replicates_that_the_simulator_names_wrongly_fails_its_client(name, simulator, monkeypatch):
    right = simulated_replicate.Replicate._prediction
    monkeypatch.setattr(simulated_replicate.Replicate, "_prediction", lambda *given: renamed(name)(right(*given)))
    found = drive("replicate", "model", simulator)
    assert found.get("raised") or not found["video"], found


@pytest.mark.parametrize(
    ("name", "call"),
    [("request_id", "submit"), ("status_url", "submit"), ("response_url", "submit"), ("status", "status")],
)
def test_a_field_of_segminds_that_the_simulator_names_wrongly_fails_its_client(name, call, simulator):
    simulator.fault(f"rename:{name}={name}_", vendor="segmind", on=call, count=None)
    assert drive("segmind", "good", simulator).get("raised")
