"""What a vendor's calls must be before they are believed: signed by it, whole, and of this moment."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from airflow_video_providers.core.callbacks.webhook import Callback
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.vendors.base import Identified, Vendor
from airflow_video_providers.testing.conformance.between import between, elsewhere, instead
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.testing.conformance.between import Call

#: Seconds in which the stand-in has to call.
_PATIENCE = 10.0
_ADDRESS = "https://receiver.conformance.example/called?token=t0ken&more=1"
#: Further from the call's own time than any vendor allows.
_LATER = timedelta(hours=1)


def a_signed_call_is_believed_as_it_came_and_in_no_other_way(subject: Subject) -> None:
    """Whoever has read an address can call it: only the vendor can sign."""
    if subject.callback_keys is None:
        return
    keys, verify = list(subject.callback_keys()), subject.vendor.verify_callback
    expect(keys, "``callback_keys`` gives none.")
    call = _called(subject)
    now = datetime.now(UTC)
    expect(verify(call.headers, call.body, keys, now), "The stand-in's own call is not believed.")
    expect(verify(call.headers, call.body, ["AAAA", *keys], now), "One of two keys is enough while they are changed.")
    expect(not verify(call.headers, call.body, [], now), "A call is believed where no key is known.")
    expect(not verify(call.headers, call.body + b" ", keys, now), "A call whose body was changed is believed.")
    for other in (now - _LATER, now + _LATER):
        expect(not verify(call.headers, call.body, keys, other), "A call of another hour is believed: it is a replay.")
    unsigned = ("accept", "connection", "content-", "host", "user-agent")
    ours = [name for name in call.headers if not name.startswith(unsigned)]
    expect(ours, "The stand-in's call carries no header of the vendor's.")
    for name in ours:
        for value in ("", call.headers[name] + "0", "0" + call.headers[name], "\u00e9" * 5):
            changed = {**call.headers, name: value}
            expect(not verify(changed, call.body, keys, now), f"A call with another {name} is believed.")


def our_address_goes_with_the_submit_whole_and_in_every_mode(subject: Subject) -> None:
    """A vendor that was not given it calls nobody, and a job would be waited for in vain."""
    for mode in subject.vendor.webhook_modes:
        with between(subject.url) as gate:
            gate.script = instead(400, '{"error": "no"}')  # where it goes is to be seen, and nobody is to call
            subject.submit(gate.url, callback=Callback(_ADDRESS, mode))
            expect(gate.calls, f"A submit with an address of ours in the mode {mode!r} sent nothing.")
            sent = list(_texts(gate.calls[0]))
        expect(_ADDRESS in sent, f"The mode {mode!r}: the submit does not carry our address as it was given.")


def _texts(call: Call) -> Iterator[str]:
    """Whatever a call says: in headers, in its query, and in its JSON."""
    yield from call.headers.values()
    for values in parse_qs(urlsplit(call.path).query).values():
        yield from values
    left = [json.loads(call.body)]
    while left:
        value = left.pop()
        if isinstance(value, dict | list):
            left += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str):
            yield value


def an_id_that_a_call_names_belongs_to_its_own_model_alone(subject: Subject) -> None:
    """Whoever has read an address can call it: with the id of another job it would land that job's video."""
    if subject.vendor.is_of_model is Vendor.is_of_model:
        return  # then no such id is believed at all
    job = subject.bought(subject.url)
    for model, same in ((job.model, True), (f"{job.model}-of-another-name", False)):
        seen = subject.identify(subject.url, job.replace(model=model))
        said = seen.same_model if isinstance(seen, Identified) else seen
        expect(said is same, f"A job of {job.model} asked for as one of {model}: is_of_model came to {said}.")


def _called(subject: Subject) -> Call:
    """The stand-in's call about a job that was bought with an address of ours."""
    with elsewhere() as receiver:
        address = f"{receiver.url}/call?token=of-ours&more=1"
        with closing(VideoClient(subject.vendor(subject.url), subject.key)) as client:
            client.submit(subject.request, callback=Callback(address))
        subject.finish()
        until = time.monotonic() + _PATIENCE
        while not receiver.calls and time.monotonic() < until:
            time.sleep(0.01)
        expect(
            receiver.calls, "The stand-in called nobody: the submit does not carry the address, or it does not call."
        )
        call = receiver.calls[0]
        expect(
            f"{receiver.url}{call.path}" == address, f"The stand-in called {call.path!r}, and was given {address!r}."
        )
        return call


CHECKS: tuple[Check, ...] = (
    a_signed_call_is_believed_as_it_came_and_in_no_other_way,
    our_address_goes_with_the_submit_whole_and_in_every_mode,
    an_id_that_a_call_names_belongs_to_its_own_model_alone,
)
