"""The client of a worker or a notebook, which works without Airflow::

    with VideoClient(Segmind(), api_key) as client:
        job = client.submit(Mochi1(prompt="a fox in the snow"))
        job = client.wait(job)
        manifest = client.land(job, "videos")

Redirects are not followed. What it shares with the one of an event loop, the API key above all, is in
:mod:`airflow_video_providers.core.client.base`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.client import timeouts
from airflow_video_providers.core.client.to_file import MOST_VIDEO, part_of, streamed
from airflow_video_providers.core.client.worker_session import WorkerSession
from airflow_video_providers.core.credits import credits_of
from airflow_video_providers.core.errors import InvalidRequestError, SubmissionOutcomeUnknownError
from airflow_video_providers.core.inputs.checked import refuse_unlent
from airflow_video_providers.core.polling.wait import wait_for
from airflow_video_providers.core.polling.wait_arguments import DEFAULT_TIMEOUT
from airflow_video_providers.core.vendors.parameters import kept_of
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.core.wording import in_a_call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from decimal import Decimal

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.polling.progress import OnProgress
    from airflow_video_providers.core.vendors.base import Identified
    from airflow_video_providers.core.vendors.history import Shown
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.core.vendors.openapi import Described
    from airflow_video_providers.core.vendors.wire import Wire


class VideoClient(WorkerSession):
    """One vendor's API, synchronously.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param transport: An httpx transport to send requests with, instead of one to the network: for tests.
    :param sleep: How to pause, in seconds: between two polls, and between two tries of a submit that did not arrive.
    """

    def submit(
        self,
        request: VideoModel,
        extra_fields: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
    ) -> VideoJob:
        """Buy one video. Only what certainly did not reach the vendor is sent again.

        :param extra_fields: Fields that the catalogue does not know; sent beside the request's own, as they are.
        :param callback: Where the vendor is to call (``checked`` of ``core.callbacks.webhook``).
        :raises InvalidRequestError: another vendor serves the model. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached (:meth:`Vendor.submit`); nothing was charged.
        """
        refuse_unlent(request, extra_fields, self.vendor.url)
        job = self.buy(request, compose(self.vendor, request, extra_fields), callback)
        return job.replace(**kept_of(request, extra_fields))

    def buy(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> VideoJob:
        """:meth:`submit`, with what ``compose`` made of the request before."""
        self._serves(request.id)
        flow = self.vendor.submit(request, wire, *([] if callback is None else [callback]))
        return self._send_paid(request, flow, timeouts.SUBMIT)

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now; a finished job holds its outputs. A job that the vendor does not know is ``expired``.

        None of these affects the job:

        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often; ``retry_after`` holds the wait where the vendor names one.
        :raises InsufficientCreditsError: it answers no questions while the account's balance is used up.
        :raises RequestRejectedError: it refuses the question itself; where it does so again, it means it.
        :raises VendorUnavailableError: no usable answer; safe to ask again.
        """
        self._serves(job.model)
        return self._send_read(self.vendor.status(job), job)

    def identify(self, job: VideoJob) -> Identified:
        """Which job an id belongs to; raises as :meth:`status` does."""
        self._serves(job.model)
        return self._send_read(self.vendor.identify(job), job)

    def cancel(self, job: VideoJob) -> VideoJob:
        """Cancel a job that has not ended; how it stands then. Raises as the vendor's own does."""
        self._serves(job.model)
        return self._send_read(self.vendor.cancel(job), job)

    def describe_model(self, model: str) -> Described:
        """What the vendor says of a model that the catalogue does not list; raises as the vendor's own does."""
        self._serves(model)
        return self._send_read(self.vendor.describe_model(model), None)

    def history(self, model: str, since: datetime, until: datetime) -> list[Shown]:
        """What the vendor shows of a model's jobs in a window; raises as :meth:`status` does."""
        self._serves(model)
        return self._send_read(self.vendor.history(model, since, until), None)

    def check(self) -> str:
        """Is the connection good? Spends nothing; returns a sentence that says so.

        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often.
        :raises VendorUnavailableError: the vendor was not reached, or gave no usable answer.
        """
        return self._send_read(self.vendor.check(), None)

    def balance(self) -> Decimal | None:
        """What the account has left, in the vendor's unit; None where the vendor does not say. A free call, or none.

        :raises VendorError: as :meth:`check`.
        """
        return credits_of(self._send_read(self.vendor.balance(), None))

    def wait(
        self,
        job: VideoJob,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        poll_interval: float | timedelta | None = None,
        on_progress: OnProgress | None = None,
    ) -> VideoJob:
        """Poll until the job is finished, with the patience of the sensor, and return it with its outputs.

        A 404 just after the submit, a stray refusal, a lost answer and a rate limit end no wait: only the vendor's own
        final word does, a job that it no longer knows, or ``timeout``. ``Retry-After`` is kept to.

        :param timeout: Seconds to wait in all, or a timedelta; 1 hour by default. The job goes on at the vendor all the
            same: wait for it again.
        :param poll_interval: Seconds between two polls. Unset, polls fall where completion is likely.
        :param on_progress: Called with the job in each new state. What it raises ends the wait; the job is not affected.
        :raises InvalidRequestError: an argument is wrong, or another vendor serves the job's model. Nothing was sent.
        :raises JobFailedError: the vendor says that it failed.
        :raises JobErroredError: the vendor had an error of its own.
        :raises JobCancelledError: it was cancelled at the vendor.
        :raises JobExpiredError: the vendor no longer knows it.
        :raises JobUnknownError: the vendor still reports an unknown status when the time is over.
        :raises OutputMissingError: it is finished and has no output.
        :raises JobTimeoutError: it was not finished in time. It is still running and may still be charged.
        :raises AuthenticationError: the key was refused again and again; the job is not affected.
        """
        self._serves(job.model)
        with in_a_call():
            return wait_for(
                job, type(self.vendor), timeout, poll_interval, on_progress,
                poll=self.status, sleep=self._sleep, now=self.vendor.now,
            )  # fmt: skip

    def land(self, job: VideoJob, output_path: str, **options: Any) -> dict[str, Any]:
        """Land a finished job's outputs, verified, and return the manifest.

        What :func:`airflow_video_providers.landing.land` does. The vendor is asked for a fresh address where one serves
        nothing. Landed again it fetches nothing.

        :param output_path: A directory, or an address of fsspec's with the machine's own credentials.
        :param options: The other fields of :class:`airflow_video_providers.landing.Landing`.
        :raises DownloadError: see there. The job is paid for, and may be landed again.
        :raises InvalidRequestError: an option is wrong, or the job is not finished.
        """
        from airflow_video_providers.core.landing.land import Landing

        with in_a_call():
            return Landing(
                output_path=output_path, **{"refresh": self.status, "keyed": self.keyed_output, **options}
            ).run(job)

    def upload(self, name: str, media_type: str, data: bytes) -> str:
        """Give an input image to a vendor that takes such (its ``upload``); returns its address for the request.

        :raises InvalidRequestError: the vendor has no upload, or none for so large a file. Nothing was sent.
        :raises VendorError: it was not taken. Nothing was bought.
        """
        if self.vendor.too_large(len(data)):
            raise InvalidRequestError(
                f"A file of {len(data) / 1024**2:.1f} MiB is too large for an upload to {self.vendor.title}.",
                vendor=self.vendor.id,
                field=name,
                allowed=f"{(self.vendor.largest_upload or 0) / 1024**2:.0f} MiB at most",
            )
        return self._send_read(self.vendor.upload(name, media_type, data), None, timeouts.UPLOAD)

    def generate_to_file(
        self,
        request: VideoModel,
        path: str | os.PathLike[str],
        *,
        extra_fields: Mapping[str, Any] | None = None,
        max_bytes: int | None = None,
    ) -> VideoJob:
        """Buy one video on the route that answers with the video itself, and stream it into ``path``.

        ``path`` appears only when the whole answer has arrived. Where the vendor answers with JSON instead,
        no file is written and the job names the outputs.

        :param extra_fields: As in :meth:`submit`.
        :param max_bytes: No file may be larger; 4 GiB by default.
        :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent. There is no
            ``request_id`` to come back to: prefer :meth:`submit`.
        :raises InvalidRequestError: the vendor has no such route, or ``path`` cannot be written. Nothing was sent.
        :raises VendorError: the vendor refused, or was not reached; nothing was charged.
        """
        refuse_unlent(request, extra_fields, self.vendor.url)
        job = self.buy_to_file(request, compose(self.vendor, request, extra_fields), path, max_bytes=max_bytes)
        return job.replace(**kept_of(request, extra_fields))

    def buy_to_file(
        self,
        request: VideoModel,
        wire: Wire,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
    ) -> VideoJob:
        """:meth:`generate_to_file`, with what was composed before."""
        self._serves(request.id)
        target = Path(path)
        with part_of(target) as part:
            try:
                job = self._send_paid(
                    request,
                    self.vendor.generate(request, wire),
                    timeouts.GENERATE,
                    lambda response: streamed(response, part, max_bytes or MOST_VIDEO),
                )
                if part.exists():
                    os.replace(part, target)
            except OSError as error:
                raise SubmissionOutcomeUnknownError(
                    f"{self.vendor.title} has made the video, but it could not be written to {target} ({error}).",
                    remedy="Make room, and buy it again on purpose: this route keeps nothing to come back to.",
                    model=request.id,
                    charged="yes",
                ) from error
            return job
