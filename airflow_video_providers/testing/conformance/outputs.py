"""What a finished job gives: files with a role and a type, its times and its bill, and the key for no foreign host."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.testing.conformance.between import Between, Call, Reply, between, rewritten
from airflow_video_providers.testing.conformance.polls import finished
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect, kind

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = timedelta(days=1)


def files_have_the_role_and_the_type_that_the_vendor_says(subject: Subject) -> None:
    """A last frame that is taken for a video is refused when it lands, and one that is not read is lost with the job."""
    if subject.files is None:
        return
    job = finished(subject)
    named = tuple((str(output.role), output.media_type) for output in job.outputs)
    expect(
        named == subject.files,
        f"The stand-in made {subject.files}, and the job names {named}: say in output_paths and further_outputs where they "
        "stand, and in media_type_names or media_type_paths where it is said of what type they are.",
    )


def what_an_answer_says_beside_the_state_is_read(subject: Subject) -> None:
    """Times, progress and what it really cost are said once, in answers that vendors forget."""
    job = subject.bought(subject.url)
    if subject.run is not None:
        subject.run()
        seen = subject.poll(subject.url, job)
        share = seen.progress if isinstance(seen, VideoJob) else None
        expect(
            share is not None or "progress" not in subject.says,
            f"Of a job that runs no progress was read: {kind(seen)}.",
        )
    subject.finish()
    done = subject.poll(subject.url, VideoJob(model=job.model, request_id=job.request_id))
    if not isinstance(done, VideoJob):
        expect(False, f"After finish() a poll of the job came to {kind(done)}.")
        return
    for name in ("submitted_at", "completed_at"):
        moment = getattr(done, name)
        expect(
            moment is not None or name not in subject.says,
            f"{name} was not read: say where it stands in {_PATHS[name]}.",
        )
        expect(moment is None or abs(utcnow() - moment) < _DAY, f"{name} was read as {moment}.")
    reads_cost = subject.vendor.cost_paths or subject.vendor.cost_in is not Vendor.cost_in
    expect(
        not reads_cost or done.cost_usd is not None, "The vendor's file says where the bill stands, and none was read."
    )
    expect(
        subject.cost is None or done.cost_usd == subject.cost,
        f"The stand-in says that the job cost ${subject.cost}, and read was {done.cost_usd}: see cost_paths and cost_in.",
    )


_PATHS = {"submitted_at": "submitted_paths", "completed_at": "completed_paths"}


def every_file_of_a_finished_job_lands(subject: Subject) -> None:
    """Where a file needs the key and the vendor's file does not say so, every video is paid for and none lands."""
    job = finished(subject)
    with tempfile.TemporaryDirectory() as place:
        landed = subject.land(subject.url, job, place)
    if isinstance(landed, VideoProviderError):
        expect(False, f"The finished job did not land: {landed} Do its files need the key? Then build output_call.")
        return
    roles = [output["role"] for output in landed["outputs"]]
    expect(roles == [str(output.role) for output in job.outputs], f"Of {job.outputs} landed {roles}.")


def the_key_goes_home_only_when_a_file_is_fetched(subject: Subject) -> None:
    """One public client leaked its key: to no host that an answer names, and to none that a redirect names, home or not."""
    _named_by_an_answer(subject)
    if subject.vendor.output_call is not Vendor.output_call:
        _named_by_a_redirect(subject)


def _named_by_an_answer(subject: Subject) -> None:
    base = urlsplit(subject.url)
    host = f"{base.scheme}://{base.netloc}"
    keyed = subject.vendor.output_call is not Vendor.output_call
    with between(subject.url) as gate, between(host) as other, tempfile.TemporaryDirectory() as place:

        def elsewhere(body: bytes) -> bytes:
            return body.replace(gate.url.encode(), other.url.encode()).replace(host.encode(), other.url.encode())

        gate.script = rewritten(elsewhere)
        job = subject.bought(gate.url)
        subject.finish()
        seen = subject.poll(gate.url, job)
        job = seen if isinstance(seen, VideoJob) else job
        # what lies behind the vendor's own address is passed on as it is
        gate.script = lambda _call, forward: forward()
        landed = subject.land(gate.url, job, place)
        expect(not isinstance(landed, VideoProviderError), f"With files at another host the job did not land: {landed}")
        _expect_no_key(subject, other, "a host that an answer named")
        expect(not keyed or not other.calls, "A file that needs the key was asked for at a host that an answer named.")


def _named_by_a_redirect(subject: Subject) -> None:
    with between(subject.url) as gate, between(subject.url) as other:
        for target in (other, gate):
            moved: list[Reply] = []
            gate.calls.clear()
            gate.script = _redirecting(target, moved)
            other.script = lambda call, _forward, moved=moved: moved[int(call.path.rpartition("/")[2])]  # type: ignore[misc]
            job = finished(subject)
            with tempfile.TemporaryDirectory() as place:
                landed = subject.land(gate.url, job, place)
            expect(not isinstance(landed, VideoProviderError), f"Behind a redirect the files did not land: {landed}")
            expect(moved, "No file was fetched through the vendor's own address.")
            home = [call for call in gate.calls if not call.path.startswith(_MOVED)]
            bare = [call for call in home if subject.key not in call.headers.get(subject.vendor.key_header.lower(), "")]
            expect(not bare, f"A file that needs the key was asked for without it: {bare!r:.300}.")
            followed = [call for call in (*gate.calls, *other.calls) if call.path.startswith(_MOVED)]
            expect(followed, "The redirect was not followed.")
            _expect_no_key(subject, followed, "where a redirect led")


_MOVED = "/moved/"


def _redirecting(target: Between, moved: list[Reply]) -> Callable[[Call, Callable[[], Reply]], Reply]:
    """Every answer waits behind a redirect."""

    def script(call: Call, forward: Callable[[], Reply]) -> Reply:
        if call.path.startswith(_MOVED):
            return moved[int(call.path.rpartition("/")[2])]
        moved.append(forward())
        return Reply(302, b"", {"location": f"{target.url}{_MOVED}{len(moved) - 1}"})

    return script


def _expect_no_key(subject: Subject, calls: Between | list[Call], where: str) -> None:
    for call in calls.calls if isinstance(calls, Between) else calls:
        texts = [call.path, *call.headers.values(), call.body.decode("utf-8", "replace")]
        expect(not any(subject.key in text for text in texts), f"The key went to {where}: {call.method} {call.path}.")


CHECKS: tuple[Check, ...] = (
    files_have_the_role_and_the_type_that_the_vendor_says,
    what_an_answer_says_beside_the_state_is_read,
    every_file_of_a_finished_job_lands,
    the_key_goes_home_only_when_a_file_is_fetched,
)
