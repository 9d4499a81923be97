"""The suite that every vendor passes, run for those that the package ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.conformance import CHECKS, Check, Subject
from airflow_video_providers.testing.pytest_plugin import video_simulator, video_simulator_server  # noqa: F401

if TYPE_CHECKING:
    from airflow_video_providers.testing.simulator import SimulatorHandle

GATEWAY_WORDS = {
    "QUEUED": JobStatus.QUEUED,
    "PROCESSING": JobStatus.RUNNING,
    "COMPLETED": JobStatus.SUCCEEDED,
    "FAILED": JobStatus.FAILED,
}
#: Jobs in one page of a history: few, so that a check of several pages buys little.
HISTORY_PAGE = 2
CASES: dict[str, dict[str, Any]] = {
    "pixazo:pixverse-v6-text-to-video": {
        "words": {**GATEWAY_WORDS, "ERROR": JobStatus.ERROR},
        "outputs": 3,
        "files": (("video", "application/octet-stream"),) * 3,
    },
    "appypie:mochi-1": {"words": {"completed": JobStatus.SUCCEEDED, "NOT_FOUND": JobStatus.EXPIRED}},
    "segmind:mochi-1": {"words": GATEWAY_WORDS},
    "fal:fal-ai/kling-video/v2.1/standard/text-to-video": {
        "words": {
            "IN_QUEUE": JobStatus.QUEUED,
            "IN_PROGRESS": JobStatus.RUNNING,
            "COMPLETED": JobStatus.SUCCEEDED,
        },
        "files": (("video", "video/mp4"),),
        "headers": {"x-fal-no-retry": "1"},
    },
    "replicate:studio/magica": {
        "words": {
            "starting": JobStatus.QUEUED,
            "processing": JobStatus.RUNNING,
            "succeeded": JobStatus.SUCCEEDED,
            "failed": JobStatus.FAILED,
            "canceled": JobStatus.CANCELLED,
            "aborted": JobStatus.CANCELLED,
        }
    },
    "replicate:deployments/studio/magica": {"words": {"succeeded": JobStatus.SUCCEEDED}},
    f"replicate:studio/magica:{'0a' * 32}": {"words": {"succeeded": JobStatus.SUCCEEDED}},
}


def keys_of(vendor: str) -> list[str]:
    """As fal publishes them, and as Replicate gives them to the account."""
    from airflow_video_providers.core.vendors.signatures import public_keys
    from airflow_video_providers.testing.simulator.signing import WEBHOOK_SECRET, key_set

    return {"fal": public_keys(key_set()), "replicate": [WEBHOOK_SECRET]}[vendor]


def subject_of(name: str, simulator: SimulatorHandle, **case: Any) -> Subject:
    """The subject of a model that ships, at the simulator.

    :param case: What is said of it otherwise than in ``CASES``.
    """
    case = {**CASES[name], **case}
    simulator.configure(frozen_clock=True, outputs=case.get("outputs", 1), history_page=HISTORY_PAGE)
    vendor = catalogue.vendor_of(name)
    model = catalogue.find(name, unchecked=True)
    return Subject(
        vendor=vendor,
        request=model.parse({"prompt": "a paper boat in the rain"}),
        failing=model.parse({"prompt": "[[fault:job_failed]] a paper boat in the rain"}),
        url=simulator.base_url(vendor.id),
        finish=lambda: simulator.advance(600),
        callback_keys=(lambda: keys_of(vendor.id)) if vendor.signs_callbacks() else None,
        history_page=HISTORY_PAGE,
        **case,
    )


@pytest.fixture(params=CASES)
def subject(request: pytest.FixtureRequest, video_simulator: SimulatorHandle) -> Subject:  # noqa: F811  the fixture
    return subject_of(request.param, video_simulator)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Check, subject: Subject) -> None:
    check(subject)
