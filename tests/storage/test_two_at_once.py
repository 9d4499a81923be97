"""Two processes that land the same job at the same moment: the videos are right, and one manifest vouches for them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import LandingError
from tests.storage.test_landing import KEY, SMALL, job_for, put, whole

if TYPE_CHECKING:
    from tests.faults.landing.server import FaultServer
    from tests.storage.emulators import Backend

pytestmark = pytest.mark.slow


# Google's emulator ignores the precondition
@pytest.mark.parametrize("backend", ["file", "s3", "abfs"], indirect=True)
@pytest.mark.parametrize("overwrite", [False, True])
def test_whoever_reports_a_landing_leaves_its_manifest(
    overwrite: bool, backend: Backend, prefix: str, server: FaultServer
) -> None:
    lost: list[str] = []
    landed = 0
    for number in range(40 if backend.name == "file" else 12):
        place = f"{prefix}-{number}"
        job = job_for(server.serve(place, whole(SMALL)))
        together = threading.Barrier(2)

        def go(job: Any = job, place: str = place, together: threading.Barrier = together) -> bool:
            together.wait()
            try:
                put(job, f"{backend.root}/{place}", overwrite=overwrite)
            except LandingError as failed:
                if not overwrite or failed.reason != "replaced":
                    raise  # only who asked to replace may be told that somebody else did, and tries again
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            done = [future.result() for future in [pool.submit(go), pool.submit(go)]]
        stored = backend.objects(place)
        landed += any(done)
        if any(done) and (stored.get(f"{KEY}/0.mp4") != SMALL or f"{KEY}/manifest.json" not in stored):
            lost.append(place)
        elif any(done):
            assert json.loads(stored[f"{KEY}/manifest.json"])["outputs"][0]["bytes"] == len(SMALL)
    assert lost == []
    assert landed
