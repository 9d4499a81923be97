"""A private vendor: one vendor file, one entry point, one simulator file, and everything works with it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.conformance import CHECKS, Check, Subject
from airflow_video_providers.testing.simulator import SimulatorHandle, running
from tests.testing.conformance.installed import forget

if TYPE_CHECKING:
    from collections.abc import Iterator

#: As if the distribution ``lanterna`` were installed: a module and its metadata, on the path.
SITE = Path(__file__).parent


@pytest.fixture(scope="module")
def installed() -> Iterator[None]:
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        yield
    forget()


@pytest.fixture(scope="module")
def simulator(installed: None) -> Iterator[SimulatorHandle]:
    gateway = importlib.import_module("lanterna_simulator").LanternaGateway
    with running(gateway, frozen_clock=True) as handle:
        yield handle


@pytest.fixture
def subject(simulator: SimulatorHandle) -> Subject:
    simulator.reset()
    simulator.configure(queue_seconds=(1, 1), run_seconds=(60, 60))
    return Subject(
        vendor=catalogue.vendors()["lanterna"],
        request=catalogue.find("lanterna:magica").parse({"prompt": "a paper boat in the rain"}),
        failing=catalogue.find("lanterna:magica").parse({"prompt": "[[fault:job_failed]] a paper boat"}),
        url=simulator.base_url("lanterna"),
        words={
            "waiting": JobStatus.QUEUED,
            "rendering": JobStatus.RUNNING,
            "done": JobStatus.SUCCEEDED,
            "failed": JobStatus.FAILED,
        },
        run=lambda: simulator.advance(2),
        finish=lambda: simulator.advance(600),
        outputs=2,
        files=(("video", "video/mp4"), ("last_frame", "image/png")),
        says=("progress", "submitted_at", "completed_at"),
        cost=Decimal("0.20"),
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Check, subject: Subject) -> None:
    check(subject)


def test_it_has_a_hook_a_price_and_parse_time_checks_without_another_line(subject: Subject) -> None:
    from airflow_video_providers.hooks.base import VideoHook

    hook = VideoHook.for_model("lanterna:magica")
    assert (hook.conn_type, hook.conn_id) == ("lanterna", "lanterna_default")
    assert str(subject.request.price()[0]) == "0.20"
    with pytest.raises(InvalidRequestError, match="duration"):
        catalogue.find("lanterna:magica").parse({"prompt": "a boat", "duration": 13})


def test_a_private_model_of_a_known_vendor_is_found_by_its_own_entry_point(installed: None) -> None:
    assert catalogue.find("pixazo:paper-film-image-to-video").__module__ == "studio_models"
    assert "pixazo:paper-film-image-to-video" in catalogue.models()
    assert catalogue.vendor_of("pixazo:paper-film-image-to-video").id == "pixazo"


BUY_AND_LOOK = """
from airflow_video_providers.hooks.base import VideoHook
hook = VideoHook.for_model("lanterna:magica")
print(hook.test_connection())
job = hook.submit("lanterna:magica", {"prompt": "a paper boat in the rain"})
print(job.status, hook.status(job).status)
"""


@pytest.mark.slow
def test_a_process_that_never_heard_of_it_finds_it_by_its_entry_point(
    simulator: SimulatorHandle, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "PYTHONPATH": str(SITE),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_LANTERNA_DEFAULT": json.dumps(simulator.connection("lanterna")),
    }
    done = subprocess.run(
        [sys.executable, "-c", BUY_AND_LOOK], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "info" not in line]
    assert "Lanterna answered and did not refuse the key" in done.stdout
    assert told[-1] == "queued queued"
    assert simulator.violations() == []
