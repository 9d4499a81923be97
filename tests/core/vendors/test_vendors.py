from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.border import TooLong
from airflow_video_providers.core.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    InvalidRequestError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors import catalogue
from tests.support.vendors import KEY, MODELS, NOW, SMALLEST, answer, job, request, scripted

VENDORS = sorted(MODELS)
A, B = "https://media.example/a.mp4", "https://media.example/b.mp4"


def submit(vendor, *answers, model=None, **fields):
    script = scripted(*answers)
    return script, script.client(vendor).submit(request(model or MODELS[vendor], **fields))


def fails(kind, call, *args, **fields):
    with pytest.raises(kind) as caught:
        call(*args, **fields)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    return caught.value


# The paid call.

PATHS = {
    "pixazo:mochi-v1": "/mochi-v1-clone/generate",
    "pixazo:pixverse-v6-text-to-video": "/pixverse-v6-text-to-video/v1/pixverse-v6-text-to-video-request",
    "pixazo:pixverse-v6-image-to-video": "/pixverse-v6-image-to-video/v1/pixverse-v6-image-to-video-request",
    "pixazo:pixverse-c1-text-to-video": "/pixverse-c1-text-to-video/v1/pixverse-c1-text-to-video-request",
    "pixazo:pixverse-c1-image-to-video": "/pixverse-c1-image-to-video/v1/pixverse-c1-image-to-video-request",
    "pixazo:pixverse-v5.6-text-to-video": "/pixverse/v1/pixverse-request",
    "pixazo:pixverse-v5.6-image-to-video": "/pixverse-i2v/v1/pixverse-i2v-request",
    "appypie:mochi-1": "/fal-ai-mochi-v1/v1/generate",
    "segmind:mochi-1": "/v2/mochi-1",
}
HOSTS = {"pixazo": "gateway.pixazo.ai", "appypie": "gateway.appypie.com", "segmind": "api.segmind.com"}
KEY_HEADERS = {
    "pixazo": "Ocp-Apim-Subscription-Key", "appypie": "Ocp-Apim-Subscription-Key", "segmind": "x-api-key",
}  # fmt: skip


@pytest.mark.parametrize("model", SMALLEST)
def test_each_model_is_bought_at_its_documented_address_with_the_documented_headers(model):
    vendor = model.partition(":")[0]
    script, bought = submit(vendor, answer(202, {"request_id": "r-1", "status": "QUEUED"}), model=model)
    (call,) = script.sent
    assert (call.method, str(call.url)) == ("POST", f"https://{HOSTS[vendor]}{PATHS[model]}")
    assert call.headers[KEY_HEADERS[vendor]] == KEY
    assert call.headers["content-type"] == "application/json"
    assert call.headers["cache-control"] == "no-cache"
    assert (bought.model, bought.request_id, bought.status) == (model, "r-1", JobStatus.QUEUED)
    assert bought.submitted_at == NOW
    assert bought.charged == "unknown"


@pytest.mark.parametrize("code", [200, 201, 202])
@pytest.mark.parametrize("key", ["request_id", "requestId", "id"])
def test_any_2xx_with_an_id_is_a_purchase(code, key):
    _, bought = submit("appypie", answer(code, {key: "r-9"}))
    assert (bought.request_id, bought.status, bought.vendor_status) == ("r-9", JobStatus.QUEUED, None)


def test_segmind_forgets_a_job_an_hour_after_its_submit_and_says_what_is_left():
    _, bought = submit("segmind", answer(200, {"request_id": "r-1", "status": "QUEUED"}, x_remaining_credits="7.5"))
    assert bought.expires_at == NOW + timedelta(hours=1)
    assert bought.remaining_credits == "7.5"


@pytest.mark.parametrize("vendor", ["pixazo", "appypie"])
def test_the_others_name_no_time_and_no_credits(vendor):
    _, bought = submit(vendor, answer(200, {"request_id": "r-1"}))
    assert (bought.expires_at, bought.remaining_credits) == (None, None)


def test_a_connections_own_path_of_a_model_is_used_below_its_own_host_and_for_that_model_alone():
    script = scripted(answer(202, {"request_id": "r-1"}))
    client = script.client("pixazo", base_url="https://gw.example/p", paths={"pixazo:mochi-v1": "/68a5/v1/generate"})
    client.submit(request("pixazo:mochi-v1"))
    client.submit(request("pixazo:pixverse-v6-text-to-video"))
    assert str(script.sent[0].url) == "https://gw.example/p/68a5/v1/generate"
    assert script.sent[1].url.path == "/p" + PATHS["pixazo:pixverse-v6-text-to-video"]


def test_the_route_that_answers_with_the_video_has_the_connections_path_too(tmp_path):
    script = scripted(answer(200, b"\0\0\0\x18ftypmp42", content_type="video/mp4"))
    client = script.client("segmind", paths={"segmind:mochi-1": "/v2/mochi-1-new"})
    client.generate_to_file(request("segmind:mochi-1"), tmp_path / "a.mp4")
    assert script.sent[0].url.path == "/v1/mochi-1-new"


REFUSALS = [
    (400, {"error": "Model not found", "message": "Model 'x' not found or is disabled"}, RequestRejectedError),
    (401, {"error": "Invalid or missing authentication"}, AuthenticationError),
    (402, {"error": "Insufficient Balance", "message": "Your wallet is empty."}, InsufficientCreditsError),
    (403, {"error": "Access denied for this operation"}, AuthenticationError),
    (404, {"error": "Endpoint not found"}, RequestRejectedError),
    (405, "<html>405</html>", RequestRejectedError),
    (410, {"error": "retired"}, RequestRejectedError),
    (413, "<html>too large</html>", RequestRejectedError),
    (422, {"detail": [{"msg": "field required"}]}, RequestRejectedError),
    (301, "", RequestRejectedError),
    (307, "", RequestRejectedError),
    (308, "", RequestRejectedError),
]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("code", "body", "kind"), REFUSALS, ids=lambda value: value if isinstance(value, int) else "")
def test_a_refused_submit_costs_nothing_is_not_repeated_and_says_why(vendor, code, body, kind):
    script = scripted(answer(code, body, location="https://elsewhere.example/"))
    error = fails(kind, script.client(vendor).submit, request(MODELS[vendor]))
    assert len(script.sent) == 1
    assert (error.charged, error.http_status, error.model) == ("no", code, MODELS[vendor])
    assert f"HTTP {code}" in str(error)
    assert "Nothing was charged." in str(error)
    assert error.remedy in str(error)
    assert error.remedy
    assert not error.retryable


def test_a_406_means_credits_at_segmind_unless_it_speaks_of_the_content_type():
    for body, kind in [
        ({"error": "Not enough credits"}, InsufficientCreditsError),
        ({"error": "Unsupported content type"}, RequestRejectedError),
        ({"error": "Unsupported Content-Type; use JSON"}, RequestRejectedError),
    ]:
        fails(kind, submit, "segmind", answer(406, body))
    fails(RequestRejectedError, submit, "pixazo", answer(406, {"error": "Not Acceptable"}))


UNKNOWN = {
    "read timeout": httpx.ReadTimeout("slow"),
    "write timeout": httpx.WriteTimeout("slow"),
    "write error": httpx.WriteError("broken pipe"),
    "read error": httpx.ReadError("reset"),
    "closed without an answer": httpx.RemoteProtocolError("Server disconnected without sending a response."),
    "half an answer": httpx.DecodingError("bad gzip"),
    "500": answer(500, {"error": "An unexpected error occurred"}),
    "500 with a status": answer(500, {"status": "error"}),
    "502": answer(502, "<html>Bad Gateway</html>"),
    "503 without Retry-After": answer(503, "<html>"),
    "504": answer(504, ""),
    "408": answer(408, ""),
    "303": answer(303, "", location="/done"),
    "2xx without an id": answer(200, {"status": "QUEUED"}),
    "2xx with an empty id": answer(202, {"request_id": " "}),
    "2xx with a message only": answer(200, {"msg": "Image Getting Created"}),
    "200 with HTML": answer(200, "<html>Welcome</html>"),
    "200 with half of the JSON": answer(200, '{"request_id": "r-'),
    "200 with a list": answer(200, ["r-1"]),
    "204": answer(204),
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("what", UNKNOWN)
def test_a_submit_that_may_have_arrived_is_never_repeated_and_never_called_failed(vendor, what):
    script = scripted(UNKNOWN[what], answer(200, {"request_id": "second"}))
    error = fails(SubmissionOutcomeUnknownError, script.client(vendor).submit, request(MODELS[vendor]))
    assert len(script.sent) == 1
    assert script.slept == []
    assert (error.charged, error.retryable) == ("unknown", False)
    assert "request_id=<its id>" in str(error)
    assert "on_unknown_outcome='resubmit'" in str(error)
    assert "Whether it was charged is not known." in str(error)


CERTAINLY_NOT = {
    "refused": httpx.ConnectError("refused"),
    "connect timeout": httpx.ConnectTimeout("slow"),
    "pool timeout": httpx.PoolTimeout("full"),
    "proxy": httpx.ProxyError("503"),
    "429": answer(429, {"error": "Rate limit exceeded, please retry later"}),
    "503 with Retry-After": answer(503, "<html>", retry_after="2"),
    "503 with an odd Retry-After": answer(503, "<html>", retry_after="soon"),
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("what", CERTAINLY_NOT)
def test_a_submit_that_certainly_did_not_arrive_is_repeated(vendor, what):
    script, bought = submit(vendor, CERTAINLY_NOT[what], CERTAINLY_NOT[what], answer(202, {"request_id": "r-3"}))
    assert bought.request_id == "r-3"
    assert len(script.sent) == 3
    assert all(pause >= 1.0 for pause in script.slept)
    assert [call.content for call in script.sent] == [script.sent[0].content] * 3


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("what", CERTAINLY_NOT)
def test_it_is_repeated_with_two_minutes_of_pauses_at_most(vendor, what):
    script = scripted(CERTAINLY_NOT[what])
    with pytest.raises((RateLimitedError, VendorUnavailableError)) as caught:
        script.client(vendor).submit(request(MODELS[vendor]))
    assert caught.value.charged == "no"
    assert caught.value.retryable
    assert "Nothing was charged." in str(caught.value)
    assert sum(script.slept) <= 120 * 1.2, "two minutes of pauses and the jitter"
    assert len(script.sent) <= 12


@pytest.mark.parametrize("header", ["0", "-5", "0.001"])
def test_a_vendor_that_asks_for_no_pause_is_not_stormed(header):
    script = scripted(answer(429, {}, retry_after=header))
    fails(RateLimitedError, script.client("segmind").submit, request("segmind:mochi-1"))
    assert all(pause >= 1.0 for pause in script.slept)
    assert len(script.sent) <= 12


def test_a_longer_wait_than_a_worker_should_be_held_is_airflows():
    script = scripted(answer(429, {}, retry_after="600"))
    error = fails(RateLimitedError, script.client("pixazo").submit, request("pixazo:mochi-v1"))
    assert error.retry_after == 600
    assert script.slept == []


def test_segmind_names_the_moment_at_which_its_limit_ends():
    script, _ = submit(
        "segmind",
        answer(429, {"error": "Too many requests"}, x_rate_limit_reset_at_utc="2026-05-22T13:00:20Z"),
        answer(200, {"request_id": "r-1"}),
    )
    (pause,) = script.slept
    assert 20 <= pause <= 24


# How a job stands.


def look(vendor, *answers, **fields):
    script = scripted(*answers)
    return script, script.client(vendor).status(job(vendor, **fields))


def done(vendor):
    """The answers that say that a job is finished."""
    if vendor == "pixazo":
        return (answer(200, {"status": "COMPLETED", "output": {"media_url": [A, B], "media_type": "video/mp4"}}),)
    if vendor == "appypie":
        return (answer(200, {"status": "completed", "video_url": A}),)
    return answer(200, {"status": "COMPLETED"}), answer(200, {"status": "COMPLETED", "output": [A, B]})


@pytest.mark.parametrize(
    ("vendor", "calls"),
    [
        ("pixazo", [("GET", "/v2/requests/status/r-1", b"")]),
        ("appypie", [("POST", "/fal-ai-mochi-v1-polling/v1/getStatus", b'{"requestId":"r-1"}')]),
        ("segmind", [("GET", "/v2/requests/r-1/status", b""), ("GET", "/v2/requests/r-1", b"")]),
    ],
)
def test_a_finished_job_holds_its_outputs_and_is_paid(vendor, calls):
    script, seen = look(vendor, *done(vendor))
    assert [(call.method, call.url.path, call.content) for call in script.sent] == calls
    assert (seen.status, seen.charged, seen.error) == (JobStatus.SUCCEEDED, "yes", None)
    assert [output.url for output in seen.outputs] == ([A] if vendor == "appypie" else [A, B])


def test_pixazos_older_status_call_is_used_where_the_job_says_so():
    script, seen = look("pixazo", answer(200, {"status": "completed", "video_url": A}), status_route="legacy")
    (call,) = script.sent
    assert (call.method, call.url.path) == ("POST", "/mochi-v1-polling-clone/getStatus")
    assert call.content == b'{"requestId":"r-1"}'
    assert [output.url for output in seen.outputs] == [A]


@pytest.mark.parametrize("model", [model for model in SMALLEST if "pixverse" in model])
def test_a_connection_that_asks_for_the_older_call_buys_nothing_that_cannot_be_waited_for(model):
    script = scripted(
        answer(202, {"request_id": "r-1", "status": "QUEUED"}),
        answer(200, {"status": "COMPLETED", "output": {"media_url": [A]}}),
    )
    client = script.client("pixazo", status_route="legacy")
    seen = client.status(client.submit(request(model)))
    assert (script.sent[1].method, script.sent[1].url.path) == ("GET", "/v2/requests/status/r-1")
    assert (seen.status, seen.charged) == (JobStatus.SUCCEEDED, "yes")


def test_a_connection_that_asks_for_the_older_call_buys_jobs_that_are_looked_up_there():
    script = scripted(answer(202, {"request_id": "r-1"}))
    assert script.client("pixazo", status_route="legacy").submit(request("pixazo:mochi-v1")).status_route == "legacy"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_status_route_that_a_vendor_does_not_have_is_refused(vendor):
    error = fails(InvalidRequestError, scripted().client, vendor, status_route="newest")
    assert "default" in str(error)


CHARGED = {
    "pixazo": {"COMPLETED": "yes", "FAILED": "unknown", "ERROR": "no", "cancelled": "unknown", "expired": "unknown"},
    "appypie": {"completed": "yes", "failed": "unknown", "error": "unknown", "cancelled": "unknown"},
    "segmind": {"FAILED": "unknown", "error": "unknown", "cancelled": "unknown", "expired": "unknown"},
}


@pytest.mark.parametrize(
    ("vendor", "word", "charged"), [(vendor, *pair) for vendor, words in CHARGED.items() for pair in words.items()]
)
def test_what_a_final_state_costs_is_what_the_vendors_documents_say(vendor, word, charged):
    _, seen = look(vendor, answer(200, {"status": word, "error": "why", "video_url": A}))
    assert seen.status.terminal
    assert seen.charged == charged
    assert seen.vendor_status == word
    assert seen.error == (None if seen.status is JobStatus.SUCCEEDED else "why")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("word", ["QUEUED", "processing", "HALTED"])
def test_a_job_that_goes_on_has_no_outputs_and_no_bill_yet(vendor, word):
    script, seen = look(vendor, answer(200, {"status": word, "video_url": A, "error": "not yet"}))
    assert not seen.status.terminal
    assert (seen.outputs, seen.charged, seen.error, seen.vendor_status) == ((), "unknown", None, word)
    assert len(script.sent) == 1


def test_the_times_a_vendor_names_are_kept_and_the_time_of_the_submit_is_ours():
    body = {"status": "PROCESSING", "created_at": "2026-03-31T10:00:00.000Z", "completed_at": "2026-03-31 10:00:15"}
    _, seen = look("pixazo", answer(200, body))
    assert seen.submitted_at == NOW
    assert f"{seen.completed_at:%H:%M:%S}" == "10:00:15"
    _, attached = look("pixazo", answer(200, body), submitted_at=None)
    assert f"{attached.submitted_at:%H:%M:%S}" == "10:00:00"
    _, odd = look("pixazo", answer(200, {"status": "PROCESSING", "created_at": "...", "completed_at": 7}))
    assert odd.completed_at is None


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [{"status": "error"}, {"status": "FAILED", "error": "gateway"}, "<html>", ""])
def test_a_gateways_5xx_is_no_news_of_the_job_whatever_it_says(vendor, code, body):
    error = fails(VendorUnavailableError, look, vendor, answer(code, body))
    assert (error.request_id, error.http_status, error.retryable) == ("r-1", code, True)
    assert "The job is not affected." in str(error)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "what",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("closed"),
        httpx.DecodingError("x"),
    ],
    ids=lambda what: type(what).__name__,
)
def test_a_broken_connection_is_no_news_of_the_job(vendor, what):
    error = fails(VendorUnavailableError, look, vendor, what)
    assert type(what).__name__ in str(error)
    assert "safe to run the task again" in str(error)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", ["<html>200</html>", "[]", "", '{"half', "null"])
def test_a_200_that_is_no_json_object_is_no_news_of_the_job(vendor, body):
    fails(VendorUnavailableError, look, vendor, answer(200, body))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_told_with_the_job_it_leaves_untouched(vendor, code):
    error = fails(AuthenticationError, look, vendor, answer(code, {"error": "denied"}))
    assert "The job is not affected." in str(error)
    assert "connection's password" in str(error)
    assert error.request_id == "r-1"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_rate_limit_on_a_look_carries_the_wait_and_leaves_the_job_alone(vendor):
    error = fails(RateLimitedError, look, vendor, answer(429, {"error": "slow down"}, retry_after="9"))
    assert (error.retry_after, error.request_id) == (9.0, "r-1")
    assert "The job is not affected." in str(error)
    assert "requests_per_minute" in str(error)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [400, 405, 410])
def test_a_look_that_is_refused_says_what_to_check(vendor, code):
    error = fails(RequestRejectedError, look, vendor, answer(code, {"error": "no"}))
    assert "Check the request_id and the model." in str(error)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [408, 425, 301, 302, 307])
def test_what_says_nothing_is_asked_again_and_redirects_are_not_followed(vendor, code):
    script = scripted(answer(code, "", location="https://elsewhere.example/"))
    fails(VendorUnavailableError, script.client(vendor).status, job(vendor))
    assert len(script.sent) == 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", [{"error": "Endpoint not found"}, {"status": "NOT_FOUND"}, "<html>404</html>", ""])
def test_a_404_is_a_job_that_the_vendor_does_not_know(vendor, body):
    _, seen = look(vendor, answer(404, body))
    assert (seen.status, seen.charged, seen.outputs) == (JobStatus.EXPIRED, "unknown", ())


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_answer_without_a_status_is_finished_where_it_holds_an_output_and_unknown_where_not(vendor):
    body = {"video_url": A, "output": {"media_url": A}}
    assert look(vendor, answer(200, body), answer(200, body))[1].status is JobStatus.SUCCEEDED
    assert look(vendor, answer(200, {"hello": "world"}))[1].status is JobStatus.UNKNOWN


@pytest.mark.parametrize("said", ["Image Getting Created", "Your video is getting created", "VIDEO GETTING CREATED."])
def test_appypie_says_that_something_is_being_created_while_a_job_runs(said):
    _, seen = look("appypie", answer(200, {"msg": said}))
    assert (seen.status, seen.vendor_status) == (JobStatus.RUNNING, said)
    _, finished = look("appypie", answer(200, {"msg": "Image Getting Created", "video_url": A}))
    assert finished.status is JobStatus.SUCCEEDED
    _, endless = look("appypie", answer(200, {"msg": said + "x" * 1_000_000}))
    assert endless.status is JobStatus.RUNNING
    assert len(endless.vendor_status) == 200


@pytest.mark.parametrize(
    "said", ["Generation failed", "Video created", "Not found", "", None, 7, ["x"], {"error": "x"}]
)
def test_any_other_message_of_appypies_is_no_progress_and_is_kept_for_the_error(said):
    _, seen = look("appypie", answer(200, {"msg": said}))
    assert seen.status is JobStatus.UNKNOWN, "which is borne for a while, and then told as what it is"
    assert seen.vendor_status == (str(said) if said else "no status")


POLLING, PLAIN = "/fal-ai-mochi-v1-polling/v1/getStatus", "/fal-ai-mochi-v1/v1/getStatus"


@pytest.mark.parametrize(
    ("second", "later"),
    [(answer(200, {"status": "completed", "video_url": A}), PLAIN), (answer(404, {"status": "NOT_FOUND"}), PLAIN)],
    ids=["it is there", "it answers that the job is not"],
)
def test_appypies_other_prefix_is_tried_once_and_remembered_where_it_exists(second, later):
    script = scripted(answer(404, {"error": "Endpoint not found"}), second)
    client = script.client("appypie")
    client.status(job("appypie"))
    client.status(job("appypie"))
    assert [call.url.path for call in script.sent] == [POLLING, PLAIN, later]


def test_where_both_prefixes_are_missing_the_first_stays_the_first():
    script = scripted(answer(404, {"error": "Endpoint not found"}))
    client = script.client("appypie")
    assert client.status(job("appypie")).status is JobStatus.EXPIRED
    client.status(job("appypie"))
    assert [call.url.path for call in script.sent] == [POLLING, PLAIN] * 2


def test_a_job_that_appypie_does_not_know_is_not_asked_for_elsewhere():
    script, _ = look("appypie", answer(404, {"status": "NOT_FOUND"}))
    assert len(script.sent) == 1


def test_two_jobs_of_one_connection_may_find_the_missing_prefix_at_the_same_time():
    vendor = catalogue.vendors()["appypie"]()
    flows = [vendor.status(job("appypie")) for _ in range(2)]
    missing, known = answer(404, {"error": "Endpoint not found"}), answer(200, {"status": "processing"})
    assert [next(flow).url.path for flow in flows] == [POLLING] * 2
    assert [flow.send(missing).url.path for flow in flows] == [PLAIN] * 2
    for flow in flows:
        with pytest.raises(StopIteration) as end:
            flow.send(known)
        assert end.value.value.status is JobStatus.RUNNING
    assert vendor.status_call(job("appypie")).url.path == PLAIN


@pytest.mark.parametrize(
    "body",
    [{"status": "FAILED", "error": "blocked"}, {"error": "blocked"}, {"detail": "blocked"}, "<html>422</html>"],
)
def test_a_422_is_how_segmind_serves_a_failed_job(body):
    script, seen = look("segmind", answer(422, body))
    assert (seen.status, seen.charged) == (JobStatus.FAILED, "unknown")
    assert seen.error == (None if isinstance(body, str) else "blocked")
    assert len(script.sent) == 1, "the result of a failed job is not fetched"


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (answer(200, {"status": "COMPLETED", "video": {"url": A}}), JobStatus.SUCCEEDED),
        (answer(200, {"output": A}), JobStatus.SUCCEEDED),
        (answer(200, {"status": "COMPLETED", "output": "ok"}), JobStatus.SUCCEEDED),
        (answer(200, {"hello": "world"}), JobStatus.SUCCEEDED),
        (answer(422, {"status": "FAILED", "error": "late"}), JobStatus.FAILED),
        (answer(404, {"error": "expired"}), JobStatus.EXPIRED),
        (answer(200, {"status": "PROCESSING"}), JobStatus.RUNNING),
    ],
)
def test_segminds_result_is_fetched_the_moment_the_job_is_finished(result, status):
    script, seen = look("segmind", answer(200, {"status": "COMPLETED"}, x_remaining_credits="3"), result)
    assert len(script.sent) == 2
    assert seen.status is status
    assert seen.remaining_credits == "3"


def test_a_result_that_segmind_has_forgotten_is_still_on_the_bill():
    _, seen = look("segmind", answer(200, {"status": "COMPLETED"}), answer(404, {"error": "expired"}))
    assert (seen.status, seen.charged) == (JobStatus.EXPIRED, "yes")
    _, never_known = look("segmind", answer(404, {"error": "expired"}))
    assert (never_known.status, never_known.charged) == (JobStatus.EXPIRED, "unknown")


def test_segminds_credits_are_read_from_the_metrics_too():
    body = {"status": "COMPLETED", "output": A, "metrics": {"remaining_credits": 12.25}}
    assert look("segmind", answer(200, body))[1].remaining_credits == "12.25"


@pytest.mark.parametrize("vendor", ["pixazo", "segmind"])
@pytest.mark.parametrize("request_id", ["../../v1/keys", "a/b", "..", ".", "a?b=c", "a#b", "a b", "ü", "%2e%2e"])
def test_an_id_is_one_segment_of_the_path_whatever_it_holds(vendor, request_id):
    script, _ = look(vendor, answer(200, {"status": "QUEUED"}), request_id=request_id)
    path = script.sent[0].url.raw_path.decode()
    plain = look(vendor, answer(200, {"status": "QUEUED"}))[0].sent[0].url.raw_path.decode()
    assert path.count("/") == plain.count("/")
    assert "?" not in path
    assert path.startswith("/v2/requests/")
    assert script.sent[0].url.host == HOSTS[vendor]


# A 403 is read for what it is.

OUT_OF_QUOTA = {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 01:02:03."}
LOCKED = [
    {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at https://x.example/billing."},
    {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."},
    {
        "error": {
            "code": "insufficient_quota",
            "message": "You exceeded your current quota, check your plan and billing.",
        }
    },
    {"error": "Not enough credits"},
]
PAGES = [
    ("<html><body><h1>403 Forbidden</h1></body></html>", {}),
    ("<!DOCTYPE html><title>Attention Required! | Cloudflare</title>", {"content_type": "text/html; charset=UTF-8"}),
    ("error code: 1020", {"content_type": "text/plain"}),
    ('{"success": false}', {"cf_mitigated": "challenge"}),
    ("", {"content_type": "text/html"}),
]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_403_about_the_quota_is_a_rate_limit_with_the_wait_that_it_names(vendor):
    for body, headers, wait in [
        (OUT_OF_QUOTA, {}, 3723.0),
        (OUT_OF_QUOTA, {"retry_after": "600"}, 600.0),
        ({"message": "Forbidden"}, {"retry_after": "900"}, 900.0),
        ({"message": "Rate limit is exceeded. Try again in 700 seconds."}, {}, 700.0),
        ({"error": "Daily quota exceeded"}, {}, None),
        ("<html>slow down</html>", {"retry_after": "900"}, 900.0),
    ]:
        seen = fails(RateLimitedError, look, vendor, answer(403, body, **headers))
        assert (seen.retry_after, seen.request_id, "The job is not affected." in str(seen)) == (wait, "r-1", True)
        bought = fails(RateLimitedError, submit, vendor, answer(403, body, **headers))
        assert (bought.retry_after, bought.charged, bought.retryable) == (wait, "no", True)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_short_quota_is_waited_for_within_the_try(vendor):
    script, bought = submit(vendor, answer(403, OUT_OF_QUOTA, retry_after="7"), answer(202, {"request_id": "r-2"}))
    assert bought.request_id == "r-2"
    assert len(script.sent) == 2
    assert 7 <= script.slept[0] <= 9


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", LOCKED)
def test_a_403_about_the_balance_is_one_about_credits(vendor, body):
    bought = fails(InsufficientCreditsError, submit, vendor, answer(403, body))
    assert bought.charged == "no"
    assert "Top up the account" in str(bought)
    seen = fails(InsufficientCreditsError, look, vendor, answer(403, body))
    assert "The job is not affected." in str(seen)
    assert "then clear the task" not in str(seen), "a Clear of the wrong task buys again"
    assert seen.request_id == "r-1"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("body", "headers"), PAGES)
def test_a_403_that_is_a_firewalls_page_is_no_answer(vendor, body, headers):
    seen = fails(VendorUnavailableError, look, vendor, answer(403, body, **headers))
    assert (seen.retryable, seen.request_id) == (True, "r-1")
    script = scripted(answer(403, body, **headers), answer(202, {"request_id": "second"}))
    bought = fails(VendorUnavailableError, script.client(vendor).submit, request(MODELS[vendor]))
    assert (bought.charged, bought.retryable) == ("no", True)
    assert len(script.sent) == 1, "whoever comes back at once is held off for longer"
    assert script.slept == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "body", [{"error": "Access denied for this operation"}, {"message": "Forbidden"}, "", "denied"]
)
def test_any_other_403_is_a_refused_key(vendor, body):
    fails(AuthenticationError, submit, vendor, answer(403, body))
    fails(AuthenticationError, look, vendor, answer(403, body))


# Ids: whose answer it is, and which of several is the job's.


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [200, 404, 422])
@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "QUEUED", "NOT_FOUND", None])
def test_an_answer_about_another_job_is_no_answer(vendor, code, status):
    name = {"appypie": "requestId"}.get(vendor, "request_id")
    body = {name: "another", "status": status, "video_url": A, "output": {"media_url": [A]}}
    if vendor == "pixazo" and code == 422:
        return  # there it is a refusal of the question, whatever it holds
    if vendor == "appypie" and code == 422:
        return
    error = fails(VendorUnavailableError, look, vendor, answer(code, body), answer(code, body))
    assert "another job (another)" in str(error)
    assert error.request_id == "r-1"


def test_a_result_about_another_job_is_no_answer_either():
    other = {"request_id": "another", "status": "COMPLETED", "output": A}
    fails(
        VendorUnavailableError,
        look,
        "segmind",
        answer(200, {"request_id": "r-1", "status": "COMPLETED"}),
        answer(200, other),
    )


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", ["request_id", "requestId"])
def test_an_answer_that_repeats_the_jobs_id_in_any_case_is_about_it(vendor, name):
    body = {name: " R-1", "status": "PROCESSING"}
    assert look(vendor, answer(200, body))[1].status is JobStatus.RUNNING


def test_a_job_is_known_by_the_id_that_the_documents_name_whatever_else_comes():
    extra = {"id": "log-7", "data": {"task_id": "upstream-7"}}
    for vendor, name in [("pixazo", "request_id"), ("appypie", "requestId"), ("segmind", "request_id")]:
        assert submit(vendor, answer(200, {name: "r-1", **extra}))[1].request_id == "r-1"


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_answer_that_fits_two_readings_is_an_unknown_outcome_that_names_both(vendor):
    script = scripted(answer(200, {"log_id": "l-0", "id": "log-7", "data": {"task_id": "t-7"}}))
    error = fails(SubmissionOutcomeUnknownError, script.client(vendor).submit, request(MODELS[vendor]))
    assert "log-7 as id and t-7 as data.task_id" in str(error)
    assert len(script.sent) == 1


# Outputs.


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "holds",
    [{"output": A}, {"output": [A]}, {"output": {"url": A}}, {"output": {"video": {"url": A}}}, {"video": {"url": A}}],
)
def test_outputs_are_found_in_the_shapes_that_vendors_use(vendor, holds):
    told = answer(200, {"status": "COMPLETED", **holds})
    _, seen = look(vendor, told, told)
    assert [output.url for output in seen.outputs] == [A]
    assert seen.instead_of_outputs is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_finished_job_without_an_output_says_what_came_instead(vendor):
    told = answer(200, {"status": "COMPLETED", "film": {"link": A}, "id\u202e": 1})
    _, seen = look(vendor, told, told)
    assert (seen.status, seen.outputs) == (JobStatus.SUCCEEDED, ())
    assert seen.instead_of_outputs == "status, film.link, id\\u202e"


def test_a_hint_that_is_a_list_is_taken_apart():
    told = answer(200, {"status": "COMPLETED", "output": {"media_url": [A, B], "media_type": ["video/mp4", {}]}})
    _, seen = look("pixazo", told)
    assert [(output.url, output.media_type) for output in seen.outputs] == [(A, "video/mp4"), (B, None)]


@pytest.mark.parametrize("count", [101, 100_001])
def test_more_outputs_than_any_vendor_makes_are_not_read(count):
    urls = [f"https://c.example/{n}.mp4" for n in range(count)]
    _, seen = look("pixazo", answer(200, {"status": "COMPLETED", "output": {"media_url": urls}}))
    assert (seen.outputs, seen.instead_of_outputs) == ((), f"{count} addresses, of which 100 would be read")


@pytest.mark.parametrize(
    "url",
    [
        "https://c.example/" + "x" * 10_000,
        "https://c.example/a\x1b[31m.mp4",
        "https://c.example/\u202egpm.mp4",
        "https://c/\0",
    ],
)
def test_an_address_that_cannot_be_shown_is_none(url):
    _, seen = look("pixazo", answer(200, {"status": "COMPLETED", "output": {"media_url": [url]}}))
    assert seen.outputs == ()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("odd", ["r-1\n", "r\x1b[31m", "r\u202e1", "x" * 10_000_000, "r\0"])
def test_an_id_that_is_no_plain_text_is_not_bought_as_known(vendor, odd):
    if odd == "r-1\n":
        assert submit(vendor, answer(200, {"request_id": odd}))[1].request_id == "r-1"
        return
    error = fails(SubmissionOutcomeUnknownError, submit, vendor, answer(200, {"request_id": odd}))
    assert str(error).isprintable()
    assert len(str(error)) < 2000


VIDEO = b"\0\0\0\x18ftypmp42" + bytes(500)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (VIDEO, {"content_type": "video/mp4"}),
        (VIDEO, {"content_type": "application/octet-stream"}),
        (VIDEO, {}),
        (bytes(135), {"content_type": "video/webm"}),
        (b"\x1aE\xdf\xa3" + bytes(100), {}),
    ],
)
def test_a_result_of_segminds_that_is_the_video_itself_is_told_as_that(content, headers):
    script, seen = look("segmind", answer(200, {"status": "COMPLETED"}), answer(200, content, **headers))
    assert (seen.status, seen.outputs, seen.charged) == (JobStatus.SUCCEEDED, (), "yes")
    assert seen.instead_of_outputs.startswith("the file itself (")
    assert seen.instead_of_outputs.isprintable()
    assert len(script.sent) == 2


def test_a_result_of_segminds_that_is_longer_than_any_answer_is_told_as_that():
    _, seen = look("segmind", answer(200, {"status": "COMPLETED"}), TooLong("the answer is longer than 4 bytes"))
    assert (seen.status, seen.outputs) == (JobStatus.SUCCEEDED, ())
    assert "perhaps the file itself" in seen.instead_of_outputs
    fails(VendorUnavailableError, look, "segmind", TooLong("the answer is longer than 4 bytes"))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_file_in_the_place_of_an_answer_brings_no_control_characters_into_an_error(vendor):
    for call, kind in [(look, VendorUnavailableError), (submit, SubmissionOutcomeUnknownError)]:
        error = fails(kind, call, vendor, answer(200, VIDEO, content_type="video/mp4"))
        assert str(error).isprintable()
        assert "the file itself (video/mp4)" in str(error)


# Credits and headers on reads.


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [402, 406])
def test_what_means_credits_on_a_submit_is_not_about_the_purchase_on_a_read(vendor, code):
    error = fails(RequestRejectedError, look, vendor, answer(code, {"error": "Not Acceptable"}))
    assert "Top up" not in str(error)
    assert "The job is not affected." in str(error)


@pytest.mark.parametrize(
    "body", ["<html>406 Not Acceptable</html>", {"error": "Not Acceptable"}, {"detail": "Unsupported Accept header"}]
)
def test_a_406_about_a_header_is_not_one_about_credits(body):
    error = fails(RequestRejectedError, submit, "segmind", answer(406, body))
    assert "Top up" not in str(error)


def test_the_route_that_answers_with_a_video_is_asked_for_one(tmp_path):
    script = scripted(answer(200, VIDEO, content_type="video/mp4"))
    script.client("segmind").generate_to_file(request("segmind:mochi-1"), tmp_path / "a.mp4")
    assert script.sent[0].headers["accept"] == "*/*"


@pytest.mark.parametrize(("header", "kept"), [("7.5", "7.5"), ("\x1b[31m" + "9" * 1000, 40), (None, None)])
def test_what_is_left_is_short_and_printable(header, kept):
    named = {} if header is None else {"x_remaining_credits": header}
    _, seen = look("segmind", answer(200, {"status": "QUEUED"}, **named))
    left = seen.remaining_credits
    assert left == kept if not isinstance(kept, int) else (left.isprintable() and len(left) <= kept)


def test_a_job_that_is_attached_learns_when_its_vendor_forgets_it():
    body = {"status": "PROCESSING", "created_at": "2026-03-31T10:00:00Z"}
    _, seen = look("segmind", answer(200, body), submitted_at=None)
    assert f"{seen.expires_at:%H:%M}" == "11:00"
    assert look("pixazo", answer(200, body), submitted_at=None)[1].expires_at is None
    late = {"status": "PROCESSING", "created_at": "9999-12-31T23:59:59Z"}
    assert look("segmind", answer(200, late), submitted_at=None)[1].expires_at is None


# The connection test.


def test_the_test_of_a_connection_spends_nothing():
    for vendor in VENDORS:
        script = scripted(answer(200, {"credits": 12.5}))
        assert "Nothing was spent." in script.client(vendor).check()
        assert all(
            "generate" not in call.url.path and "mochi-1" not in call.url.path.split("/") for call in script.sent
        )


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [200, 400, 404, 422])
def test_an_answer_about_anything_but_the_key_shows_that_the_key_is_good(vendor, code):
    assert "did not refuse the key" in scripted(answer(code, {"error": "no such job"})).client(vendor).check()


def test_where_segmind_has_no_credit_route_a_job_that_cannot_exist_tells_a_bad_key():
    script = scripted(answer(404, {"error": "no such route"}), answer(401, {"error": "bad key"}))
    assert "refused the API key" in str(fails(AuthenticationError, script.client("segmind").check))
    assert "connection-test" in script.sent[-1].url.path


def test_where_appy_pies_first_status_prefix_is_gone_the_other_tells_a_bad_key():
    script = scripted(answer(404, {"error": "Endpoint not found"}), answer(401, {"error": "bad key"}))
    error = fails(AuthenticationError, script.client("appypie").check)
    assert error.request_id is None, "no job of the user's is concerned"
    assert [call.url.path for call in script.sent] == [
        "/fal-ai-mochi-v1-polling/v1/getStatus",
        "/fal-ai-mochi-v1/v1/getStatus",
    ]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("code", "kind"),
    [(401, AuthenticationError), (403, AuthenticationError), (429, RateLimitedError), (500, VendorUnavailableError)],
)
def test_a_bad_connection_is_told_with_its_reason(vendor, code, kind):
    error = fails(kind, scripted(answer(code, {"error": "reason"})).client(vendor).check)
    assert "reason" in str(error)
    assert error.charged == "no"


# The route that answers with the video itself.


@pytest.mark.parametrize("vendor", ["pixazo", "appypie"])
def test_a_vendor_without_such_a_route_says_so_and_sends_nothing(vendor, tmp_path):
    script = scripted(answer(200, b"video"))
    error = fails(
        InvalidRequestError, script.client(vendor).generate_to_file, request(MODELS[vendor]), tmp_path / "a.mp4"
    )
    assert "Submit the request and wait for it." in str(error)
    assert script.sent == []


# What a vendor says is shown, the signatures in it are not.

SIGNED = "https://user:pass-2b@b.s3.amazonaws.com/a.png?X-Amz-Credential=AK-2b&X-Amz-Signature=sig-2b#frag-2b"
SAYS = {
    "an error": {"error": f"Could not download {SIGNED}."},
    "a detail": {"detail": [{"msg": f"({SIGNED}) is not an image", "input": SIGNED}]},
    "an output": {"output": SIGNED},
    "a status": {"status": SIGNED},
    "a page": f'<a href="{SIGNED.replace("&", "&amp;")}">here</a>',
    "JSON in JSON": {"error": '{"url": "' + SIGNED.replace("/", r"\/") + '"}'},
    "half of the JSON": '{"output": "' + SIGNED.replace("/", r"\/"),
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [200, 400, 401, 402, 422, 429, 500])
@pytest.mark.parametrize("says", SAYS)
def test_no_signature_in_a_vendors_words_reaches_an_error(vendor, code, says):
    client = scripted(answer(code, SAYS[says])).client(vendor)
    for call in (client.submit, client.status, lambda _: client.check()):
        try:
            seen = call(request(MODELS[vendor]) if call == client.submit else job(vendor))
        except VideoProviderError as error:
            shown = f"{error} {error.args}"
        else:  # where a 200 holds an output, that is the job's
            shown = repr(seen.replace(outputs=()) if isinstance(seen, VideoJob) else seen)
        assert "-2b" not in shown


@pytest.mark.parametrize("vendor", VENDORS)
def test_nor_the_job_that_failed(vendor):
    _, seen = look(vendor, answer(200, {"status": "FAILED", "error": f"Could not download {SIGNED}"}))
    assert seen.error == "Could not download https://b.s3.amazonaws.com/a.png"


@pytest.mark.parametrize("vendor", VENDORS)
def test_nor_what_a_broken_connection_says_about_its_proxy(vendor):
    error = fails(VendorUnavailableError, look, vendor, httpx.ProxyError("407 from http://user:pass-2b@proxy.example/"))
    assert "http://proxy.example/" in str(error)
    assert "-2b" not in str(error)


# Whatever a vendor answers.

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.sampled_from([A, "[", "COMPLETED", "http://[", "r-1", "quota", "video/mp4", "9999-12-31T23:59:59-23:59"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = [
    "status", "task_status", "request_id", "requestId", "id", "error", "message", "detail", "msg", "output", "video",
    "video_url", "url", "media_url", "media_type", "metrics", "remaining_credits", "credits", "created_at", "completed_at",
    "data", "outputs", "videos", "result", "task_id", "detail", "video.url",
]  # fmt: skip
_BODIES = _JSON | st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6)
_ANSWERS = st.builds(
    lambda code, body: answer(code, body),
    st.sampled_from(
        [200, 202, 204, 301, 303, 400, 401, 402, 403, 404, 406, 408, 409, 410, 418, 422, 423, 425, 429, 500, 503]
    ),
    _BODIES | st.binary(max_size=30),
)


def outcome(call, *args):
    """The job, or the error of ours; any other exception is a bug."""
    try:
        return call(*args)[1]
    except VideoProviderError as error:
        return error


@given(vendor=st.sampled_from(VENDORS), answers=st.lists(_ANSWERS, min_size=1, max_size=2))
def test_whatever_is_answered_to_a_look_it_is_a_job_or_an_error_of_ours(vendor, answers):
    seen = outcome(look, vendor, *answers)
    assert seen.request_id == "r-1"
    if isinstance(seen, VideoJob):
        assert VideoJob.from_dict(seen.to_dict()) == seen
        assert not seen.outputs or seen.status is JobStatus.SUCCEEDED


@given(vendor=st.sampled_from(VENDORS), first=_ANSWERS)
def test_whatever_is_answered_to_a_submit_it_is_a_job_or_an_error_that_names_the_money(vendor, first):
    bought = outcome(submit, vendor, first)
    if isinstance(bought, VideoJob):
        assert first.is_success
        assert VideoJob.from_dict(bought.to_dict()) == bought
    else:
        assert bought.charged == ("unknown" if isinstance(bought, SubmissionOutcomeUnknownError) else "no")


@pytest.mark.parametrize(
    ("code", "headers", "body"),
    [
        (400, {}, {"detail": "bad image", "error_type": "invalid_image"}),
        (499, {"x-fal-error-type": "client_cancelled"}, {"detail": "cancelled"}),
        (422, {}, {"detail": [{"msg": "content policy", "type": "content_policy_violation"}]}),
    ],
)
def test_fals_own_word_about_a_completed_job_ends_it(code, headers, body):
    script = scripted(answer(200, {"status": "COMPLETED", "request_id": "r"}), answer(code, body, **headers))
    asked = VideoJob(model="fal:fal-ai/mochi-v1", request_id="r")
    seen = script.client("fal").status(asked)
    assert (seen.status, seen.outputs) == (JobStatus.FAILED, ())


@pytest.mark.parametrize("code", [400, 408, 429, 500, 504])
def test_without_it_or_where_it_has_been_seen_to_pass_the_answer_says_nothing_of_the_job(code):
    body = {"error_type": "request_timeout"} if code in (408, 429, 500, 504) else {"detail": "bad"}
    script = scripted(*[answer(200, {"status": "COMPLETED", "request_id": "r"}), answer(code, body)] * 5)
    with pytest.raises(VendorError):
        script.client("fal").status(VideoJob(model="fal:fal-ai/mochi-v1", request_id="r"))
