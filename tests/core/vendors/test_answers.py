from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, public_text, read_job
from airflow_video_providers.core.vendors.answers import Answer, cut, timestamp
from airflow_video_providers.core.vendors.output_shapes import (
    find_ids,
    find_status,
    find_urls,
    hints,
    names_in,
    reason_at,
    search_places,
)
from tests.support.work import bounded

NOW = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
A, B, C = "https://media.example/a.mp4", "http://media.example/b.mp4", "https://media.example/c.mp4?sig=1"


def search_urls(body: Any) -> list[str]:
    return [place.url for place in search_places(body)]


def said(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


# Status words.

WORDS = {
    "queued": [
        "QUEUED", "queued", "queue", "IN_QUEUE", "in-queue", "In Queue", "pending", "waiting", "submitted", "accepted",
        "scheduled", "throttled", "starting", "created", "Preparing", "Queueing", "queuing", "SUSPENDED", "InQueue",
        "Initializing", "NOT_STARTED", "TASK_STATUS_QUEUED", "Provisioning", "COLD_START", "warming", "Scheduling", "wait",
    ],
    "running": [
        "PROCESSING", "processing", "running", "in_progress", "IN-PROGRESS", "In Progress", "generating", "dreaming",
        "rendering", "started", "retrying", "InProgress", "inprogress", "in progress", "Post_processing", "post-processing",
        "PostProcessing", "Processing...", "processing 45%", "PROCESSING (7.5 %)", "JobStateRunning", "\uff32unning",
        "Uploading", "EXECUTING", "In Review", "UNDER_REVIEW", "pre_process", "Inference", "denoising", "Stitching", "Cancelling",
    ],
    "succeeded": [
        "COMPLETED", "completed", " completed\n", "complete", "succeeded", "succeed", "Success", "done", "ready", "finished",
        "TASK_STATUS_SUCCEED", "Successful",
    ],
    "failed": [
        "FAILED", "failed", "failure", "rejected", "nsfw", "blocked", "Fail", "FAIL", "Moderated", "Content Moderated",
        "content-filtered", "Unsuccessful", "MODERATION_FAILED", "Policy Violation", "generation_failed", "Invalid",
    ],
    "error": ["ERROR", "error", "system_error", "system error", "internal_error"],
    "cancelled": ["cancelled", "canceled", "CANCELED", "cancel", "aborted", "deleted", "task_status_canceled", "Stopped", "TERMINATED"],
    "expired": ["expired", "timeout", "timed_out", "timed out", "NOT_FOUND", "not found"],
    "unknown": ["HALTED", "almost done", "COMPLETE!", "un-failed", "完成", "100%", "...", "_", "completed with errors", "not failed"],
}  # fmt: skip


@pytest.mark.parametrize(("word", "status"), [(word, status) for status, words in WORDS.items() for word in words])
def test_every_word_for_a_status_is_known_in_any_spelling_and_kept(word, status):
    assert find_status({"status": word}) == (JobStatus(status), word.strip())


def test_a_vendors_own_words_come_before_the_words_that_all_share():
    own = {"Ready to Run": JobStatus.QUEUED, "READY": JobStatus.RUNNING}
    assert find_status({"status": "ready-to-run"}, own) == (JobStatus.QUEUED, "ready-to-run")
    assert find_status({"status": "Ready"}, own) == (JobStatus.RUNNING, "Ready")
    assert find_status({"status": "Done"}, own) == (JobStatus.SUCCEEDED, "Done")


def test_the_table_above_lists_every_status():
    assert set(WORDS) == set(JobStatus)


@pytest.mark.parametrize(
    "body", [None, {}, {"status": None}, {"status": ""}, {"status": " "}, {"status": 200}, {"status": {}}]
)
def test_an_answer_without_a_word_has_no_status(body):
    assert find_status(body) is None


def test_the_status_of_a_task_counts_too():
    assert find_status({"task_status": "succeed"}) == (JobStatus.SUCCEEDED, "succeed")


def test_an_endless_status_word_is_cut():
    status, word = find_status({"status": "x" * 10_000}) or (None, "")
    assert status is JobStatus.UNKNOWN
    assert len(word) == 200


# Ids.


@pytest.mark.parametrize("key", ["request_id", "requestId", "id", "task_id", "prediction_id"])
def test_an_id_is_found_under_every_name_it_has(key):
    for body, found in [({key: "r-1"}, "r-1"), ({key: 17}, "17"), ({key: " r-1 "}, "r-1")]:
        assert find_ids(body, ()) == {found: key}
        assert find_ids({"data": body}, ()) == {found: f"data.{key}"}


@pytest.mark.parametrize(
    ("body", "declared", "ids"),
    [
        # the vendor says where it stands
        ({"id": "other", "request_id": "r-1"}, ("request_id",), ["r-1"]),
        ({"request_id": "http-1", "data": {"task_id": "t-1"}}, ("data.task_id",), ["t-1"]),
        (
            {"request_id": "http-1", "output": {"task_id": "t-1", "task_status": "PENDING"}},
            ("output.task_id",),
            ["t-1"],
        ),
        ({"request_id": "", "requestId": "r-2"}, ("request_id", "requestId"), ["r-2"]),
        # it does not, or it stands elsewhere: what can be nothing else
        ({"id": "r-1"}, ("request_id",), ["r-1"]),
        ({"id": "r-1", "task_id": "r-1"}, (), ["r-1"]),
        ({"data": [{"task_id": "t-1"}]}, (), ["t-1"]),
        # two readings are none
        ({"id": "log-1", "data": {"task_id": "t-1"}}, ("request_id",), ["log-1", "t-1"]),
        ({"request_id": "http-1", "data": {"task_id": "t-1"}}, (), ["http-1", "t-1"]),
        ({"request_id": "http-1", "output": {"task_id": "t-1"}}, (), ["http-1", "t-1"]),
        ({"request_id": "a", "requestId": "b"}, (), ["a", "b"]),
    ],
)
def test_an_id_is_where_the_vendor_says_and_two_readings_are_both_named(body, declared, ids):
    assert list(find_ids(body, declared)) == ids


@pytest.mark.parametrize(
    "body",
    [None, {}, {"id": None}, {"id": ""}, {"id": True}, {"id": 1.5}, {"id": ["r"]}, {"uuid": "r"}, {"id": 10**5000}],
)
def test_what_is_no_id_is_not_taken_for_one(body):
    assert find_ids(body, ("id",)) == {}


# Output addresses.


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        (A, [A]),
        (f"  {A}\n", [A]),
        (C, [C]),
        ([A, B, C], [A, B, C]),
        ([A, B, A], [A, B]),
        ([A, None, "", "no address", 7], [A]),
        ({"url": A}, [A]),
        ({"url": [A, B]}, [A, B]),
        ([{"url": A}, {"url": B}], [A, B]),
        ([[A], [B]], [A, B]),
        (json.dumps([A, B]), [A, B]),
        (json.dumps({"url": A}), [A]),
        (" " + json.dumps([{"url": A}]), [A]),
        ("[half a list", []),
        ("", []),
        ("ok", []),
        (None, []),
        (7, []),
        (True, []),
        ("ftp://media.example/a.mp4", []),
        ("file:///etc/passwd", []),
        ("https://", []),
        ("http://[half", []),
        ("//media.example/a.mp4", []),
        ("data:video/mp4;base64,AAAA", []),
    ],
)
def test_addresses_are_found_in_every_shape_and_nothing_else_is(output, urls):
    assert find_urls({"output": output}, ("output",)) == urls


def test_the_first_path_that_holds_an_address_counts():
    paths = ("video.url", "video", "output")
    assert find_urls({"video": {"url": A}, "output": B}, paths) == [A]
    assert find_urls({"video": [A, C], "output": B}, paths) == [A, C]
    assert find_urls({"video": {"url": ""}, "output": B}, paths) == [B]
    assert find_urls({"video": "ok", "output": None}, paths) == []
    assert find_urls(None, paths) == []


# Times.


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-22T13:17:32.110Z", datetime(2026, 5, 22, 13, 17, 32, 110000, tzinfo=UTC)),
        ("2026-05-22 13:19:23", datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC)),
        (" 2026-05-22 13:19:23 ", datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC)),
        ("2026-05-22T15:19:23+02:00", datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC)),
        ("...", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
        (None, None),
        (1779455963, datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC)),
        ("1779455963", datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC)),
        (1779455963500, datetime(2026, 5, 22, 13, 19, 23, 500000, tzinfo=UTC)),
        (52, None),
        (True, None),
        (float("nan"), None),
        (10**40, None),
    ],
)
def test_a_time_is_read_in_both_documented_forms_and_never_fails_a_job(text, moment):
    assert timestamp(text) == moment


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 7 "}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "²"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "1" + "0" * 12}, 86_400.0),
        ({"retry_after": "Fri, 22 May 2026 13:00:30 GMT"}, 30.0),
        ({"retry_after": "Fri, 22 May 2026 15:00:30 +0200"}, 30.0),
        ({"retry_after": "Fri, 22 May 2026 13:00:30 -0000"}, 30.0),
        ({"retry_after": "Fri, 22 May 2026 12:00:00 GMT"}, 0.0),
        ({"retry_after": "Fri, 22 May 9999 12:00:00 GMT"}, 86_400.0),
        ({"x_rate_limit_reset_at_utc": "2026-05-22T13:00:45Z"}, 45.0),
        ({"x_rate_limit_reset_at_utc": "2026-05-22 13:00:45"}, 45.0),
        ({"x_rate_limit_reset_at_utc": "later"}, None),
        ({"retry_after": "7", "x_rate_limit_reset_at_utc": "2026-05-22T13:00:45Z"}, 7.0),
        ({"retry_after": "soon", "x_rate_limit_reset_at_utc": "2026-05-22T13:00:45Z"}, 45.0),
    ],
)
def test_the_wait_a_vendor_asks_for_is_read_in_every_form_and_has_an_upper_limit(headers, seconds):
    assert said({}, 429, **headers).retry_after(NOW) == seconds


@given(st.text())
@example("Sat, 01 Jan 0001 00:00:00 +2359")
@example("9999-12-31T23:59:59-14:00")
def test_no_text_in_a_time_is_too_odd(text):
    wait = said({}, 429, **{"retry-after": text, "x-rate-limit-reset-at-utc": text}).retry_after(NOW)
    assert wait is None or 0 <= wait <= 86_400
    moment = timestamp(text)
    assert moment is None or moment.utcoffset() == timedelta(0)


# Reasons.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"error": "Insufficient Balance", "message": "Your wallet is empty."},
            "Insufficient Balance: Your wallet is empty.",
        ),
        ({"error": "Not enough credits"}, "Not enough credits"),
        ({"error": {"message": "inner", "code": 7}}, "inner"),
        ({"detail": [{"msg": "field required"}, {"msg": "too long"}]}, "field required; too long"),
        ({"msg": "Image Getting Created"}, "Image Getting Created"),
        ({"error": "same", "message": "same"}, "same"),
        ({"odd": 1}, "{'odd': 1}"),
        (b"<html>\n <h1>Bad Gateway</h1></html>", "<html> <h1>Bad Gateway</h1></html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_the_vendors_own_words_are_found_wherever_they_stand(body, reason):
    assert said(body, 400).reason() == reason


@pytest.mark.parametrize("body", [{"error": "x" * 1_000_000}, b"x" * 1_000_000, {"detail": ["x"] * 10_000}])
def test_endless_words_are_cut_to_a_line(body):
    assert len(said(body, 400).reason()) == 200


def test_a_cut_line_shows_that_it_is_cut():
    assert cut("one\n two") == "one two"
    assert cut("x" * 201).endswith("x...")
    assert cut("x" * 200) == "x" * 200


# Addresses in what is shown.

PLACE, QUERY = "https://b.example/v1/a.png", "?X-Amz-Expires=9&X-Amz-Signature=s3cret"
SHOWN = [
    ("{}", "{}"),
    ("Could not download {}", "Could not download {}"),
    ("Could not download {}.", "Could not download {}."),
    ("({}), then", "({}), then"),
    ("[{}]; {}!", "[{}]; {}!"),
    ("'{}'", "'{}'"),
    ("<{}>", "<{}>"),
    ('<a href="{}">here</a>', '<a href="{}">here</a>'),
    ("{{'output': ['{}', '{}'], 'n': 1}}", "{{'output': ['{}', '{}'], 'n': 1}}"),
    ('{{"output":"{}","n":1}}', '{{"output":"{}","n":1}}'),
    (r'"{{\"output\": \"{}\"}}"', r'"{{\"output\": \"{}\"}}"'),
    ("one {}\ntwo", "one {} two"),
    ("{},{}", "{}"),  # a query may hold a comma: rather too much is left out than too little
]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_an_address_is_shown_without_its_query_wherever_it_stands(text, shown):
    assert cut(text.format(*[PLACE + QUERY] * 2)) == shown.format(*[PLACE] * 2)
    assert cut(text.format(*[f"{PLACE}#s3cret"] * 2)) == shown.format(*[PLACE] * 2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{PLACE}?a=1&amp;sig=s3cret", PLACE),
        (f"{PLACE}&#63;a=1&amp;sig=s3cret", PLACE),
        (f"{PLACE}%3Fsig%3Ds3cret", PLACE),
        (f"{PLACE}\\u003fa=1\\u0026sig=s3cret", PLACE),
        (f"{PLACE}?name='a b.png'", f"{PLACE} b.png'"),
        (f"{PLACE}?a=(1)&sig=s3cret)", f"{PLACE})"),
        (PLACE.replace("/", r"\/") + QUERY, PLACE.replace("/", r"\/")),
        (PLACE.replace("/", r"\u002F") + QUERY, PLACE.replace("/", r"\u002F")),
        ("https%3A%2F%2Fb.example%2Fa%3Fsig%3Ds3cret", "https%3A%2F%2Fb.example%2Fa"),
        ("https%253A%252F%252Fb.example%252Fa%253Fsig%253Ds3cret", "https%253A%252F%252Fb.example%252Fa"),
        ("HTTP://B.EXAMPLE?s3cret", "HTTP://B.EXAMPLE"),
        ("https://user:s3cret@b.example/a", "https://b.example/a"),
        ("https://s3cret@b.example", "https://b.example"),
        (r"https:\/\/user:s3cret@b.example\/a", r"https:\/\/b.example\/a"),
        ("https%3A%2F%2Fuser%3As3cret%40b.example%2Fa", "https%3A%2F%2Fb.example%2Fa"),
        ("https://a.example/https://user:s3cret@b.example/c?s3cret", "https://a.example/https://b.example/c"),
        ("https://a.example/https:b?s3cret", "https://a.example/https:b"),
        ("https://b.example/@user/a%20b.png", "https://b.example/@user/a%20b.png"),
        ("see https://docs.example/errors/402.", "see https://docs.example/errors/402."),
        ("What? #1 at 10:00, mail me@b.example; http://[", "What? #1 at 10:00, mail me@b.example; http://["),
    ],
)
def test_an_address_is_known_in_every_spelling_and_other_words_are_left_alone(text, shown):
    assert public_text(text) == shown
    assert "s3cret" not in shown


@given(
    st.text(), st.text(st.characters(exclude_categories=("Z", "C"), exclude_characters='"<>'), max_size=20), st.text()
)
def test_no_text_around_an_address_lets_its_query_through(before, query, after):
    assert "s3cret" not in public_text(f"{before}https://b.example/a?{query}s3cret {after}")


@pytest.mark.parametrize(
    "part", ["a", "%25", "https://", "https:", "\\", r"https:\\", "https%3A%2F%2F", ").", "?", "@"]
)
def test_no_text_takes_long_to_read(part):
    bounded(1.0, lambda: cut("https://" + part * 1_000_000))


def test_what_is_no_job_is_shown_without_its_signature():
    with pytest.raises(InvalidRequestError, match=f"The job is '{PLACE}'") as caught:
        read_job(PLACE + QUERY)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [({}, None), ({"error": None}, None), ({"error": "x", "message": "y"}, "x"), ({"message": {"detail": "z"}}, "z")],
)
def test_the_reason_of_a_failed_job_is_its_error_first(body, reason):
    assert reason_at(body) == reason


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[1]", b'"text"', b"7", b"null", b'{"half": ', b"\xff", b"[" * 100_000]
)
def test_only_a_json_object_is_a_body(content):
    assert said(content).body is None


@pytest.mark.parametrize(
    ("code", "ok"), [(199, False), (200, True), (202, True), (299, True), (300, False), (404, False)]
)
def test_a_2xx_is_an_acceptance(code, ok):
    assert said({}, code).ok is ok


@pytest.mark.parametrize(
    "body",
    [
        {"output": A},
        {"output": [A]},
        {"output": {"url": A}},
        {"output": {"video": {"url": A}}},
        {"output": {"video": A}},
        {"output": {"media_url": A}},
        {"output": {"videos": [{"url": A}]}},
        {"output": [{"video": {"url": A}}]},
        {"output": json.dumps([A])},
        {"outputs": [{"url": A}]},
        {"video": {"url": A}},
        {"video.url": A},
        {"output.video.url": A},
        {"video_url": A},
        {"videos": [A]},
        {"data": {"task_result": {"videos": [{"id": "v", "url": A, "duration": "5"}]}}},
        {"data": {"output": {"url": A}, "input": {"image_url": B}}},
        {"result": A},
        {"output": {"thumbnail_url": B, "video": {"url": A, "cover_url": B}}},
        {"videoUrl": A},
        {"output": {"mediaUrl": [A], "posterUrl": B}},
        {"Output": {"URL": A}},
        {"output": json.dumps({"video": {"url": A}, "seed": 7})},
        {"output": {"file": {"url": A}}},
        {"output": {"download_url": A, "preview_url": B}},
        {"payload": {"video": {"url": A}}},
        {"content": {"video_url": A, "last_frame_url": B}},
    ],
    ids=json.dumps,
)
def test_the_outputs_of_a_finished_job_are_found_in_every_shape_that_is_known(body):
    assert search_urls(body) == [A]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": A}, {"status_url": A}, {"polling_url": A}, {"response_url": A}, {"input": {"video": {"url": A}}},
        {"image_url": A}, {"output": {"thumbnail": A}}, {"output": None}, {"output": 7}, {"video": {}}, {"output": [[]]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_an_address_of_something_else_is_no_output(body):
    assert search_urls(body) == []


@pytest.mark.parametrize(
    ("told", "each"),
    [
        ("video/mp4", ["video/mp4"] * 2),
        (["video/mp4", "video/webm"], ["video/mp4", "video/webm"]),
        (["video/mp4"], ["video/mp4", None]),
        (["video/mp4", {"a": 1}], ["video/mp4", None]),
        (None, [None, None]), (7, [None, None]), ({"a": 1}, [None, None]), ([], [None, None]), ("", [None, None]),
        ("x" * 1000, [None, None]), ("video/\x00mp4", [None, None]), ([["video/mp4"]], [None, None]),
    ],
)  # fmt: skip
def test_a_hint_is_text_or_nothing_and_a_list_holds_one_for_each_output(told, each):
    assert hints(told, 2) == each


def test_the_names_of_an_answer_are_named_without_its_values_and_without_end():
    assert names_in({"status": "COMPLETED", "output": {"film": A, "size": 7}, "empty": {}}) == (
        "status, output.film, output.size, empty"
    )
    assert names_in({}) == names_in(None) == "nothing"
    odd = names_in(
        {"a\x1b[31m\u202e\n" + "x" * 1000: A, **{f"k{n}": {f"j{m}": 1 for m in range(99)} for n in range(99)}}
    )
    assert odd.isprintable()
    assert len(odd) < 3000
    assert odd.endswith(", ...")
    assert A not in odd


# Whatever the JSON is.

_TEXT = st.text(max_size=20) | st.sampled_from([A, "[", "{", "http://[", "COMPLETED", "in 1:2", "\u202e", "9" * 400])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)
_NAMES = [
    "request_id",
    "id",
    "data",
    "output",
    "video",
    "url",
    "media_url",
    "videos",
    "status",
    "result",
    "task",
    "message",
]
_OBJECTS = st.dictionaries(_TEXT, _JSON, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=5)


@given(_OBJECTS, _JSON, st.integers(0, 5))
def test_whatever_json_comes_each_reader_finds_plain_text_or_nothing(body, value, count):
    for found in (*find_ids(body, ("request_id", "data.task_id")), *find_ids(body, ())):
        assert found
        assert found.isprintable()
    for url in (*search_urls(body), *find_urls(body, ("output", "video.url"))):
        assert url.startswith(("http://", "https://", "HTTP", "Http")) or "://" in url
        assert url.isprintable()
    each = hints(value, count)
    assert len(each) == count
    assert all(hint is None or hint.isprintable() for hint in each)
    assert names_in(body).isprintable()
    status = find_status(body)
    assert status is None or status[1].isprintable()
    reason = reason_at(body)
    assert reason is None or reason.isprintable()


@given(
    st.integers(100, 599),
    _OBJECTS | st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(["retry-after", "content-type", "x-rate-limit-reset-at-utc", "cf-mitigated"]), _TEXT, max_size=3
    ),
)
def test_whatever_is_answered_its_reason_is_a_line_and_its_wait_a_number(code, body, headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(code, headers, content)
    assert answer.reason().isprintable()
    assert len(answer.reason()) <= 200
    wait = answer.retry_after(NOW)
    assert wait is None or 0 <= wait <= 86_400
    assert answer.is_page in (True, False)


def test_json_in_text_in_json_has_an_end():
    nested = A
    for _ in range(12):
        nested = json.dumps([nested])
    assert find_urls({"output": nested}, ("output",)) == []
    deep = A
    for _ in range(150):
        deep = [deep]
    assert search_urls({"output": deep}) == find_urls({"output": deep}, ("output",)) == []
