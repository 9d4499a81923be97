from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    JobTimeoutError,
    LedgerError,
    RateLimitedError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
)
from airflow_video_providers.hooks.appypie import AppyPieHook
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.hooks.segmind import SegmindHook
from airflow_video_providers.integration import retries
from airflow_video_providers.integration.retries import failed, for_airflow, with_retry_policy
from tests.support.vendors import KEY, MODELS, SMALLEST, answer, job, request, scripted
from tests.support.versions import needs_retry_policies

TASK = SimpleNamespace(task_id="clip", log=logging.getLogger(__name__))
HOOKS = {"pixazo": PixazoHook, "appypie": AppyPieHook, "segmind": SegmindHook}


@pytest.fixture
def connect(monkeypatch):
    """Put a connection where Airflow looks first."""

    def put(conn_id, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"password": KEY, **fields}))

    return put


@pytest.fixture
def hook_with(connect):
    """A hook whose client gets scripted answers."""

    def make(vendor, *answers):
        connect(f"{vendor}_default", conn_type=vendor)
        hook, script = HOOKS[vendor](), scripted(*answers)
        hook.__dict__["_client"] = script.client(vendor)
        return hook, script

    return make


@pytest.mark.parametrize("vendor", HOOKS)
def test_a_hook_is_named_after_its_vendor(vendor):
    kind = HOOKS[vendor]
    assert (kind.conn_type, kind.default_conn_name, kind.conn_name_attr) == (vendor, f"{vendor}_default", "conn_id")
    assert kind().conn_id == f"{vendor}_default"
    assert kind("mine").conn_id == "mine"


@pytest.mark.parametrize("model", SMALLEST)
def test_the_hook_of_a_model_is_its_vendors(model):
    hook = VideoHook.for_model(model)
    assert type(hook) is HOOKS[model.partition(":")[0]]
    assert VideoHook.for_model(model, "mine").conn_id == "mine"


def test_an_order_whose_image_still_lies_in_storage_is_not_sent(hook_with, tmp_path):
    hook, script = hook_with("pixazo", answer(200, {"request_id": "r-1"}))
    (tmp_path / "fox.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    order = hook.order(request("pixazo:pixverse-v6-image-to-video", image_url=str(tmp_path / "fox.png")))
    with pytest.raises(InvalidRequestError, match=r"hook\.lent") as refused:
        hook.send(order)
    assert refused.value.charged == "no"
    assert script.sent == []


def test_there_is_no_hook_for_an_unknown_model():
    with pytest.raises(InvalidRequestError, match="nearest"):
        VideoHook.for_model("pixazo:mochi")


def test_a_missing_connection_says_how_to_add_it_and_that_airflow_may_have_been_away():
    with pytest.raises(InvalidRequestError) as caught:
        PixazoHook("nowhere_to_be_found").get_conn()
    assert isinstance(caught.value.__cause__, AirflowNotFoundException)
    assert caught.value.retryable
    for part in ("'nowhere_to_be_found'", "not defined, or Airflow's database", "'pixazo'",
                 "AIRFLOW_CONN_NOWHERE_TO_BE_FOUND", "Nothing was charged."):  # fmt: skip
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "error", [ConnectionError("vault says s3cret"), PermissionError("denied"), RuntimeError("API_SERVER_ERROR")]
)
async def test_whatever_a_look_up_raises_is_an_outage_that_a_retry_may_outlive(monkeypatch, error):
    def refuse(_):
        raise error

    monkeypatch.setattr(PixazoHook, "get_connection", staticmethod(refuse))
    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", refuse)
    hook = PixazoHook("mine")

    async def in_a_worker():
        return hook.get_conn()

    for look_up in (in_a_worker, hook.aget_settings):
        with pytest.raises(InvalidRequestError) as caught:
            await look_up()
        assert (caught.value.charged, caught.value.retryable) == ("no", True)
        assert type(error).__name__ in str(caught.value)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("extra", ["{", "[" * 100_000, "[1]", "NaN"])
def test_an_extra_that_is_no_json_object_is_the_connections_own_mistake(monkeypatch, extra):
    connection = SimpleNamespace(
        conn_id="mine", conn_type="pixazo", host=None, schema=None, port=None, password=KEY, extra=extra
    )
    monkeypatch.setattr(PixazoHook, "get_connection", staticmethod(lambda _: connection))
    with pytest.raises(InvalidRequestError, match="extra") as caught:
        PixazoHook("mine").get_conn()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"conn_type": "segmind"}, "Name the right connection"),
        ({"conn_type": "pixazo", "password": ""}, "Set its password"),
        ({"conn_type": "pixazo", "host": "http://gateway.example"}, "Use https"),
        ({"conn_type": "pixazo", "extra": {"status_route": "newest"}}, "default, legacy"),
    ],
)
def test_a_wrong_connection_is_refused_with_what_to_correct(connect, fields, remedy):
    connect("mine", **fields)
    with pytest.raises(InvalidRequestError, match=remedy) as caught:
        PixazoHook("mine").get_conn()
    assert KEY not in str(caught.value)
    assert caught.value.charged == "no"


def test_a_connection_names_address_key_and_status_route(connect):
    connect("mine", conn_type="pixazo", host="https://gateway.example/v", extra={"status_route": "legacy"})
    client = PixazoHook("mine").get_conn()
    assert (client.vendor.url, client.vendor.status_route) == ("https://gateway.example/v", "legacy")
    assert client._key == KEY


def test_the_key_is_in_no_repr_of_a_hook(connect):
    connect("mine", conn_type="pixazo")
    hook = PixazoHook("mine")
    hook.get_conn()
    assert KEY not in repr(hook)
    assert KEY not in repr(vars(hook))


def test_a_changed_key_is_read_after_a_reconnect(connect):
    connect("mine", conn_type="pixazo")
    hook = PixazoHook("mine")
    before = hook.get_conn()
    assert hook.get_conn() is before
    connect("mine", conn_type="pixazo", password="sk_test_changed_0123")
    hook.reconnect()
    assert hook.get_conn()._key == "sk_test_changed_0123"


async def test_an_event_loop_reads_the_same_settings(connect):
    connect("mine", conn_type="segmind", extra={"requests_per_minute": 7})
    hook = SegmindHook("mine")
    assert await hook.aget_settings() == hook.settings
    assert hook.settings.requests_per_minute == 7


async def test_an_event_loop_is_told_of_a_missing_connection_in_the_same_words():
    with pytest.raises(InvalidRequestError, match="AIRFLOW_CONN_NOWHERE_TO_BE_FOUND"):
        await SegmindHook("nowhere_to_be_found").aget_settings()


@pytest.mark.parametrize("vendor", HOOKS)
@pytest.mark.parametrize("how", ["a dict", "typed"])
def test_a_hook_buys_with_a_dict_or_a_typed_request_and_notes_its_connection(hook_with, vendor, how):
    hook, script = hook_with(vendor, answer(202, {"request_id": "r-1"}))
    model = MODELS[vendor]
    bought = hook.submit(model, {"prompt": "a fox"}) if how == "a dict" else hook.submit(request(model))
    assert (bought.request_id, bought.conn_id, bought.model) == ("r-1", f"{vendor}_default", model)
    assert json.loads(script.sent[0].content) == {"prompt": "a fox"}


@pytest.mark.parametrize(
    ("model", "fields", "extra"),
    [
        ("pixazo:mochi", {"prompt": "a fox"}, None),
        ("pixazo:mochi-v1", None, None),
        ("pixazo:mochi-v1", {"prompt": "{{ a fox"}, {"seed": 7}),
        ("pixazo:mochi-v1", {"prompt": "a fox", "seed": "{{ params.seed }}"}, None),
        ("segmind:mochi-1", {"prompt": "a fox"}, None),
    ],
)
def test_what_is_wrong_with_a_request_shows_before_anything_is_sent(hook_with, model, fields, extra):
    hook, script = hook_with("pixazo", answer(202, {"request_id": "r-1"}))
    with pytest.raises(InvalidRequestError):
        hook.submit(model, fields, extra_fields=extra)
    assert script.sent == []


def test_a_look_and_a_connection_test_go_through_the_same_client(hook_with):
    hook, script = hook_with("segmind", answer(200, {"status": "QUEUED"}), answer(200, {"credits": 3}))
    assert hook.status(job("segmind")).status == "queued"
    assert hook.test_connection() == (True, "Segmind accepts the key; credits left: 3. Nothing was spent.")
    assert len(script.sent) == 2


def test_a_failed_connection_test_gives_its_reason_without_the_key(hook_with):
    hook, _ = hook_with("segmind", answer(401, {"error": f"bad key {KEY}"}))
    good, text = hook.test_connection()
    assert not good
    assert "refused the API key" in text
    assert KEY not in text


def test_a_connection_test_tells_where_models_are_bought_otherwise(connect):
    connect("pixazo_default", conn_type="pixazo", extra={"paths": {"pixazo:mochi-v1": "/68a5/v1/generate"}})
    hook, script = HOOKS["pixazo"](), scripted(answer(404, {"error": "no such job"}))
    hook.__dict__["_client"] = script.client("pixazo")
    good, text = hook.test_connection()
    assert good
    assert text.endswith("Nothing was spent. pixazo:mochi-v1 is bought at /68a5/v1/generate.")
    assert hook.vendor(hook.settings).paths == {"pixazo:mochi-v1": "/68a5/v1/generate"}


@pytest.mark.parametrize(
    ("paths", "what"),
    [
        ({"pixazo:mochi": "/a"}, "There is no model 'pixazo:mochi'"),
        ({"segmind:mochi-1": "/a"}, "another vendor"),
        ({"pixazo:mochi-v1": "https://elsewhere.example"}, "'paths'"),
        ("{", "'paths'"),
    ],
)
def test_a_connection_test_refuses_paths_that_lead_nowhere(connect, paths, what):
    connect("pixazo_default", conn_type="pixazo", extra={"paths": paths})
    good, text = HOOKS["pixazo"]().test_connection()
    assert not good
    assert what in text


def test_a_connection_test_of_a_missing_connection_is_an_answer_too():
    good, text = SegmindHook("nowhere_to_be_found").test_connection()
    assert not good
    assert "AIRFLOW_CONN" in text


def test_the_synchronous_route_is_a_method_of_the_hook(hook_with, tmp_path):
    hook, _ = hook_with("segmind", answer(200, b"a video", content_type="video/mp4", x_request_id="r-7"))
    made = hook.generate_to_file(request("segmind:mochi-1"), tmp_path / "fox.mp4")
    assert (made.request_id, made.conn_id) == ("r-7", "segmind_default")
    assert (tmp_path / "fox.mp4").read_bytes() == b"a video"


# Retries.


def default_policy():
    from airflow_video_providers.integration.retry_policy import VideoRetryPolicy

    return VideoRetryPolicy


@needs_retry_policies
@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (SubmissionOutcomeUnknownError("x"), "fail", None),
        (AuthenticationError("x"), "fail", None),
        (InvalidRequestError("x"), "fail", None),
        (InvalidRequestError("x", retryable=True), "default", None),
        (JobTimeoutError("x"), "fail", None),
        (LedgerError("x"), "default", None),
        (VendorUnavailableError("x"), "default", None),
        (RateLimitedError("x", retry_after=42.0), "retry", 42.0),
        (ValueError("not ours"), "default", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_default_policy_retries_what_passes_and_waits_as_the_vendor_asks(error, action, seconds):
    decision = default_policy()().evaluate(error, try_number=1, max_tries=3)
    assert decision.action.value == action
    delay = decision.retry_delay
    assert (None if delay is None else delay.total_seconds()) == seconds


@needs_retry_policies
def test_a_policy_of_the_authors_own_wins():
    own = object()
    assert with_retry_policy({"retry_policy": own}) == {"retry_policy": own}
    assert with_retry_policy({"default_args": {"retry_policy": own}})["retry_policy"] is own
    assert isinstance(with_retry_policy({})["retry_policy"], default_policy())
    assert isinstance(with_retry_policy({"default_args": None})["retry_policy"], default_policy())


@needs_retry_policies
def test_an_error_is_raised_as_it_is_where_there_are_policies():
    error = AuthenticationError("x")
    assert for_airflow(error) is error
    assert failed(TASK, error) is error


@pytest.mark.parametrize(
    ("error", "turned"),
    [
        (AuthenticationError("x", request_id="r-1"), True),
        (SubmissionOutcomeUnknownError("x", request_id="r-1"), True),
        (RateLimitedError("x"), False),
        (InvalidRequestError("x", retryable=True), False),
        (JobTimeoutError("x"), False),
    ],
)
def test_before_airflow_33_a_useless_retry_becomes_a_failure_that_airflow_does_not_retry(monkeypatch, error, turned):
    monkeypatch.setattr(retries, "HAS_POLICIES", False)
    assert with_retry_policy({"task_id": "t"}) == {"task_id": "t"}
    raised = failed(TASK, error)
    assert type(raised) is (AirflowFailException if turned else type(error))
    assert not turned or (raised.__cause__ is error and str(raised) == str(error))


LIMITS = {
    "too expensive": ("pixazo:mochi-v1", {"max_cost_usd": 0.39}, "max_cost_usd"),
    "no price": ("pixazo:pixverse-v6-text-to-video", {"max_cost_usd": 5}, "price of this request is not known"),
    "the account's own price": ("pixazo:mochi-v1", {"max_cost_usd": 1, "prices": {"pixazo:mochi-v1": 2}}, "costs \\$2"),
    "a run that nobody counts": ("pixazo:mochi-v1", {"max_run_cost_usd": 5}, "a hook cannot count"),
    "a budget that nobody counts": ("pixazo:mochi-v1", {"budget": {"usd": 5, "per": "day"}}, "a hook cannot count"),
    "a forbidden field": ("pixazo:mochi-v1", {"fields": {"prompt": None}}, "owner forbids it"),
    "a malformed limit": ("pixazo:mochi-v1", {"max_cost_usd": "9e999999"}, "max_cost_usd"),
}


@pytest.mark.parametrize(("model", "extra", "told"), LIMITS.values(), ids=LIMITS)
def test_the_limits_of_a_connection_hold_where_a_hook_buys(connect, model, extra, told):
    connect("pixazo_default", conn_type="pixazo", extra=extra)
    hook, script = PixazoHook(), scripted(answer(200, {"request_id": "r-1", "status": "QUEUED"}))
    hook.__dict__["_client"] = script.client("pixazo")
    with pytest.raises(InvalidRequestError, match=told) as caught:
        hook.submit(request(model))
    assert caught.value.charged == "no"
    assert script.sent == []


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("pixazo:mochi-v1", {"max_cost_usd": 0.4}),
        ("pixazo:pixverse-v6-text-to-video", {"max_cost_usd": 5, "allow_unknown_price": True}),
        ("pixazo:pixverse-v6-text-to-video", {}),
    ],
)
def test_a_hook_buys_within_the_limits_of_its_connection(connect, model, extra):
    connect("pixazo_default", conn_type="pixazo", extra=extra)
    hook, script = PixazoHook(), scripted(answer(200, {"request_id": "r-1", "status": "QUEUED"}))
    hook.__dict__["_client"] = script.client("pixazo")
    assert hook.submit(request(model)).request_id == "r-1"


def test_a_connection_that_does_not_buy_stops_the_hooks_own_calls_too(connect, tmp_path):
    connect("segmind_default", conn_type="segmind", extra={"submits_enabled": False})
    hook, script = SegmindHook(), scripted(answer(200, {"status": "QUEUED"}))
    hook.__dict__["_client"] = script.client("segmind")
    wanted = request("segmind:mochi-1")
    for buy in (lambda: hook.submit(wanted), lambda: hook.generate_to_file(wanted, tmp_path / "a.mp4")):
        with pytest.raises(InvalidRequestError, match="submits_enabled") as caught:
            buy()
        assert caught.value.charged == "no"
    assert script.sent == []
    assert hook.status(job("segmind")).status == "queued", "what was bought can still be asked for"
