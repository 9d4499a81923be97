"""What an answer is about: this job or another, the key or something else, and nothing where it makes no sense."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx

from airflow_video_providers.core.errors import (
    InsufficientCreditsError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.testing.conformance.between import (
    Between,
    Script,
    after,
    between,
    instead,
    passed_on,
    rewritten,
)
from airflow_video_providers.testing.conformance.subject import Check, Outcome, Subject, expect, kind

_PAGE = "<html><body><h1>Access denied</h1></body></html>"
_QUOTA = '{"statusCode": 403, "message": "Out of call volume quota."}'
_BALANCE = '{"detail": "User is locked. Reason: Exhausted balance."}'
#: A 403, and what it says besides "no": on a submit none of them is charged.
_FORBIDDEN: dict[str, tuple[Script, type[VendorError]]] = {
    "about the quota": (instead(403, _QUOTA, retry_after="900"), RateLimitedError),
    "about the balance": (instead(403, _BALANCE), InsufficientCreditsError),
    "that is a firewall's page": (instead(403, _PAGE), VendorUnavailableError),
}
_STRAYS = (400, 402, 405, 406, 409, 410, 413, 418, 423, 431, 451)
_ANOTHER = "00000000-0000-7000-8000-0000000000ff"
_PROGRESS = ("InProgress", "in-progress", "Preparing", "Queueing", "Post_processing", "SUSPENDED")
_FAILURES = ("Fail", "failure", "Moderated")
#: Values in the places of texts, lists and objects.
_ODD: tuple[object, ...] = (None, True, 10**300, "\u202e\x1b[31m", "[", "x" * 3000, [[]], [None, {}], {"url": {}})


def a_403_is_read_for_what_it_is(subject: Subject) -> None:
    """Gateways answer it for a quota, a balance and a firewall, too: a good key must not be called wrong."""
    job = subject.bought(subject.url)
    with between(subject.url) as gate:
        for what, (script, error) in _FORBIDDEN.items():
            gate.script = script
            for call, outcome in (("submit", subject.submit(gate.url)), ("status", subject.poll(gate.url, job))):
                expect(
                    type(outcome) is error,
                    f"A 403 {what} on a {call} must be {error.__name__}, and is {kind(outcome)}.",
                )
                charged = getattr(outcome, "charged", None)
                expect(
                    call != "submit" or charged == "no", f"A 403 {what} costs nothing, and says charged={charged!r}."
                )


def a_refused_question_is_no_news_of_the_job(subject: Subject) -> None:
    """One stray 4xx ends no wait: the vendor's file passes it on, and the wait asks again."""
    job = subject.bought(subject.url)
    with between(subject.url) as gate:
        for code in _STRAYS:
            if code in subject.vendor.failure_codes:
                continue
            gate.script = instead(code, '{"error": "no", "status": "FAILED"}')
            seen = subject.poll(gate.url, job)
            expect(type(seen) is RequestRejectedError, f"HTTP {code} on a status came to {kind(seen)}.")
            expect("Top up" not in str(seen), f"HTTP {code} on a status is not about the purchase: {seen}")


def an_answer_about_another_job_is_no_answer(subject: Subject) -> None:
    """Else somebody else's video lands under this job."""
    job = subject.bought(subject.url)
    subject.finish()
    with between(subject.url) as gate:
        gate.script = rewritten(lambda body: body.replace(job.request_id.encode(), _ANOTHER.encode()))
        named = f'"{job.request_id}"'.encode()
        plain = _body(subject, job)
        seen = subject.poll(gate.url, job)
    if named in plain:
        expect(
            type(seen) is VendorUnavailableError,
            f"An answer about another job came to {kind(seen)}: say in id_paths where the job's id stands.",
        )


def an_id_that_fits_two_readings_is_an_unknown_outcome(subject: Subject) -> None:
    """The wrong one of two ids is a job that is paid for and that nobody finds."""
    if {"id", "data.task_id"} & set(subject.vendor.id_paths):
        return  # then one of them is the job's own
    with between(subject.url) as gate:
        gate.script = after(200, '{"id": "log-17", "data": {"task_id": "task-17"}}')
        outcome = subject.submit(gate.url)
    expect(
        isinstance(outcome, SubmissionOutcomeUnknownError) and "log-17" in str(outcome) and "task-17" in str(outcome),
        f"An answer with two ids must be an unknown outcome that names both, and came to {kind(outcome)}.",
    )


def the_words_of_the_field_are_known(subject: Subject) -> None:
    """Vendors say more than they document: a job in progress goes on, a failed one ends."""
    job = subject.bought(subject.url)
    subject.finish()
    done = subject.poll(subject.url, job)
    there = json.dumps(done.vendor_status if isinstance(done, VideoJob) else None).encode()
    with between(subject.url) as gate:
        for word in (*_PROGRESS, *_FAILURES):
            gate.script = _said(there, word)
            seen = subject.poll(gate.url, job)
            status = seen.status if isinstance(seen, VideoJob) else None
            if word in _PROGRESS:
                expect(
                    status in (JobStatus.QUEUED, JobStatus.RUNNING),
                    f"{word!r} means progress, and came to {kind(seen)}.",
                )
            else:
                expect(status is JobStatus.FAILED, f"{word!r} means failure, and came to {kind(seen)}.")


def whatever_shape_an_answer_has_it_is_read_or_refused(subject: Subject) -> None:
    """No answer may raise another library's exception: a paid job would be asked for in vain for ever."""
    job = subject.bought(subject.url)
    names = {path.partition(".")[0] for path in (*subject.vendor.output_paths, *subject.vendor.id_paths)}
    done = next(word for word, meaning in subject.words.items() if meaning is JobStatus.SUCCEEDED)
    names |= {"output", "error", "message", "data", "id", "metrics", "created_at"}
    with between(subject.url) as gate:
        for odd in _ODD:
            for name in sorted(names):
                body: dict[str, object] = {"status": done, "output": {"media_type": odd, "media_url": odd}, name: odd}
                gate.script = instead(200, json.dumps(body))
                _expect_sound(subject.poll(gate.url, job), body)
            body = dict.fromkeys(names, odd)
            gate.script = after(200, json.dumps(body))
            _expect_sound(subject.submit(gate.url), body)


def what_the_history_shows_is_what_was_sent(subject: Subject) -> None:
    """A submit without an answer is found by its body: whole, under the right id, and never in a history read in part."""
    if subject.vendor.history_kept is None:
        return
    job, equal = subject.bought(subject.url), subject.bought(subject.url)
    around = job.submitted_at or datetime.now(UTC)
    with between(subject.url) as gate:
        shown = subject.history(gate.url, around)
        calls = len(gate.calls)
        listed = shown if isinstance(shown, list) else []
        mine = [one for one in listed if one.request_id == job.request_id]
        expect(len(mine) == 1, f"The history shows the job {len(mine)} times: {shown!r:.300}.")
        both = any(one.request_id == equal.request_id for one in listed)
        expect(both, "Of two equal jobs the history shows one: a lost answer would be taken for the wrong one's.")
        sent = subject.vendor(gate.url).wire(subject.request, {}).body
        expect(mine[0].body == sent, f"The history shows {mine[0].body!r}, and sent was {sent!r}.")
        near = abs((mine[0].created_at - around).total_seconds()) < 120
        expect(near, f"The history says that the job was made at {mine[0].created_at}.")
        for number in range(calls):
            for script in (instead(503, _PAGE), instead(200, "{}"), instead(200, "[]")):
                gate.calls.clear()
                gate.script = _at_call(gate, number, script)
                seen = subject.history(gate.url, around)
                what = f"Trouble in call {number + 1} of {calls} of the history must be an error"
                expect(isinstance(seen, VendorError), f"{what}, and came to {seen!r:.200}: read in part it misleads.")
                gate.script = passed_on


def _at_call(gate: Between, number: int, script: Script) -> Script:
    return lambda call, forward: (script if len(gate.calls) == number + 1 else passed_on)(call, forward)


def _expect_sound(outcome: Outcome, body: object) -> None:
    if isinstance(outcome, VideoProviderError):
        cause = outcome.__cause__
        foreign = cause is not None and not isinstance(cause, VideoProviderError | httpx.HTTPError)
        expect(not foreign, f"Reading {body!r:.200} raised {cause!r:.200}: such a job would be asked for in vain.")
        expect(
            str(outcome).isprintable(), f"The error for {body!r:.200} holds what cannot be printed: {outcome!s:.200}"
        )
        return
    again = VideoJob.from_dict(json.loads(json.dumps(outcome.to_dict())))
    expect(again == outcome, f"The job that {body!r:.200} describes does not survive XCom.")


def _body(subject: Subject, job: VideoJob) -> bytes:
    """The stand-in's own answers about a job."""
    came: list[bytes] = []

    def keep(body: bytes) -> bytes:
        came.append(body)
        return body

    with between(subject.url) as gate:
        gate.script = rewritten(keep)
        subject.poll(gate.url, job)
    return b"".join(came)


def _said(there: bytes, word: str) -> Script:
    """The stand-in's answer about a finished job, with another status word."""
    return rewritten(lambda body: body.replace(there, json.dumps(word).encode()))


CHECKS: tuple[Check, ...] = (
    a_403_is_read_for_what_it_is,
    a_refused_question_is_no_news_of_the_job,
    an_answer_about_another_job_is_no_answer,
    an_id_that_fits_two_readings_is_an_unknown_outcome,
    the_words_of_the_field_are_known,
    whatever_shape_an_answer_has_it_is_read_or_refused,
    what_the_history_shows_is_what_was_sent,
)
