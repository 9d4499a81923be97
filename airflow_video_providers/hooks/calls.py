"""What a hook does in a worker: submit, wait, land."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.jobs import read_job
from airflow_video_providers.core.polling.wait_arguments import DEFAULT_TIMEOUT
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.core.vendors.models import VideoModel
from airflow_video_providers.hooks.orders import OrderingHook

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.landing.land import Landing
    from airflow_video_providers.core.polling.progress import OnProgress
    from airflow_video_providers.core.purchase.order import Order
    from airflow_video_providers.core.vendors.description import WebhookMode
    from airflow_video_providers.hooks.task_ledger import TaskLedger


class CallingHook(OrderingHook):
    """The verbs, in a worker."""

    ledger: TaskLedger | None

    def submit(
        self,
        model: str | VideoModel,
        request: Mapping[str, Any] | None = None,
        *,
        extra_fields: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        webhook_mode: WebhookMode = "terminal",
        make_unique: bool = False,
    ) -> VideoJob:
        """Buy one video, and return its job. Repeats nothing that may have arrived.

        Without a ledger this is the bare call: each one is a purchase, also in a task that Airflow tries again. With one
        (``ledger`` of the hook) it is what ``SubmitVideoOperator`` does: the intent is stored before the paid call, and
        a retry returns the job that was bought. Where callbacks are switched on, a submit whose answer was lost waits for the
        vendor's call in this process. What the connection's extra says about spending holds either way.

        :param model: A model's id, with ``request`` as a dict, or a typed request.
        :param request: The model's fields, where ``model`` is an id.
        :param extra_fields: Fields of the vendor that the catalogue does not know; sent as they are, but for files in a
            storage, which are lent as those of the request are.
        :param webhook_url: Your own receiver, an https address that the vendor calls when the job has ended.
        :param webhook_mode: ``"terminal"``, or ``"sync"`` for a call at each status that the vendor sees too.
        :param make_unique: Send a seed of our own where the request sets none and the model takes one; it stands in the job's
            ``parameters``. Equal requests are then distinguished in the vendor's history after a lost answer.
        :raises InvalidRequestError: the request, the webhook, the connection or a limit does not allow it; nothing was sent.
        :raises VendorError: the vendor refused; nothing was charged.
        :raises LedgerError: the ledger could not be read or written; nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged.
        """

        def make() -> Order:
            typed = (
                model
                if isinstance(model, VideoModel)
                else catalogue.find(model).parse({} if request is None else request)
            )
            ours = None if self.ledger is None else self.ledger.receiver(self)
            webhook = self.callback(webhook_url, webhook_mode)
            return self.order(typed, extra_fields, webhook, receiver=ours, make_unique=make_unique)

        if self.ledger is not None:
            return self.ledger.submit(self, make)
        order = make()
        self.refuse_over_limit(order)
        return self.counted(order.noted_in(self.send(self.lent(order))))

    def cancel(self, job: VideoJob | Mapping[str, Any]) -> VideoJob:
        """Cancel a job that has not ended, where the vendor has a way to, and say how it stands then.

        Asks first: what has ended is left alone. A job that comes back as running may still be cancelled, and one that is
        cancelled may be charged: ``charged`` says what the vendor's documents say.

        :param job: The job, or the dict of one that another task pushed.
        :raises InvalidRequestError: the vendor documents no way to cancel, or the connection is missing or wrong.
        :raises VendorError: no usable answer; whether the job goes on is not known.
        """
        return self.get_conn().cancel(read_job(job).replace(conn_id=self.conn_id))

    def wait(
        self,
        job: VideoJob | Mapping[str, Any],
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        poll_interval: float | timedelta | None = None,
        on_progress: OnProgress | None = None,
    ) -> VideoJob:
        """Poll until the job is finished, holding the worker, and return it with its outputs.

        The patience is the sensor's: a 404 just after the submit, a stray refusal, a lost answer, a rate limit and an
        outage of Airflow's own connections end no wait. Only the vendor's own final word does, a job that it no longer
        knows, or ``timeout``. ``Retry-After`` is kept to.

        :param job: The job, or the dict of one that another task pushed.
        :param timeout: Seconds to wait in all, or a timedelta; 1 hour by default. The job goes on at the vendor all the
            same: wait for it again.
        :param poll_interval: Seconds between two polls, or a timedelta. Unset, polls fall where completion is likely.
        :param on_progress: Called with the job in each new state. What it raises ends the wait; the job is not affected.
        :raises InvalidRequestError: an argument is wrong, or the connection is missing or another vendor's.
        :raises JobFailedError: the vendor says that it failed.
        :raises JobErroredError: the vendor had an error of its own.
        :raises JobCancelledError: it was cancelled at the vendor.
        :raises JobExpiredError: the vendor no longer knows it.
        :raises JobUnknownError: the vendor still reports an unknown status when the time is over.
        :raises OutputMissingError: it is finished and has no output.
        :raises JobTimeoutError: it was not finished in time. It is still running and may still be charged.
        :raises AuthenticationError: the key was refused, also after reading the connection again.
        """
        from airflow_video_providers.core.polling.wait import wait_for
        from airflow_video_providers.core.wording import in_a_call
        from airflow_video_providers.integration import metrics

        job = read_job(job).replace(conn_id=self.conn_id)
        with in_a_call(), self.noting(job):
            done = wait_for(
                job,
                self.vendor_class,
                timeout,
                poll_interval,
                on_progress,
                poll=self.status,
                sleep=self.sleep,
                reconnect=self.reconnect,
                listener=metrics,
                log=self.plain_log(),
            )
        metrics.cost(done)
        if self.ledger is not None:
            self.ledger.note_finished(done, self.plain_log())
        return done

    def land(self, job: VideoJob | Mapping[str, Any], output_path: str, **options: Any) -> dict[str, Any]:
        """Land a finished job's outputs, verified, and return the manifest. Landed again it fetches nothing.

        The vendor is asked for a fresh address where one serves nothing.

        :param job: The finished job, or the dict of one that another task pushed.
        :param output_path: Where to, as for ``DownloadVideoOperator``: ``"s3://conn_id@bucket/prefix"``, a directory.
        :param options: The other fields of :class:`airflow_video_providers.landing.Landing`, such as ``overwrite``.
        :raises DownloadError: see :func:`airflow_video_providers.landing.land`. The job is paid for, and may be landed again.
        :raises InvalidRequestError: an option is wrong, or the job is not finished.
        """
        from airflow_video_providers.core.wording import in_a_call
        from airflow_video_providers.integration import metrics

        job = read_job(job)
        with in_a_call(), self.noting(job):
            manifest = self.landing(job, output_path, options).run(job)
        metrics.landed(manifest)
        if self.ledger is not None:
            self.ledger.note_landed(job, manifest, self.plain_log())
        return manifest

    def generate_to_file(
        self, request: VideoModel, path: str | os.PathLike[str], *, extra_fields: Mapping[str, Any] | None = None
    ) -> VideoJob:
        """Buy one video on a route that answers with the video itself (Segmind's v1), and stream it to ``path``.

        The bare call, whatever ledger the hook has: without a record of purchases, and within the connection's limits.

        :param request: The typed request.
        :param path: A file in a folder that exists; it appears when the whole answer has arrived.
        :param extra_fields: As in :meth:`submit`.
        :raises SubmissionOutcomeUnknownError: interrupted after sending; there is no id to come back to.
        :raises InvalidRequestError: the vendor has no such route, ``path`` cannot be written, or the connection or a limit
            of it does not allow it. Nothing was sent.
        :raises VendorError: the vendor refused; nothing was charged.
        """
        order = self.order(request, extra_fields)
        self.refuse_over_limit(order)
        return self.counted(order.noted_in(self.send(self.lent(order), into=path)))

    def landing(self, job: VideoJob, output_path: str, options: Mapping[str, Any]) -> Landing:
        """How this hook lands: through Airflow's connections, with what its own says of private hosts.

        What is landed already, or lies at a public address, needs no connection of the vendor's.
        """
        from airflow_video_providers.core.landing.land import Landing
        from airflow_video_providers.integration import object_storage  # noqa: F401 # buckets through Airflow's connections

        known: dict[str, Any] = {"refresh": self._refreshed, "keyed": self.keyed_output, "log": self.plain_log()}
        try:
            settings = self.settings
            known |= {"allow_private_hosts": settings.allow_private_hosts, "user_agent": settings.download_user_agent}
        except InvalidRequestError as wrong:
            self.log.warning("Landing job %s without its connection: %s", job.request_id, wrong.what)
        return Landing(output_path=output_path, **{**known, **options})

    def keyed_output(self, job: VideoJob, index: int) -> tuple[str, Mapping[str, str]] | None:
        """Where an output is fetched that needs the key, and with which headers; None where its address is enough.

        :raises InvalidRequestError: it needs the key, and the connection is missing. The job is paid for.
        """
        if self.vendor_class.output_call is Vendor.output_call:
            return None
        try:
            return self.get_conn().keyed_output(job, index)
        except InvalidRequestError as wrong:
            raise wrong.while_paid(job) from wrong.__cause__

    def _refreshed(self, stale: VideoJob) -> VideoJob:
        try:
            return self.status(stale)
        except InvalidRequestError as wrong:
            raise wrong.while_paid(stale) from wrong.__cause__

    @contextmanager
    def noting(self, job: VideoJob) -> Iterator[None]:
        """What ends a job for good is noted in the ledger, where there is one."""
        try:
            yield
        except VideoProviderError as error:
            from airflow_video_providers.integration import metrics

            metrics.cost_of_failed(error)
            if self.ledger is not None:
                self.ledger.note_ending(error, job, self.plain_log())
            raise
