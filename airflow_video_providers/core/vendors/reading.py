"""What a vendor's answers say about a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.border import MOST_OUTPUTS
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.vendors.answers import Answer, cut, fraction, timestamp
from airflow_video_providers.core.vendors.description import Description
from airflow_video_providers.core.vendors.fields import bounded
from airflow_video_providers.core.vendors.output_shapes import (
    find_ids,
    find_places,
    find_status,
    find_urls,
    first_at,
    hints,
    id_at,
    names_in,
    reason_at,
    search_places,
)
from airflow_video_providers.core.vendors.refusals import status_refused, unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    import httpx

    from airflow_video_providers.core.errors import Charged
    from airflow_video_providers.core.vendors.models import VideoModel


class ReadsAnswers(Description):
    """Mixed into the vendors: an answer becomes a job, or the error that it is."""

    def read_job(self, job: VideoJob, answer: Answer) -> VideoJob:
        """The job as the answer describes it."""
        # A gateway's own 5xx may hold {"status": "error"}: that is no news of the job.
        answered = answer.ok or answer.status in self.failure_codes
        if answered or answer.status == 404:
            self._refuse_another(job, answer)
        named = find_status(answer.body, self.words, self.status_paths) if answered else None
        status, word = named or self.unlabelled(answer, job)
        body = answer.body or {}
        done = status is JobStatus.SUCCEEDED
        outputs, instead = self.outputs_in(job, body) if done else ((), None)
        submitted_at = job.submitted_at or timestamp(first_at(body, self.submitted_paths))
        cost = job.cost_usd if (named_cost := self.cost_in(body)) is None else named_cost
        return job.replace(
            status=status,
            vendor_status=word,
            submitted_at=submitted_at,
            expires_at=job.expires_at or self._forgotten_at(submitted_at),
            completed_at=timestamp(first_at(body, self.completed_paths)) or job.completed_at,
            progress=fraction(first_at(body, self.progress_paths)) if not status.terminal else None,
            cost_usd=cost,
            charged=self._charged(status, cost) if status.terminal else job.charged,
            error=reason_at(body, self.reason_paths) if status.terminal and not done else None,
            outputs=outputs,
            instead_of_outputs=instead,
            remaining_credits=self.credits_left(answer) or job.remaining_credits,
        )

    def _charged(self, status: JobStatus, cost: Decimal | None) -> Charged:
        """What an end means for the bill: what the answer says of it, else what the documents say of such an end."""
        return self.charged.get(status, "unknown") if cost is None else ("yes" if cost else "no")

    def outputs_in(self, job: VideoJob, body: Mapping[str, Any]) -> tuple[tuple[VideoOutput, ...], str | None]:
        """The outputs that a finished job's answer names, the videos first; what it names instead, where it names no video."""
        further = {
            place.url: VideoOutput(url=place.url, media_type=place.media_type, role=role)
            for role, paths in self.further_outputs.items()
            for place in find_places(body, paths, self.media_type_names)
        }
        videos = find_places(body, self.output_paths, self.media_type_names) or [
            place for place in search_places(body, self.media_type_names) if place.url not in further
        ]
        if not videos:
            return (), names_in(body)
        kinds = hints(first_at(body, self.media_type_paths), len(videos))
        outputs = {
            place.url: VideoOutput(url=place.url, media_type=place.media_type or kind)
            for place, kind in zip(videos, kinds, strict=True)
        }
        for url, output in further.items():
            outputs.setdefault(url, output)
        if len(outputs) > MOST_OUTPUTS:
            return (), f"{len(outputs)} addresses, of which {MOST_OUTPUTS} would be read"
        return tuple(self._at_home(job, index, output) for index, output in enumerate(outputs.values())), None

    def output_call(self, job: VideoJob, index: int) -> httpx.Request | None:
        """Where an output is fetched that needs the key."""
        raise NotImplementedError

    def _at_home(self, job: VideoJob, index: int, output: VideoOutput) -> VideoOutput:
        call = self.output_call(job, index)
        return output if call is None else output.model_copy(update={"url": str(call.url), "needs_key": True})

    def cost_in(self, body: Mapping[str, Any]) -> Decimal | None:
        """What the job has cost in US dollars, where an answer says so; 0 is a cost, too."""
        return bounded(first_at(body, self.cost_paths))

    def _refuse_another(self, job: VideoJob, answer: Answer) -> None:
        named = id_at(answer.body, self.id_paths)
        if named is not None and named.casefold() != job.request_id.strip().casefold():
            raise unavailable(self, job, f"{self.title} answered about another job ({cut(named)}).", answer.status)

    def _forgotten_at(self, submitted_at: datetime | None) -> datetime | None:
        try:
            return submitted_at + self.retention if submitted_at and self.retention else None
        except OverflowError:  # a vendor's own time, in the year 9999
            return None

    def unlabelled(self, answer: Answer, job: VideoJob) -> tuple[JobStatus, str]:
        """What an answer without a status word means for the job.

        :raises VendorError: it says nothing about the job.
        """
        if answer.status == 404:
            return JobStatus.EXPIRED, "HTTP 404"
        if answer.ok and answer.body is not None:
            found = find_urls(answer.body, self.output_paths)
            return (JobStatus.SUCCEEDED if found else JobStatus.UNKNOWN), "no status"
        raise status_refused(self, job, answer)

    @staticmethod
    def impossible_job(model: str) -> VideoJob:
        """A job that cannot exist: asked for it, a vendor answers about the job to a good key, not to a bad one."""
        return VideoJob(model=model, request_id="connection-test-00000000-0000-0000-0000-000000000000")

    def read_check(self, answer: Answer) -> str:
        """The sentence for a connection test.

        :raises VendorError: the key was refused, or the vendor gave no usable answer.
        """
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise status_refused(self, None, answer)
        return f"{self.title} answered and did not refuse the key. Nothing was spent."

    def _bought(self, request: VideoModel, sent_at: datetime, answer: Answer) -> VideoJob | None:
        ids = find_ids(answer.body, self.id_paths)
        if len(ids) != 1:
            return None
        (request_id,) = ids
        status, word = find_status(answer.body, self.words, self.status_paths) or (JobStatus.QUEUED, None)
        return VideoJob(
            model=request.id,
            request_id=request_id,
            status=status,
            vendor_status=word,
            submitted_at=sent_at,
            expires_at=self._forgotten_at(sent_at),
            status_route=self.status_route,
            remaining_credits=self.credits_left(answer),
        )
