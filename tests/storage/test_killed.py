"""kill -9 at any moment: no partial object is ever visible, and a retry ends right with one more download at most.

Three fixed moments per storage; ``LANDING_KILLS=20`` adds as many random ones.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.util
import os
import random
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.landing import land
from tests.faults.landing.clips import mp4
from tests.storage import victim

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.landing.server import Exchange, FaultServer
    from tests.storage.emulators import Backend

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # how gcsfs speaks to aiohttp
]
CLIP = mp4(20 * 1024 * 1024, seed=4)
KEY = "provider=pixazo/model=mochi-v1/dt=unknown/req-1"
FIXED = ["download", "upload", "manifest"]
MOMENTS = FIXED + [f"random {number}" for number in range(int(os.environ.get("LANDING_KILLS", "0")))]
_KEPT = ("AIRFLOW_", "GCSFS_", "PATH", "HOME")


@pytest.fixture(scope="module")
def process_of() -> Any:
    """Makes processes from one that has imported everything, so that a kill hits the landing and not an import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["s3fs", "gcsfs", "adlfs", "airflow_video_providers.core.landing.land", "tests.storage.victim"]
    )
    multiprocessing.util.get_temp_dir()  # it outlives the directory of the first test
    return context.Process


@pytest.fixture
def scene(
    backend: Backend, prefix: str, server: FaultServer, process_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Scene(backend, prefix, server, process_of, tmp_path)


class Scene:
    """A killed landing, and the one after it."""

    def __init__(self, backend: Backend, prefix: str, server: FaultServer, process_of: Any, directory: Path) -> None:
        self.backend, self.prefix, self.server = backend, prefix, server
        self._process_of, self._directory = process_of, directory
        output = VideoOutput(url=server.serve(prefix, self._answer))
        self.job = VideoJob(model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, outputs=(output,))

    @staticmethod
    def _answer(exchange: Exchange) -> None:
        exchange.whole(CLIP)

    def start(self, moment: str) -> Any:
        environment = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        environment["TMPDIR"] = str(self._directory)
        where = f"{self.backend.root}/{self.prefix}"
        process = self._process_of(target=victim.run, args=(environment, self.job.to_dict(), where, moment))
        process.start()
        return process

    def nothing_partial_is_visible(self) -> None:
        for key, data in self.backend.objects(self.prefix).items():
            if key.endswith(".part"):
                continue  # on disk: hidden, and no video's name
            assert key in (f"{KEY}/0.mp4", f"{KEY}/manifest.json")
            assert not key.endswith(".mp4") or data == CLIP

    def a_retry_ends_right(self) -> None:
        manifest = land(self.job, f"{self.backend.root}/{self.prefix}", allow_private_hosts=["127.0.0.1"])
        assert manifest["outputs"][0]["sha256"] == hashlib.sha256(CLIP).hexdigest()
        stored = self.backend.objects(self.prefix)
        assert set(stored) == {f"{KEY}/0.mp4", f"{KEY}/manifest.json"}  # what the dead one left is swept
        assert stored[f"{KEY}/0.mp4"] == CLIP
        assert not [path for path in self._directory.iterdir() if path.name.endswith(".part")]
        assert len(self.server.asked(self.prefix)) <= 2


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_landing_that_is_killed_leaves_nothing_partial(scene: Scene, moment: str) -> None:
    if moment in FIXED:
        process = scene.start(moment)
        process.join(60)
        assert process.exitcode == -9
    else:
        seed = random.SystemRandom().randrange(10**9)
        pause = random.Random(seed).uniform(0.0, 1.2)  # noqa: S311 - a moment, no secret
        process = scene.start("")
        while not scene.server.asked(scene.prefix) and process.is_alive():
            time.sleep(0.002)  # from the first request on it gets interesting
        process.join(pause)
        process.kill()
        process.join()
        print(f"seed {seed}: killed {pause:.3f} s after the request, exit {process.exitcode}")
    scene.nothing_partial_is_visible()
    scene.a_retry_ends_right()
