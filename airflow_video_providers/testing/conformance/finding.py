"""A submit whose answer was lost: what the vendor shows has to name its job, or nobody's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_video_providers.core.callbacks.webhook import Callback
from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.find import find_job
from airflow_video_providers.core.purchase.intent import Intent
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.testing.conformance.between import between, lost
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_video_providers.core.vendors.history import Shown

_RECEIVER = "https://receiver.conformance.example/called?token=t0ken"


def a_lost_answer_is_found_by_what_was_sent_and_one_of_two_equal_ones_never(subject: Subject) -> None:
    """The digest of the sent body is recorded before the call: with a callback's address in it no job would ever be found."""
    vendor = subject.vendor
    if vendor.history_kept is None:
        return
    callback = Callback(_RECEIVER, vendor.webhook_modes[0]) if vendor.webhook_modes else None
    with tempfile.TemporaryDirectory() as place, between(subject.url) as gate:
        ledger = Ledger(LocalDirectory(Path(place)))
        first, second = (_open_attempt(subject, number) for number in (1, 2))

        def history(model: str, since: datetime, until: datetime) -> list[Shown]:
            shown = subject.history_between(gate.url, model, since, until)
            if isinstance(shown, VideoProviderError):
                raise shown
            return shown

        ledger.create(first)
        gate.script = lost
        subject.submit(gate.url, callback=callback)
        gate.script = lambda _call, forward: forward()
        found = find_job(first, ledger, history)
        expect(found is not None, "The one job that was sent this body is not found in the vendor's history.")
        named = VideoJob(model=subject.request.id, request_id=(found and found.request_id) or "none")
        seen = subject.poll(gate.url, named)
        known = isinstance(seen, VideoJob) and seen.status is not JobStatus.EXPIRED
        expect(known, f"The history names {named.request_id}, which is no job's id: {seen}")
        ledger.create(second)
        gate.script = lost
        subject.submit(gate.url, callback=callback)
        gate.script = lambda _call, forward: forward()
        # of this job alone nobody could say which of the two it is: the history has to show both
        again = find_job(second, ledger, history)
        expect(
            again is None,
            "Of two jobs with one body the history shows one: a wrong one would be taken for this submit's.",
        )


def a_history_is_read_to_its_last_page(subject: Subject) -> None:
    """Of equal jobs one may stand on the first page alone: it would be taken for the one that is looked for."""
    if subject.vendor.history_kept is None or subject.history_page is None:
        return
    bought = [subject.bought(subject.url) for _ in range(2 * subject.history_page + 1)]
    shown = _shown(subject, bought[0])
    missing = [job.request_id for job in bought if job.request_id not in shown]
    expect(not missing, f"Of {len(bought)} jobs, {subject.history_page} a page, the history leaves out {missing}.")


def a_history_says_when_a_job_was_made_however_late_it_is_asked(subject: Subject) -> None:
    """Which jobs may be those of a lost submit is decided by the time at which they were made."""
    if subject.vendor.history_kept is None:
        return
    job = subject.bought(subject.url)
    before = _shown(subject, job).get(job.request_id)
    subject.finish()
    after = _shown(subject, job).get(job.request_id)
    expect(before is not None, "The history does not show a job that was just bought.")
    expect(before == after, f"The history says that one job was made at {before}, and later at {after}.")


def _shown(subject: Subject, job: VideoJob) -> dict[str, datetime]:
    """When the jobs of the history were made, by id."""
    shown = subject.history(subject.url, job.submitted_at or utcnow())
    expect(isinstance(shown, list), f"The history came to {shown!r:.300}.")
    return {one.request_id: one.created_at for one in shown} if isinstance(shown, list) else {}


def _open_attempt(subject: Subject, number: int) -> Attempt:
    wire = compose(subject.vendor(subject.url), subject.request)
    intent = Intent.of(model=subject.request.id, request=wire.body, sent_sha256=wire.sha256())
    return Attempt(
        dag_id="conformance", run_id="run", task_id=f"submit_{number}", number=1, purchase=1,
        state=AttemptState.UNKNOWN, claim=str(number), created_at=utcnow(), **vars(intent),
    )  # fmt: skip


CHECKS: tuple[Check, ...] = (
    a_lost_answer_is_found_by_what_was_sent_and_one_of_two_equal_ones_never,
    a_history_is_read_to_its_last_page,
    a_history_says_when_a_job_was_made_however_late_it_is_asked,
)
