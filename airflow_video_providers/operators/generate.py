"""Buy, wait and land in one task: fewer worker starts than three."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowException

from airflow_video_providers.core.errors import JobErroredError, JobTimeoutError, VideoProviderError
from airflow_video_providers.integration.retries import behind, failed, made_while_running, without_frames
from airflow_video_providers.operators.base import BuysAndLands
from airflow_video_providers.operators.kills import CancelsOnKill

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef] # the same class, older address

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.integration.waiting import Span, WorkerWait


class GenerateVideoOperator(CancelsOnKill, BuysAndLands):
    """Buy one video, wait for it without a worker, and land it: the three tasks in one.

    ::

        GenerateVideoOperator.partial(
            task_id="video",
            model="pixazo:pixverse-v6-text-to-video",
            output_path="s3://aws_default@bucket/videos",
            pool="video",
        ).expand(request=[{"prompt": "a fox"}, {"prompt": "an owl"}])

    A retry returns to the job that an earlier try bought, as that of ``SubmitVideoOperator`` does, waits for it, and
    lands it. So does a user's Clear until the video has landed, or the vendor no longer has it. XCom:
    ``return_value`` is the manifest, ``request_id`` the vendor's id, ``job`` the finished job.

    Every parameter of ``SubmitVideoOperator``, those of ``DownloadVideoOperator`` except ``job``, and:

    :param deferrable: Wait in the triggerer and hold no worker. Default True.
    :param timeout: Seconds to wait for the job, or a timedelta. Default: one hour. Airflow's ``execution_timeout``, from
        the start of the try, ends the wait in the same way where it is over sooner, also of a deferred one.
    :param poll_interval: Seconds between two polls. Unset (the default), polls fall where completion is likely.
    :param soft_fail: Skip instead of failing, for every error of this package. Default False.
    :param never_fail: The same as ``soft_fail``. Default False.
    :param cancel_on_kill: Cancel the job at the vendor where somebody ends this task while it waits: marks it, or fails its
        run. A Clear, a retry and a time-out cancel nothing. Only for vendors that can cancel. Default False.
    :param resubmit_on_error: How often a retry may buy again after the vendor's own system error, and only where
        its documents say that nothing was charged, which is Pixazo's ERROR alone. Default 0: never.
    :param synchronous: Use the route that answers with the video itself, which only Segmind has, and hold the
        worker until then. Interrupted after sending, it leaves a bill and no ``request_id`` to come back to:
        SubmissionOutcomeUnknownError. Default False.
    :raises VideoProviderError: everything that the three tasks raise, with the same meaning for the money.
    """

    ui_color = "#f3e3f7"

    def __init__(
        self,
        *,
        deferrable: bool = True,
        timeout: timedelta | float = 3600,
        poll_interval: float | None = None,
        soft_fail: bool = False,
        never_fail: bool = False,
        cancel_on_kill: bool = False,
        resubmit_on_error: int = 0,
        synchronous: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        self.synchronous = synchronous
        self.timeout = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self.poll_interval = poll_interval
        self.soft_fail = soft_fail
        self.never_fail = never_fail
        self.cancel_on_kill = cancel_on_kill
        self.resubmit_on_error = resubmit_on_error
        if not made_while_running(self):
            from airflow_video_providers.operators import parse_checks

            parse_checks.check_arguments(self)
        if synchronous:
            from airflow_video_providers.operators.synchronous import check_synchronous

            check_synchronous(self.model)

    def execute(self, context: Context, named: object = None) -> dict[str, Any]:
        """Buy, or return to what an earlier try bought; then wait."""
        from airflow_video_providers.hooks.base import VideoHook
        from airflow_video_providers.integration.waiting import WorkerWait
        from airflow_video_providers.operators.callbacks import bought
        from airflow_video_providers.operators.download import check_before_purchase, check_delivery
        from airflow_video_providers.operators.kept import is_next_try, kept_job
        from airflow_video_providers.operators.submit import buy, not_landed

        try:
            if self.synchronous:
                from airflow_video_providers.operators.synchronous import generate_now

                return generate_now(self, context)
            job = bought(
                self,
                context,
                lambda event: buy(
                    self, context, check=lambda: check_before_purchase(self), keeps=not_landed(context), event=event
                ),
                event=named,
            )
            context["ti"].xcom_push(key="request_id", value=job.request_id)
            if job.reused_from is not None:
                return self._land(job, context)
            self.waits_for(context, job)
            check_delivery(self, job)  # it may be an earlier try's, which no check has held back
            finished = kept_job(job, self, context) if is_next_try(context) or self.request_id else None
            if finished is not None:
                return self._land(finished, context)
            waiting = WorkerWait(
                job,
                self._span(context),
                hook=VideoHook.of_task(self, job.model, job.conn_id),
                pace=self.poll_interval,
                log=self.log,
                sleep=self._sleep,
            )
            done = waiting.done_before() if self.deferrable else waiting.until_done()
            if done is None:
                self._defer(waiting)
            return self._land(done, context)
        except VideoProviderError as error:
            failure = self._failed(error, context)
        raise failure

    def execute_named(self, context: Context, event: Any) -> dict[str, Any]:
        """A call has named the job of a submit without an answer, or the time for that is over."""
        return self.execute(context, event)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Read the trigger's event, and land what is finished."""
        from airflow_video_providers.integration.results import finished_job, job_of_event
        from airflow_video_providers.operators.bookkeeping import repair_receipt

        try:
            if (job := job_of_event(event)) is not None:
                repair_receipt(job, context, self.log)
            return self._land(finished_job(event, None, self), context)
        except VideoProviderError as error:
            failure = self._failed(error, context)
        raise failure

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's own limit on the trigger speaks of a trigger; say what it means for the job."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as late:
            from airflow_video_providers.operators.callbacks import ended_by_airflow

            if (unanswered := ended_by_airflow(context)) is not None:
                raise failed(self, unanswered) from None
            request_id = context["ti"].xcom_pull(key="request_id", map_indexes=context["ti"].map_index)
            error = JobTimeoutError(
                f"The trigger ended before the job did ({late}).",
                money="The job is still running at the vendor and may still be charged.",
                remedy="Run the task again: it returns to this job and buys nothing.",
                model=self.model,
                request_id=request_id,
            )
            failure = failed(self, error)
        except AirflowException as error:
            if behind(error) is None:
                raise
            failure = without_frames(error)
        raise failure

    def _span(self, context: Context) -> Span:
        from airflow_video_providers.integration.waiting import span_of

        try_began = getattr(context["ti"], "start_date", None)
        return span_of(self.timeout, execution_timeout=self.execution_timeout, try_began=try_began)

    def _defer(self, waiting: WorkerWait) -> NoReturn:
        from airflow_video_providers.triggers.video import VideoJobTrigger

        self.defer(
            trigger=VideoJobTrigger(**waiting.trigger_arguments(), cancel_on_kill=self.cancel_on_kill),
            method_name="execute_complete",
            timeout=waiting.airflows_limit(),
        )

    def _land(self, job: VideoJob, context: Context) -> dict[str, Any]:
        from airflow_video_providers.integration.results import report_outcome
        from airflow_video_providers.operators.bookkeeping import note_finished
        from airflow_video_providers.operators.download import deliver

        report_outcome(job, self.log)
        note_finished(job, context, self.log)
        job = self.as_kept(job)
        context["ti"].xcom_push(key="job", value=job.to_dict())
        return deliver(job, self, context)

    def _failed(self, error: VideoProviderError, context: Context) -> Exception:
        if isinstance(error, JobErroredError) and self.resubmit_on_error:
            from airflow_video_providers.operators.submit import may_buy_again

            error = error.replace(retryable=may_buy_again(context, error, limit=self.resubmit_on_error, log=self.log))
        from airflow_video_providers.operators.bookkeeping import note_ending

        note_ending(error, self.known_job, context, self.log)
        return failed(self, error)
