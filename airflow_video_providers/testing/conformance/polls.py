"""What a poll of a job may say: only the vendor's own words are news of the job, and both clients hear the same."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from airflow_video_providers.core.errors import (
    AuthenticationError,
    RateLimitedError,
    VendorError,
    VendorUnavailableError,
    describe,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.testing.conformance.between import (
    Between,
    Script,
    between,
    elsewhere,
    instead,
    lost,
    passed_on,
    rewritten,
)
from airflow_video_providers.testing.conformance.subject import Check, Outcome, Subject, expect, kind

_HTML = "<html><body><h1>Service Unavailable</h1></body></html>"
_FAILED = (JobStatus.FAILED, JobStatus.ERROR)
#: Answers that say nothing about the job.
_NO_NEWS: dict[str, tuple[Script, type[VendorError]]] = {
    "HTTP 500": (instead(500, '{"error": "internal"}'), VendorUnavailableError),
    "HTTP 500 that holds a status word": (instead(500, '{"status": "error"}'), VendorUnavailableError),
    "HTTP 502 with a page": (instead(502, _HTML), VendorUnavailableError),
    "HTTP 503": (instead(503, _HTML, retry_after="7"), VendorUnavailableError),
    "HTTP 200 with a page": (instead(200, _HTML), VendorUnavailableError),
    "HTTP 200 with nothing": (instead(200, b""), VendorUnavailableError),
    "half of the JSON": (instead(200, '{"status": "COMPL'), VendorUnavailableError),
    "a lost answer": (lost, VendorUnavailableError),
    "HTTP 429": (instead(429, '{"error": "slow down"}', retry_after="7"), RateLimitedError),
    "HTTP 401": (instead(401, '{"error": "bad key"}'), AuthenticationError),
    "HTTP 403": (instead(403, '{"error": "bad key"}'), AuthenticationError),
}


def a_job_comes_to_its_end_with_all_its_outputs(subject: Subject) -> None:
    """Bought, finished, and every file named once."""
    job = finished(subject)
    expect(len(job.outputs) == subject.outputs, f"{subject.outputs} files were made, the job names {job.outputs}.")
    for output in job.outputs:
        expect(urlsplit(output.url).scheme in ("http", "https"), f"An output's address is {output.url!r}.")
    charged = _bill(subject, job)
    expect(job.charged == charged, f"The finished job says charged={job.charged!r}, the vendor {charged!r}.")
    expect(VideoJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job, "The job does not survive XCom.")


def a_failed_job_is_failed_whatever_its_word(subject: Subject) -> None:
    """Some vendors call every end by one word: what the result says counts, and why it failed is reported."""
    job = subject.bought(subject.url, subject.failing)
    subject.finish()
    seen = subject.poll(subject.url, job)
    expect(
        isinstance(seen, VideoJob) and seen.status in _FAILED,
        f"The job of ``failing`` has failed, and a poll of it came to {kind(seen)}.",
    )
    if isinstance(seen, VideoJob):
        expect(seen.error, "The failed job does not say why: name in reason_paths where the vendor does.")
        expect(not seen.outputs, f"The failed job names outputs: {seen.outputs}.")
        charged = _bill(subject, seen)
        expect(seen.charged == charged, f"The failed job says charged={seen.charged!r}, the vendor {charged!r}.")


def a_result_that_is_not_there_yet_ends_nothing(subject: Subject) -> None:
    """A word of success may come before the result: trouble in any call of a poll is no news of the job."""
    job = finished(subject)
    with between(subject.url) as gate:
        subject.poll(gate.url, job)
        calls = len(gate.calls)
        for number in range(calls):
            for code in (500, 502, 503, 504):
                gate.calls.clear()
                gate.script = _at_call(gate, number, instead(code, '{"detail": "not there yet", "status": "error"}'))
                seen = subject.poll(gate.url, job)
                what = f"HTTP {code} in call {number + 1} of {calls} of a poll of a finished job"
                expect(type(seen) is VendorUnavailableError, f"{what} came to {kind(seen)}.")
                gate.script = passed_on
        again = subject.poll(gate.url, job)
    good = isinstance(again, VideoJob) and again.status is JobStatus.SUCCEEDED
    expect(good, f"After such trouble a poll came to {kind(again)}.")


def _bill(subject: Subject, job: VideoJob) -> str:
    """What a job that has ended must say of the bill: what its answer says it cost, else what the documents say."""
    if job.cost_usd is not None:
        return "yes" if job.cost_usd else "no"
    return subject.vendor.charged.get(job.status, "unknown")


def _at_call(gate: Between, number: int, script: Script) -> Script:
    return lambda call, forward: (script if len(gate.calls) == number + 1 else passed_on)(call, forward)


def the_documented_words_mean_what_the_documents_say(subject: Subject) -> None:
    """Also in another case: the documents of most vendors disagree with their servers on that."""
    expect(JobStatus.SUCCEEDED in subject.words.values(), "The subject names no word for success.")
    job = finished(subject)
    with between(subject.url) as gate:
        for word, meaning in subject.words.items():
            for spelling in (word, word.upper(), word.lower()):
                gate.script = _reworded(job, spelling)
                seen = subject.poll(gate.url, job)
                expect(
                    isinstance(seen, VideoJob) and seen.status is meaning,
                    f"{spelling!r} means {meaning}, and came to {kind(seen)}.",
                )


def a_word_that_nobody_knows_is_unknown_and_not_an_end(subject: Subject) -> None:
    """A guess would end the wait for a clip that is paid for."""
    job = finished(subject)
    with between(subject.url) as gate:
        gate.script = _reworded(job, "TRANSMOGRIFYING")
        seen = subject.poll(gate.url, job)
        expect(
            isinstance(seen, VideoJob) and seen.status is JobStatus.UNKNOWN,
            f"The unknown word 'TRANSMOGRIFYING' came to {kind(seen)}.",
        )


def a_job_that_the_vendor_does_not_know_is_expired(subject: Subject) -> None:
    """Whether that is news or only a status store that lags behind is decided elsewhere."""
    nobodys = VideoJob(model=subject.request.id, request_id="00000000-0000-7000-8000-000000000000")
    with between(subject.url) as gate:
        for what, script in (("The stand-in's own answer", None), ("HTTP 404", instead(404, '{"error": "not found"}'))):
            gate.script = script or gate.script
            seen = subject.poll(gate.url, nobodys)
            expect(
                isinstance(seen, VideoJob) and seen.status is JobStatus.EXPIRED,
                f"{what} for an unknown job came to {kind(seen)}, and must be the status expired.",
            )


def no_answer_is_no_news(subject: Subject) -> None:
    """A gateway in trouble has not failed the job."""
    job = subject.bought(subject.url)
    with between(subject.url) as gate:
        for name, (script, error) in _NO_NEWS.items():
            gate.script = script
            seen = subject.poll(gate.url, job)
            expect(type(seen) is error, f"{name} on a status must be {error.__name__}, and came to {kind(seen)}.")
            if error is RateLimitedError:
                expect(getattr(seen, "retry_after", None) == 7.0, "Retry-After: 7 was not read.")


def no_address_from_an_answer_is_called(subject: Subject) -> None:
    """Polling and result addresses come from outside: the key must not go there."""
    with between(subject.url) as gate, elsewhere() as other:
        base = urlsplit(subject.url)
        places = [f"{base.scheme}://{base.netloc}".encode(), gate.url.encode()]

        def change(body: bytes) -> bytes:
            for place in places:
                body = body.replace(place, other.url.encode())
            return body

        gate.script = rewritten(change)
        job = subject.bought(gate.url)
        subject.poll(gate.url, job)
        subject.finish()
        seen = subject.poll(gate.url, job)
        expect(isinstance(seen, VideoJob), f"With foreign addresses in the answers the poll came to {kind(seen)}.")
        expect(not other.calls, f"{len(other.calls)} calls went to an address that an answer named.")
        for call in gate.calls:
            sent = call.headers.get(subject.vendor.key_header.lower(), "")
            expect(subject.key in sent, f"{call.method} {call.path} went out without the key.")


def a_cancel_asks_first_and_leaves_alone_what_has_ended(subject: Subject) -> None:
    """The call that cancels deletes at some vendors: what is paid for would be gone."""
    if not subject.vendor(subject.url).cancels:
        return
    done = finished(subject)
    with between(subject.url) as gate:
        subject.poll(gate.url, done)
        asked = {(call.method, call.path) for call in gate.calls}
        gate.calls.clear()
        seen = subject.cancel(gate.url, done)
        more = [f"{call.method} {call.path}" for call in gate.calls if (call.method, call.path) not in asked]
        expect(not more, f"Of a job that has ended a cancel sent {more}.")
        expect(kind(seen) == kind(done), f"A cancel of a finished job came to {kind(seen)}.")
    again = subject.poll(subject.url, done)
    expect(kind(again) == kind(done), f"After a cancel a finished job came to {kind(again)}.")
    live = subject.bought(subject.url)
    seen = subject.cancel(subject.url, live)
    expect(isinstance(seen, VideoJob), f"A cancel of a live job came to {kind(seen)}.")
    if isinstance(seen, VideoJob) and seen.status.terminal:
        charged = _bill(subject, seen)
        expect(seen.charged == charged, f"The cancelled job says charged={seen.charged!r}, the vendor {charged!r}.")


def both_clients_come_to_the_same(subject: Subject) -> None:
    """The sensor may wait in a worker or in the triggerer."""
    job = subject.bought(subject.url)
    subject.finish()
    with between(subject.url) as gate:
        for name, script in {
            "the finished job": gate.script,
            **{n: script for n, (script, _) in _NO_NEWS.items()},
        }.items():
            gate.script = script
            here, there = (_plain(poll(gate.url, job)) for poll in (subject.poll, subject.poll_in_a_loop))
            expect(here == there, f"On {name} the clients disagree:\n{here}\n{there}")


def finished(subject: Subject) -> VideoJob:
    """A job that was bought and has succeeded, as a poll sees it."""
    job = subject.bought(subject.url)
    subject.finish()
    seen = subject.poll(subject.url, job)
    if not isinstance(seen, VideoJob) or seen.status is not JobStatus.SUCCEEDED:
        expect(False, f"After finish() a poll of the job must show success, and came to {kind(seen)}.")
    return seen if isinstance(seen, VideoJob) else job


def _reworded(job: VideoJob, word: str) -> Script:
    """The vendor's answer about a finished job, with another status word."""
    there = json.dumps(job.vendor_status).encode()
    return rewritten(lambda body: body.replace(there, json.dumps(word).encode()))


def _plain(outcome: Outcome) -> object:
    if isinstance(outcome, VideoJob):
        return outcome.to_dict()
    return {**describe(outcome), "what": None}  # it quotes the transport, and there are two


CHECKS: tuple[Check, ...] = (
    a_job_comes_to_its_end_with_all_its_outputs,
    a_failed_job_is_failed_whatever_its_word,
    a_result_that_is_not_there_yet_ends_nothing,
    the_documented_words_mean_what_the_documents_say,
    a_word_that_nobody_knows_is_unknown_and_not_an_end,
    a_job_that_the_vendor_does_not_know_is_expired,
    no_answer_is_no_news,
    no_address_from_an_answer_is_called,
    a_cancel_asks_first_and_leaves_alone_what_has_ended,
    both_clients_come_to_the_same,
)
