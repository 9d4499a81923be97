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

from airflow_video_providers.testing.simulator import running

if TYPE_CHECKING:
    from collections.abc import Iterator

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


#: What each case comes to where the simulator answers as the client's own code expects. Segmind's client cancels nothing.
RIGHT: dict[tuple[str, str], dict[str, Any]] = {
    ("fal", "good"): {"seen": ["Queued", "Completed"], "type": "video/mp4"},
    ("fal", "fails"): {"seen": ["Queued"], "code": 422, "type": "generation_failed"},
    ("fal", "breaks"): {"seen": ["Queued"], "code": 503, "type": "runner_disconnected"},
    ("fal", "cancel"): {"seen": ["Queued"], "after": "Completed"},
    ("replicate", "model"): {"seen": ["starting", "succeeded"], "error": None},
    ("replicate", "version"): {"seen": ["starting", "succeeded"], "error": None},
    ("replicate", "deployment"): {"seen": ["starting", "succeeded"], "error": None},
    ("replicate", "fails"): {"seen": ["starting", "failed"], "error": "too dark"},
    ("replicate", "cancel"): {"seen": ["starting", "canceled"]},
    ("segmind", "good"): {"seen": ["COMPLETED"]},
    ("segmind", "fails"): {"error": "too dark"},
    ("segmind", "cancel"): {"cancels": []},
}
LANDS = {("fal", "good"), ("segmind", "good"), *(("replicate", case) for case in ("model", "version", "deployment"))}


def right(vendor: str, case: str, found: dict[str, Any]) -> bool:
    """Did the client make of the case what it should?"""
    wanted = RIGHT[vendor, case]
    lands = (vendor, case) in LANDS
    whole = not lands or (bool(found.get("video")) and fetched(found["video"]) == b"ftyp")
    return whole and {name: found.get(name, "nothing") for name in wanted} == wanted


@pytest.mark.parametrize(("vendor", "case"), RIGHT, ids=["-".join(case) for case in RIGHT])
def test_a_vendors_own_client_submits_waits_and_reads_hears_of_a_failure_and_cancels(vendor, case, simulator):
    found = drive(vendor, case, simulator)
    assert right(vendor, case, found), found
    if (vendor, case) == ("segmind", "cancel"):
        return
    lands = (vendor, case) in LANDS
    assert bought(simulator) == (1, int(lands))
    if vendor == "replicate" and lands:
        assert found["listed"] == [found["id"]]
    if case == "version":
        assert simulator.requests("replicate")[0]["path"] == "/v1/predictions"


#: One field of one answer, which the simulator names wrongly.
BREAKS = [
    ("fal", "good", "submit", "request_id"), ("fal", "good", "submit", "status_url"), ("fal", "good", "submit", "response_url"),
    ("fal", "good", "status", "status"), ("fal", "good", "result", "video"), ("fal", "fails", "status", "status"),
    ("fal", "fails", "status", "logs"), ("fal", "breaks", "submit", "response_url"), ("fal", "cancel", "submit", "cancel_url"),
    ("fal", "cancel", "status", "status"), ("replicate", "model", "submit", "id"), ("replicate", "model", "status", "output"),
    ("replicate", "version", "submit", "status"), ("replicate", "deployment", "submit", "id"),
    ("replicate", "fails", "status", "error"), ("replicate", "fails", "submit", "status"), ("replicate", "cancel", "submit", "id"),
    ("segmind", "good", "submit", "request_id"), ("segmind", "good", "submit", "status_url"),
    ("segmind", "good", "submit", "response_url"), ("segmind", "good", "status", "status"), ("segmind", "fails", "status", "error"),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "case", "call", "name"), BREAKS, ids=["-".join(case) for case in BREAKS])
def test_a_field_that_the_simulator_names_wrongly_fails_the_client_in_each_of_these(
    vendor, case, call, name, simulator
):
    simulator.fault(f"rename:{name}={name}_", vendor=vendor, on=call, count=None)
    assert not right(vendor, case, drive(vendor, case, simulator))


def test_each_way_of_each_client_has_a_field_that_fails_it():
    assert {(vendor, case) for vendor, case, *_ in BREAKS} == RIGHT.keys() - {("segmind", "cancel")}
