"""Bad input gets a clear error: its class, its remedy, what it means for the bill, and never the key."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from airflow_video_providers.core.client import driver, timeouts
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.pixazo import MochiV1
from tests.support.submitting import KEY, ONE_OF_EACH, V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

IMAGE = "pixazo:pixverse-v6-image-to-video"


@pytest.fixture
def desk(video_simulator):
    return Desk(video_simulator)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(driver, "with_jitter", lambda _: 0.0)
    monkeypatch.setattr(timeouts, "SUBMIT", httpx.Timeout(0.3))


# --- when the DAG is parsed --------------------------------------------------------------------------------------

LITERALS = {
    "wrong type": (V6, {"prompt": "a fox", "duration": "long"}, "duration", "a whole number"),
    "out of range": (V6, {"prompt": "a fox", "duration": 99}, "duration", "from 1 to 15"),
    "not in the list": (V6, {"prompt": "a fox", "resolution": "8K"}, "resolution", "1080p"),
    "no prompt": (V6, {"duration": 5}, "prompt", "lacks"),
    "blank prompt": (V6, {"prompt": "  "}, "prompt", "blank"),
    "unknown field": (V6, {"prompt": "a fox", "sedd": 1}, "sedd", "extra_fields"),
    "an image at no address": (IMAGE, {"prompt": "a fox", "image_url": "fox.png"}, "image_url", "http"),
}


@pytest.mark.parametrize(("model", "request_", "field", "hint"), LITERALS.values(), ids=LITERALS)
def test_a_literal_mistake_fails_when_the_dag_is_parsed(desk, model, request_, field, hint):
    with pytest.raises(InvalidRequestError) as caught:
        desk.submit(model, request_)
    assert caught.value.field == field
    assert hint in str(caught.value)
    assert "Nothing was charged." in str(caught.value)
    assert model in str(caught.value)


def test_an_unknown_model_is_told_with_the_nearest_one(desk):
    with pytest.raises(InvalidRequestError, match="pixazo:mochi-v1"):
        desk.submit("pixazo:mochi-v2")


def test_neither_request_nor_request_id_is_a_mistake(desk):
    with pytest.raises(InvalidRequestError, match="neither"):
        desk.submit(request_id=None)


def test_a_typed_request_for_another_model_is_a_mistake(desk):
    with pytest.raises(InvalidRequestError, match="Name the same model in both"):
        desk.submit(V6, MochiV1(prompt="a fox"))


# --- after rendering, before anything is sent ----------------------------------------------------------------------

TEMPLATES = {
    "unknown model": ("{{ 'pixazo:mochi-v2' }}", {"prompt": "a fox"}, "pixazo:mochi-v1"),
    "wrong type": (V6, {"prompt": "a fox", "duration": "{{ 'long' }}"}, "duration"),
    "out of range": (V6, {"prompt": "a fox", "duration": "{{ 99 }}"}, "from 1 to 15"),
    "not in the list": (V6, {"prompt": "a fox", "resolution": "{{ '8K' }}"}, "1080p"),
    "blank prompt": (V6, {"prompt": "{{ '' }}"}, "prompt"),
    "an image at no address": (IMAGE, {"prompt": "a fox", "image_url": "{{ 'ftp://h/x' }}"}, "http"),
    "a request that is no dict": (V6, "{{ 'a fox' }}", "Give a dict"),
}


@pytest.mark.parametrize(("model", "request_", "hint"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_mistake_that_only_rendering_shows_is_refused_and_sends_nothing(desk, model, request_, hint):
    outcome = desk.run(desk.submit(model, request_), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert hint in str(outcome.error)
    assert "Nothing was charged." in str(outcome.error)
    assert desk.bodies() == []
    assert desk.airflow.store == {}, "what was never to be sent is no intent"


def test_extra_fields_do_not_bypass_the_checks_of_known_ones(desk):
    outcome = desk.run(desk.submit(extra_fields={"duration": 99}))
    assert "Move it into request" in str(outcome.error)
    assert desk.bodies() == []


# --- the connection ------------------------------------------------------------------------------------------------

CONNECTIONS = {
    "missing": (None, "AIRFLOW_CONN_PIXAZO_DEFAULT"),
    "another vendor's": ({"conn_type": "segmind"}, "correct its type"),
    "empty key": ({"password": ""}, "Set its password to the API key"),
    "no key": ({"password": None}, "Set its password to the API key"),
    "a key with a line break": ({"password": "sk\nlive"}, "Set the connection's password"),
    "key in clear to a public host": ({"host": "http://vendor.example"}, "Use https"),
    "a host that is no address": ({"host": "https://"}, "Write it as https://host"),
    "a price that is none": ({"extra": {"prices": {V6: "cheap"}, "allow_private_hosts": "127.0.0.1"}}, "US dollars"),
}


@pytest.mark.parametrize(("changes", "hint"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_wrong_connection_is_told_before_an_intent_is_stored(desk, changes, hint):
    if changes is None:
        desk.airflow.connections.clear()
    else:
        desk.airflow.connections["pixazo_default"] |= changes
    outcome = desk.run(desk.submit(), retries=3)
    state = "failed" if changes is not None else "up_for_retry"  # Airflow says the same while it is away itself
    assert (outcome.state, type(outcome.error).__name__) == (state, "InvalidRequestError")
    assert hint in str(outcome.error)
    assert desk.bodies() == []
    assert desk.airflow.store == {}
    assert "sk\nlive" not in desk.left_behind(outcome)


# --- what vendors answer -------------------------------------------------------------------------------------------

UNKNOWN = ("SubmissionOutcomeUnknownError", "unknown", "failed", "console")
ANSWERS = {
    "error_401": ("AuthenticationError", "no", "failed", "Check the API key"),
    "error_403": ("AuthenticationError", "no", "failed", "Check the API key"),
    "error_402": ("InsufficientCreditsError", "no", "failed", "Top up"),
    "error_400": ("RequestRejectedError", "no", "failed", "Correct the request"),
    "error_422": ("RequestRejectedError", "no", "failed", "Correct the request"),
    "model_not_found": ("RequestRejectedError", "no", "failed", "Correct the request"),
    "redirect": ("RequestRejectedError", "no", "failed", "Check the connection's host"),
    "rate_limited": ("RateLimitedError", "no", "up_for_retry", "requests_per_minute"),
    "rate_limited_retry_after:600": ("RateLimitedError", "no", "up_for_retry", "Wait"),
    "http_503:600": ("VendorUnavailableError", "no", "up_for_retry", "Run the task again"),
    "http_408": UNKNOWN,
    "error_500": UNKNOWN,
    "http_502": UNKNOWN,
    "http_503": UNKNOWN,
    "http_504_after_accept": UNKNOWN,
    "hang": UNKNOWN,
    "drop_before_read": UNKNOWN,
    "drop_after_accept": UNKNOWN,
    "drop_mid_body": UNKNOWN,
    "html_200": UNKNOWN,
    "truncated_json": UNKNOWN,
    "empty_body": UNKNOWN,
    "no_id": UNKNOWN,
}


@pytest.mark.parametrize("vendor", ONE_OF_EACH)
@pytest.mark.parametrize("fault", ANSWERS)
def test_each_answer_is_its_own_error_and_keeps_the_key_to_itself(desk, vendor, fault):
    name, charged, state, remedy = ANSWERS[fault]
    desk.simulator.fault(fault, count=None, on="submit")
    outcome = desk.run(desk.submit(ONE_OF_EACH[vendor]), retries=3)
    assert (type(outcome.error).__name__, outcome.error.charged, outcome.state) == (name, charged, state)
    text = str(outcome.error)
    assert remedy in text
    assert f"[vendor={vendor}, model={ONE_OF_EACH[vendor]}]" in text
    assert ("Nothing was charged." if charged == "no" else "It may have been charged") in text
    assert "request_id" not in desk.airflow.xcoms
    assert KEY not in desk.left_behind(outcome)
    assert quote(KEY) not in desk.left_behind(outcome)
    assert desk.simulator.violations() == []


@pytest.mark.parametrize("fault", ["error_406", "error_402"])
def test_segmind_says_no_credits_with_two_codes(desk, fault):
    desk.simulator.fault(fault, on="submit")
    outcome = desk.run(desk.submit("segmind:mochi-1"), retries=3)
    assert (type(outcome.error).__name__, outcome.state) == ("InsufficientCreditsError", "failed")


def test_segminds_other_406_is_not_about_credits(desk):
    desk.simulator.fault("wrong_content_type", on="submit")
    outcome = desk.run(desk.submit("segmind:mochi-1"))
    assert type(outcome.error).__name__ == "RequestRejectedError"


def test_an_empty_wallet_is_told_before_a_job_is_made(desk):
    desk.simulator.configure(credits=0)
    outcome = desk.run(desk.submit(), retries=3)
    assert type(outcome.error).__name__ == "InsufficientCreditsError"
    assert desk.accepted == 0


def test_a_bad_key_is_not_shown(desk):
    desk.connect("pixazo", password="bad-and-secret")
    outcome = desk.run(desk.submit(), retries=3)
    assert type(outcome.error).__name__ == "AuthenticationError"
    assert "bad-and-secret" not in desk.left_behind(outcome)


def test_a_vendor_that_nobody_runs_is_unavailable_and_passing(desk):
    desk.connect("pixazo", host="http://127.0.0.1:9/pixazo")
    outcome = desk.run(desk.submit(), retries=3)
    assert (type(outcome.error).__name__, outcome.error.charged) == ("VendorUnavailableError", "no")
    assert outcome.state == "up_for_retry"
