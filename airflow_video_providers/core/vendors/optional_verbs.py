"""The verbs that a vendor has where its documents have them: upload, cancel, history, a model's description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError, RequestRejectedError
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors.output_shapes import find_urls
from airflow_video_providers.core.vendors.reading import ReadsAnswers
from airflow_video_providers.core.vendors.refusals import status_refused, unavailable

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from airflow_video_providers.core.errors import VendorError
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.flow import Flow
    from airflow_video_providers.core.vendors.history import Shown
    from airflow_video_providers.core.vendors.openapi import Described


class OptionalVerbs(ReadsAnswers):
    """What a vendor's file overrides where it can."""

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        """Every vendor has it."""
        raise NotImplementedError

    def send_read(self, call: httpx.Request, job: VideoJob | None = None) -> Flow[Answer]:
        """Every vendor has it."""
        raise NotImplementedError

    def upload(self, name: str, media_type: str, data: bytes) -> Flow[str]:  # noqa: ARG002 # for the vendors that have it
        """Give an input image to the vendor, free of charge, where it takes such; returns the address for the request.

        :param name: What to call it there: made of its digest, never an author's path.
        :raises VendorError: it was not taken. Nothing was bought.
        """
        raise InvalidRequestError(f"{self.title} has no upload.", vendor=self.id)
        yield  # a flow, like its siblings

    def uploaded(self, answer: Answer, path: str) -> str:
        """The address that an upload's answer names for the request; it is given to the vendor, and never called.

        :param path: Where in the answer it stands.
        :raises VendorError: the file was not taken.
        """
        if not answer.ok:
            raise status_refused(self, None, answer)
        for url in find_urls(answer.body, (path,)):
            return url
        raise unavailable(self, None, f"{self.title} has taken a file and names no address of it.", answer.status)

    @property
    def uploads(self) -> bool:
        """Has it an upload?"""
        return type(self).upload is not OptionalVerbs.upload

    def too_large(self, size: int) -> bool:
        """Is a file of so many bytes more than its upload takes?"""
        return self.largest_upload is not None and size > self.largest_upload

    def upload_refused(self, answer: Answer) -> VendorError:
        """The error of an answer whose text may repeat a token that the vendor gave for the upload: its code alone."""
        what = f"The file host of {self.title} did not take the file (HTTP {answer.status})."
        if answer.status in (408, 425, 429) or answer.status >= 500:
            return unavailable(self, None, what, answer.status)
        return RequestRejectedError(what, vendor=self.id, charged="no", http_status=answer.status)

    def cancel_call(self, job: VideoJob) -> httpx.Request:
        """The request that cancels a job, where the vendor has one."""
        raise InvalidRequestError(
            f"{self.title} documents no way to cancel a job.",
            money="The job goes on, and may be charged.",
            model=job.model,
            request_id=job.request_id,
            charged=job.charged,
        )

    def output_call(self, job: VideoJob, index: int) -> httpx.Request | None:  # noqa: ARG002 # for the vendors that have it
        """The request that fetches a finished job's output, where that needs the key; None where its address is enough.

        Made with :meth:`call` of the job's id, whatever address the answer names: the key goes to the vendor's own hosts, and
        no redirect gets it.

        :param index: The output's place among all of them, the videos first.
        """
        return None

    @property
    def cancels(self) -> bool:
        """Can it cancel?"""
        return type(self).cancel_call is not OptionalVerbs.cancel_call

    def cancel(self, job: VideoJob) -> Flow[VideoJob]:
        """Cancel a job that has not ended, and say how it stands then. Asks first: what has ended is left alone.

        A job that comes back as running may still be cancelled: most vendors take it for a wish. What it costs is unknown
        unless the vendor's documents say so.

        :raises InvalidRequestError: the vendor cannot cancel.
        :raises VendorError: no usable answer; whether the job goes on is not known, and nothing was bought.
        """
        call = self.cancel_call(job)
        seen = yield from self.status(job)
        live = (JobStatus.QUEUED,) if self.cancel_deletes else (JobStatus.QUEUED, JobStatus.RUNNING)
        if seen.status not in live:
            return seen
        answer = yield from self.send_read(call, job)
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise status_refused(self, job, answer)
        return (yield from self.status(seen))

    def history(self, model: str, since: datetime, until: datetime) -> Flow[list[Shown]]:  # noqa: ARG002 # for those that show one
        """What the vendor shows of a model's jobs in a window: all pages, or an error. Where ``history_kept`` is set.

        :raises VendorError: it cannot be read whole. What is read in part answers nothing.
        """
        raise NotImplementedError
        yield  # a flow, like its siblings

    def describe_model(self, model: str) -> Flow[Described]:
        """What the vendor says of a model that the catalogue does not list: its request's schema, and its price line.

        :raises InvalidRequestError: the vendor describes no such model. Nothing was spent.
        :raises VendorError: the vendor gave no usable answer.
        """
        raise InvalidRequestError(f"{self.title} describes no models.", vendor=self.id, field="model", value=model)
        yield  # a flow, like its siblings
