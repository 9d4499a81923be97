"""What an upload of an input must be: free, whole, and with the key where the vendor's class says that it goes."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_video_providers.core.errors import VendorError
from airflow_video_providers.testing.conformance.between import (
    Between,
    Script,
    between,
    elsewhere,
    instead,
    passed_on,
    rewritten,
)
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect

_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def an_upload_is_whole_and_calls_no_address_of_an_answer(subject: Subject) -> None:
    """The file arrives as it is, at the vendor's own hosts; its address is the request's, and trouble is an error."""
    if not subject.vendor(subject.url).uploads:
        return
    with between(subject.url) as gate, elsewhere() as other:
        url = subject.upload(gate.url, _PICTURE)
        expect(isinstance(url, str) and urlsplit(url).scheme in ("http", "https"), f"The upload came to {url!r}.")
        calls = list(gate.calls)
        expect(any(_PICTURE in call.body for call in calls), "No call of the upload holds the file.")
        submit = urlsplit(subject.vendor(gate.url).path_of(subject.request)).path
        expect(all(call.path != submit for call in calls), "The upload has bought something.")
        header = subject.vendor.key_header.lower()
        held = [call for call in calls if subject.key in call.headers.get(header, "")]
        expect(held, "No call of the upload carries the key.")
        for call in calls:
            leaks = [name for name, value in call.headers.items() if name != header and subject.key in value]
            expect(not leaks, f"{call.method} {call.path} holds the key in {leaks}.")
            free = call not in held and not subject.vendor.keyless_urls
            expect(not free, f"{call.method} {call.path} went out without the key.")
        named = {place.encode() for place in _places(subject, gate)}

        def change(body: bytes) -> bytes:
            for place in named:
                body = body.replace(place, other.url.encode())
            return body

        gate.script = rewritten(change)
        subject.upload(gate.url, _PICTURE)
        expect(not other.calls, f"{len(other.calls)} calls of an upload went to an address that an answer named.")
        for number in range(len(calls)):
            for script in (
                instead(503, "{}"),
                instead(401, "{}"),
                instead(413, "{}"),
                instead(200, "{}"),
                instead(200, "[]"),
            ):
                gate.calls.clear()
                gate.script = _at_call(gate, number, script)
                seen = subject.upload(gate.url, _PICTURE)
                what = f"Trouble in call {number + 1} of {len(calls)} of an upload must be an error"
                expect(
                    isinstance(seen, VendorError), f"{what}, and came to {seen!r:.200}: a request would name nothing."
                )
                gate.script = passed_on


def _places(subject: Subject, gate: Between) -> set[str]:
    base, here = urlsplit(subject.url), subject.vendor(subject.url)
    hosts = {f"{base.scheme}://{base.netloc}", gate.url, type(here).base_url}
    return hosts | set(here.other_urls.values()) | set(here.keyless_urls.values())


def _at_call(gate: Between, number: int, script: Script) -> Script:
    return lambda call, forward: (script if len(gate.calls) == number + 1 else passed_on)(call, forward)


CHECKS: tuple[Check, ...] = (an_upload_is_whole_and_calls_no_address_of_an_answer,)
