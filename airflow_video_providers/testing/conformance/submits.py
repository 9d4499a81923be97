"""What a submit may cost: the paid call is sent once, to one host, and each answer means one thing for the money."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.testing.conformance.between import after, between, elsewhere, instead, lost
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect, kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFUSALS: dict[int, type[VendorError]] = {
    400: RequestRejectedError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: RequestRejectedError,
    405: RequestRejectedError,
    410: RequestRejectedError,
    422: RequestRejectedError,
    429: RateLimitedError,
}
_EXTRA = ("conformance_extra", "beside the others")
_HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
#: Answers that come after the vendor may have accepted, and say nothing about it.
_NO_ANSWER = {
    "a lost answer": lost,
    "HTTP 500": after(500, '{"error": "internal"}'),
    "HTTP 502 with a page": after(502, _HTML),
    "HTTP 504": after(504, _HTML),
    "HTTP 200 with a page": after(200, _HTML),
    "HTTP 200 with nothing": after(200, b""),
    "HTTP 200 without an id": after(200, "{}"),
    "HTTP 202 with half of the JSON": after(202, '{"request_id": "abc'),
}


def a_submit_returns_a_job_and_sends_the_key_home_only(subject: Subject) -> None:
    """One POST, the key in the declared header and nowhere else in the request."""
    with between(subject.url) as gate:
        job = subject.bought(gate.url)
        (call, *more) = gate.calls
        expect(not more, f"One submit sent {len(gate.calls)} requests; each may be a purchase.")
        expect(call.method == "POST", f"The submit was a {call.method}: proxies may repeat anything but a POST.")
        header = subject.vendor.key_header.lower()
        expect(
            subject.key in call.headers.get(header, ""), f"The key is not in the header {subject.vendor.key_header}."
        )
        rest = [*(value for name, value in call.headers.items() if name != header), call.path, call.body.decode()]
        expect(not any(subject.key in text for text in rest), "The key is in another header, the address or the body.")
        wire = subject.vendor(gate.url).wire(subject.request, {})
        expect(json.loads(call.body) == wire.body, f"The body sent was {call.body!r}, and wire() makes {wire.body!r}.")
        for name, value in wire.headers.items():
            expect(call.headers.get(name.lower()) == value, f"The header {name} that wire() makes was not sent.")
        for name, value in subject.headers.items():
            sent = call.headers.get(name.lower())
            expect(sent == value, f"The submit's header {name} was {sent!r}, and must be {value!r}.")
    expect(job.request_id.strip(), "The job has no request_id.")
    expect(job.model == subject.request.id, f"The job says it is a {job.model}.")
    expect(job.submitted_at is not None, "The job has no submitted_at.")
    expect(VideoJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job, "The job does not survive XCom.")


def the_wire_form_holds_what_the_author_set(subject: Subject) -> None:
    """Wrapped or renamed, every value arrives, and a field that the catalogue does not know arrives beside them."""
    vendor = subject.vendor(subject.url)
    plain, _ = vendor.wire(subject.request, {})
    arrived = [json.dumps(leaf) for leaf in _leaves(plain)]
    for name, value in subject.request.body().items():
        for leaf in _leaves(value):
            expect(json.dumps(leaf) in arrived, f"wire() leaves out {name}={leaf!r}, which the request holds.")
    with between(subject.url) as gate:
        gate.script = instead(400, '{"error": "no"}')
        subject.submit(gate.url, extra_fields=dict([_EXTRA]))
        sent = json.loads(gate.calls[0].body)
    inside = [found for found in _objects(sent) if _EXTRA in found.items()]
    expect(
        len(inside) == 1, f"extra_fields must go over the wire once, beside the request's own, and went as {sent!r}."
    )
    mine = [value for value in subject.request.body().values() if not isinstance(value, dict | list)]
    homes = [found for found in _objects(sent, lists=False) if any(value in found.values() for value in mine)]
    expect(not homes or inside[0] in homes, f"extra_fields went elsewhere than the request's own fields: {sent!r}.")


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _objects(value: object, *, lists: bool = True) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict) or (lists and isinstance(value, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner, lists=lists)


def a_refusal_is_the_right_error_and_costs_nothing(subject: Subject) -> None:
    """The retry policy and the ledger decide from the class and from ``charged``."""
    expected = _REFUSALS | dict.fromkeys(subject.vendor.no_credits, InsufficientCreditsError)
    with between(subject.url) as gate:
        for code, error in expected.items():
            gate.script = instead(code, '{"error": "no"}')
            _expect_refusal(subject.submit(gate.url), error, f"HTTP {code} on a submit")
        gate.script = instead(503, '{"error": "busy"}', retry_after="1")
        _expect_refusal(subject.submit(gate.url), VendorUnavailableError, "HTTP 503 with Retry-After on a submit")
    _expect_refusal(subject.submit(subject.url, subject.bad_key), AuthenticationError, "The stand-in's own bad key")


def a_lost_answer_is_an_unknown_outcome_and_is_never_repeated(subject: Subject) -> None:
    """Whoever repeats it may pay twice; whoever calls it failed loses a clip that is paid for."""
    for name, script in _NO_ANSWER.items():
        with between(subject.url) as gate:
            gate.script = script
            outcome = subject.submit(gate.url)
            expect(
                isinstance(outcome, SubmissionOutcomeUnknownError) and outcome.charged == "unknown",
                f"After {name} a submit must raise SubmissionOutcomeUnknownError, and it came to {kind(outcome)}.",
            )
            expect(len(gate.calls) == 1, f"After {name} the paid call was sent {len(gate.calls)} times.")


def what_was_never_sent_costs_nothing(subject: Subject) -> None:
    """Where nobody listens, a later try may buy."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port meanwhile
        outcome = subject.submit(f"http://127.0.0.1:{closed.getsockname()[1]}")
    _expect_refusal(outcome, VendorUnavailableError, "A refused connection")


def a_redirect_is_not_followed(subject: Subject) -> None:
    """A redirect names a host that nobody has checked, and would take the key there."""
    with between(subject.url) as gate, elsewhere() as other:
        for code in (301, 302, 307, 308):
            gate.script = instead(code, location=f"{other.url}/")
            _expect_refusal(subject.submit(gate.url), RequestRejectedError, f"HTTP {code} on a submit")
            outcome = subject.poll(gate.url, VideoJob(model=subject.request.id, request_id="r-1"))
            expect(isinstance(outcome, VendorError), f"HTTP {code} on a status came to {kind(outcome)}.")
        expect(not other.calls, "A redirect was followed.")


def an_error_never_carries_the_key(subject: Subject) -> None:
    """Gateways echo what they were sent; logs are read by many."""
    echo = json.dumps({"error": f"The key {subject.key} is wrong", "message": subject.key})
    with between(subject.url) as gate:
        for code in (400, 401, 500):
            gate.script = instead(code, echo)
            for outcome in (
                subject.submit(gate.url),
                subject.poll(gate.url, VideoJob(model=subject.request.id, request_id="r-1")),
            ):
                shown = f"{outcome!s} {outcome!r} {getattr(outcome, 'args', '')}"
                expect(subject.key not in shown, f"The error for HTTP {code} holds the API key.")


def _expect_refusal(outcome: object, error: type[VideoProviderError], what: str) -> None:
    expect(type(outcome) is error, f"{what} must be {error.__name__}, and is {outcome!r}.")
    charged = getattr(outcome, "charged", None)
    expect(charged == "no", f"{what} costs nothing, and the error says charged={charged!r}.")


CHECKS: tuple[Check, ...] = (
    a_submit_returns_a_job_and_sends_the_key_home_only,
    the_wire_form_holds_what_the_author_set,
    a_refusal_is_the_right_error_and_costs_nothing,
    a_lost_answer_is_an_unknown_outcome_and_is_never_repeated,
    what_was_never_sent_costs_nothing,
    a_redirect_is_not_followed,
    an_error_never_carries_the_key,
)
