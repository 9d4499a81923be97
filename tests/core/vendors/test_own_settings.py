"""Settings of one vendor in a connection's extra: how they are read, and what a submit carries then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.testing.certification.redaction import HEADERS
from tests.support.vendors import request

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MODELS = {Fal: "fal:fal-ai/kling-video/v2.1", Replicate: "replicate:studio/magica"}
SETTINGS = {Fal: "output_lifetime", Replicate: "cancel_after"}


def headers(vendor: type[Any], value: Any) -> dict[str, str]:
    made = vendor(settings={SETTINGS[vendor]: value, "max_cost_usd": 1})
    return dict(compose(made, request(MODELS[vendor])).headers)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5), ("5", 5), ("5s", 5), ("90s", 90), (" 20M ", 1200), ("1h30m45s", 5445), ("2h30m", 9000), ("1d", 86400)],
)
def test_a_deadline_goes_to_replicate_in_seconds(value: Any, seconds: int) -> None:
    assert headers(Replicate, value) == {"Cancel-After": f"{seconds}s"}


@pytest.mark.parametrize(("value", "seconds"), [("1h", 3600), (86400, 86400), ("7d", 604800), ("never", None)])
def test_a_lifetime_goes_to_fal_in_seconds_or_without_end(value: Any, seconds: int | None) -> None:
    sent = headers(Fal, value)
    assert json.loads(sent.pop("X-Fal-Object-Lifecycle-Preference")) == {"expiration_duration_seconds": seconds}
    assert sent == {"x-fal-no-retry": "1"}


@pytest.mark.parametrize("vendor", MODELS)
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_what_is_not_set_is_not_sent(vendor: type[Any], blank: Any) -> None:
    assert headers(vendor, blank) == dict(compose(vendor(), request(MODELS[vendor])).headers)
    assert SETTINGS[vendor] not in vendor(settings={}).settings


@pytest.mark.parametrize(
    "value",
    [0, -5, 4, True, 5.5, "4s", "soon", "1h 30m", "1h30", "30m1h", "5x", "\u0665s", "9" * 400, 10**12, "20000d", [60], {}, b"60"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_what_is_allowed(value: Any) -> None:
    for vendor, name in SETTINGS.items():
        with pytest.raises(
            InvalidRequestError, match=rf"^{name} in the connection's extra is .* must be seconds"
        ) as caught:
            vendor(settings={name: value})
        assert (caught.value.field, caught.value.charged, caught.value.vendor) == (name, "no", vendor.id)
        assert len(str(caught.value)) < 500


def test_never_and_less_than_an_hour_are_told_apart_per_vendor() -> None:
    with pytest.raises(InvalidRequestError, match="5 seconds at least"):
        Replicate(settings={"cancel_after": "never"})
    with pytest.raises(InvalidRequestError, match='an hour at least, or "never"'):
        Fal(settings={"output_lifetime": "59m"})


def test_another_vendors_setting_is_none() -> None:
    assert Fal(settings={"cancel_after": "soon"}).settings == {}
    assert catalogue.vendors()["pixazo"](settings={"cancel_after": "soon"}).settings == {}


def test_a_transcript_keeps_none_of_it_so_that_two_connections_compare_equal() -> None:
    for vendor, value in ((Fal, "7d"), (Replicate, "1h")):
        made = {name.lower() for name in headers(vendor, value)} - {name.lower() for name in headers(vendor, None)}
        assert made
        assert not made & HEADERS


def polled(vendor: Any, job: VideoJob, *bodies: dict[str, Any]) -> VideoJob:
    answers = iter(bodies)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers)))
    return VideoClient(vendor, "key-of-a-test", transport=transport).status(job)


DONE = ({"status": "COMPLETED"}, {"video": {"url": "https://v3.fal.media/a.mp4"}})


def test_a_finished_job_of_fals_can_be_had_until_its_files_expire() -> None:
    bought = VideoJob(
        model=MODELS[Fal],
        request_id="r1",
        submitted_at=NOW,
        expires_at=NOW + timedelta(days=30),
        status=JobStatus.QUEUED,
    )
    clock = [NOW + timedelta(minutes=10)]
    vendor = Fal(settings={"output_lifetime": "2h"}, now=lambda: clock[0])
    done = polled(vendor, bought, *DONE)
    assert done.expires_at == NOW + timedelta(hours=2, minutes=10)
    clock[0] += timedelta(hours=1)
    assert polled(vendor, done, *DONE).expires_at == done.expires_at, "it does not move"
    running = polled(vendor, bought, {"status": "IN_PROGRESS"})
    assert running.expires_at == bought.expires_at
    for settings in ({}, {"output_lifetime": "never"}, {"output_lifetime": "90d"}):
        assert polled(Fal(settings=settings, now=lambda: NOW), bought, *DONE).expires_at == bought.expires_at


@pytest.mark.parametrize(
    ("word", "error", "settings", "charged", "said"),
    [
        ("aborted", None, {}, "no", "its deadline was over before it had started"),
        ("aborted", "too late", {"cancel_after": 60}, "no", "too late"),
        ("canceled", None, {"cancel_after": "1m"}, "unknown", "by somebody, or by cancel_after of the connection, 60 s after"),
        ("canceled", None, {}, "unknown", None),
        ("failed", None, {"cancel_after": "1m"}, "unknown", None),
    ],
)  # fmt: skip
def test_what_replicate_aborts_before_it_starts_is_not_charged(
    word: str, error: str | None, settings: dict[str, Any], charged: str, said: str | None
) -> None:
    job = VideoJob(model=MODELS[Replicate], request_id="r1")
    seen = polled(Replicate(settings=settings), job, {"id": "r1", "status": word, "error": error})
    assert seen.status is (JobStatus.FAILED if word == "failed" else JobStatus.CANCELLED)
    assert seen.charged == charged
    assert (seen.error or "").startswith(said or "")
    assert bool(seen.error) == bool(said)
