"""Wait for a video, without holding a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.integration.lineage import ReportsLineage
from airflow_video_providers.integration.retries import (
    behind,
    failed,
    made_while_running,
    with_retry_policy,
    without_frames,
)
from airflow_video_providers.integration.warned import remember_warned, warned_before
from airflow_video_providers.links.video import ModelDocumentationLink
from airflow_video_providers.operators.kills import CancelsOnKill
from airflow_video_providers.operators.rendered import ReadsTemplates, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import BaseOperatorLink
    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.integration.waiting import Span, WorkerWait


class VideoJobSensor(CancelsOnKill, ReadsTemplates, ReportsLineage, BaseSensorOperator):
    """Wait until a video is finished.

    ::

        wait = VideoJobSensor(task_id="wait", job=submit.output, timeout=timedelta(minutes=30))

    XCom: the finished job, the fields of :class:`~airflow_video_providers.core.jobs.VideoJob` as a plain dict with
    ``outputs``, for ``DownloadVideoOperator``.

    A lost answer never ends the wait, and neither does a rate limit: only the vendor's own final word does, a job
    that it no longer knows, or ``timeout``. Deferrable by default; ``deferrable=False`` with ``mode="poke"`` or
    ``mode="reschedule"`` gives the same result. All arguments of ``BaseSensorOperator`` hold too, except
    ``silent_fail``, ``exponential_backoff`` and ``max_wait``, which have no effect: lost answers are carried anyway, and
    polls are timed by what is known of the model.

    :param job: The job, ``submit.output``. Templated.
    :param model: With ``request_id``: the model's id, instead of ``job``. Templated.
    :param request_id: With ``model``: the vendor's id of the job. Templated.
    :param conn_id: The Airflow connection with the API key. Default: the one that bought the job, or
        ``<vendor>_default``. Templated.
    :param deferrable: Wait in the triggerer and hold no worker. Default True.
    :param timeout: Seconds to wait in all, or a timedelta. Default: one hour (Airflow's own is seven days). The
        job goes on at the vendor all the same; running the sensor again waits for it again. Airflow's
        ``execution_timeout``, from the start of the try, ends the wait in the same way where it is over sooner, also
        of a deferred one.
    :param poke_interval: Seconds between two polls. Unset (the default), polls fall where completion is likely.
    :param soft_fail: Skip instead of failing, for every error that this sensor raises. Default False.
    :param never_fail: The same as ``soft_fail``. Default False.
    :param cancel_on_kill: Cancel the job at the vendor where somebody ends this task while it waits: marks it, or fails its
        run. A Clear, a retry and a time-out cancel nothing. Default False.
    :param mode: ``"poke"`` (default) or ``"reschedule"`` (back after ten seconds at the earliest), where ``deferrable=False``.
    :raises JobFailedError: the vendor says that it failed.
    :raises JobErroredError: the vendor had an error of its own.
    :raises JobCancelledError: it was cancelled at the vendor.
    :raises JobExpiredError: the vendor no longer knows it.
    :raises JobUnknownError: the vendor still reports an unknown status when the time is over.
    :raises OutputMissingError: it is finished and has no output.
    :raises JobTimeoutError: it was not finished in time. It is still running and may still be charged.
    :raises AuthenticationError: the key was refused, also after reading the connection again.
    """

    template_fields: Sequence[str] = ("job", "model", "request_id", "conn_id")
    template_fields_renderers = {"job": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (ModelDocumentationLink(),)
    ui_color = "#e1e8f5"

    def __init__(
        self,
        *,
        job: Mapping[str, Any] | None = None,
        model: str | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        deferrable: bool = True,
        timeout: timedelta | float = 3600,
        poke_interval: timedelta | float | None = None,
        cancel_on_kill: bool = False,
        **kwargs: Any,
    ) -> None:
        if poke_interval is not None:
            kwargs["poke_interval"] = poke_interval
        super().__init__(timeout=timeout, **with_retry_policy(kwargs))
        self.job = job
        self.model = model
        self.request_id = request_id
        self.conn_id = conn_id
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.own_pace = poke_interval is not None
        self.by_id = model is not None or request_id is not None
        self.silent_fail = False  # it would hide a job's end until the time-out; lost answers are carried anyway
        if made_while_running(self):
            return
        from airflow_video_providers.operators.parse_checks import check_model

        check_model(model)
        if job is None and (model is None or request_id is None):
            raise InvalidRequestError("The sensor needs a job, or a model and a request_id.", field="job")

    def execute(self, context: Context) -> Any:
        """Defer, or wait here."""
        try:
            if (finished := self._kept(context)) is not None:
                return self._finish(finished, context)
            if self.deferrable:
                waiting = self._begin(context)
                if done := waiting.done_before():
                    return self._finish(done, context)
                self._defer(waiting)
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout) as late:
            failure = failed(self, self._late(late, context))
        except VideoProviderError as error:
            failure = self._failed(error, context)
        except AirflowSkipException as skip:  # with soft_fail Airflow's own loop makes it of whatever a poke raises
            error_behind = behind(skip)
            failure = self._failed(error_behind, context) if error_behind is not None else skip
        raise failure

    def poke(self, context: Context) -> PokeReturnValue:
        """One poll of the job."""
        self._waiting = self._waiting or self._begin(context)
        warned = self._waiting.state.warned
        job = self._waiting.poll()
        if job is None and self.reschedule:
            if (now := self._waiting.state.warned) > warned:
                remember_warned(self._waiting.job, now, context, self.log)
            self._waiting.hook.close()  # the next poll comes from another process
        return PokeReturnValue(is_done=job is not None, xcom_value=job and self._finish(job, context))

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Read the trigger's event, and a finished job's result from the vendor."""
        from airflow_video_providers.integration.results import finished_job

        try:
            return self._finish(finished_job(event, self._job(), self), context)
        except VideoProviderError as error:
            failure = self._failed(error, context)
        raise failure

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's own limit on the trigger speaks of a trigger; say what it means for the job."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if behind(error) is not None:
                failure = without_frames(error)
            elif isinstance(error, AirflowSensorTimeout) or isinstance(error.__cause__, AirflowSensorTimeout):
                failure = failed(self, self._late(error, context))
            else:
                raise
        raise failure

    _waiting: WorkerWait | None = None
    _sleep: Callable[[float], None] = staticmethod(time.sleep)

    def _job(self) -> VideoJob:
        from airflow_video_providers.core.jobs import read_job
        from airflow_video_providers.integration.waiting import job_to_wait_for

        settle(self)
        if self.job is None and not self.by_id:
            return read_job(None)  # which says so
        return job_to_wait_for(self.job, self.model, self.request_id, self.conn_id)

    def _kept(self, context: Context) -> VideoJob | None:
        """The finished job, where its refused file is kept: then there is nothing to wait for, whatever the vendor knows."""
        from airflow_video_providers.operators.kept import is_next_try, kept_while_waiting

        job = self._job()
        if job.reused_from is not None:
            return job
        return kept_while_waiting(job, self, context) if is_next_try(context) else None

    def _begin(self, context: Context) -> WorkerWait:
        from airflow_video_providers.hooks.base import VideoHook
        from airflow_video_providers.integration.waiting import WorkerWait, settings_for

        job = self._job()
        hook = VideoHook.of_task(self, job.model, job.conn_id)
        if self.job is None:
            job = job.replace(status_route=settings_for(hook, job, self.log, self._sleep).status_route)
        rescheduled = self._first_poke(context) is not None
        waiting = WorkerWait(
            job,
            self._span(context),
            hook=hook,
            rescheduled=rescheduled,
            warned=warned_before(job, context, self.log) if rescheduled else 0,
            pace=self.poke_interval if self.own_pace else None,
            log=self.log,
            sleep=self._sleep,
        )
        self.waits_for(context, waiting.job)
        if waiting.job.receipt_due is not None:
            from airflow_video_providers.operators.bookkeeping import repair_receipt

            repair_receipt(waiting.job, context, self.log)
        return waiting

    def _span(self, context: Context) -> Span:
        from airflow_video_providers.integration.waiting import span_of

        return span_of(
            self.timeout,
            began=self._first_poke(context),
            execution_timeout=self.execution_timeout,
            try_began=getattr(context["ti"], "start_date", None),
        )

    def _first_poke(self, context: Context) -> datetime | None:
        return context["ti"].get_first_reschedule_date(context) if self.reschedule else None

    def _defer(self, waiting: WorkerWait) -> NoReturn:
        from airflow_video_providers.triggers.video import VideoJobTrigger

        self.log.info(
            "Waiting for job %s of %s with the connection %s, until %s UTC.",
            waiting.job.request_id, waiting.job.model, waiting.hook.conn_id,
            f"{waiting.state.deadline:%Y-%m-%d %H:%M:%S}",
        )  # fmt: skip
        self.defer(
            trigger=VideoJobTrigger(**waiting.trigger_arguments(), cancel_on_kill=self.cancel_on_kill),
            method_name="execute_complete",
            timeout=waiting.airflows_limit(),
        )

    def _get_next_poke_interval(self, *_: Any) -> float:
        """Airflow's sensor asks this between two pokes."""
        return self._waiting.pause(put_off=self.reschedule) if self._waiting else self.poke_interval

    def _finish(self, job: VideoJob, context: Context) -> dict[str, Any]:
        from airflow_video_providers.integration.results import report_outcome
        from airflow_video_providers.operators.bookkeeping import note_finished

        if (known := self._job()).parameters is not None:  # the wait itself carries no texts
            job = job.replace(parameters=known.parameters)
        self.known_job = job
        report_outcome(job, self.log)
        note_finished(job, context, self.log)
        return job.to_dict()

    def _failed(self, error: VideoProviderError, context: Context) -> Exception:
        from airflow_video_providers.operators.bookkeeping import note_ending

        note_ending(error, None, context, self.log)
        return failed(self, error)

    def _late(self, late: BaseException, context: Context) -> VideoProviderError:
        """The error for a wait that Airflow has ended, by whichever of its limits."""
        from airflow_video_providers.core.polling.decision import PollState, timed_out

        if isinstance(late, VideoProviderError):
            return late
        if self._waiting is None:
            return timed_out(PollState(self._job(), *self._span(context)))
        self._waiting.hook.close()
        return self._waiting.timed_out()
