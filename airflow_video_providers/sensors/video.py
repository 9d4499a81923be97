"""Wait for a video, without holding a worker."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_video_providers import catalogue, polling
from airflow_video_providers.exceptions import InvalidRequestError, VideoProviderError, rebuild
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.hooks.retries import for_airflow, with_retry_policy
from airflow_video_providers.jobs import VideoJob, read_job
from airflow_video_providers.models import comes_later
from airflow_video_providers.timing import TIMING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import Context

#: Airflow's own limit on the trigger comes after the trigger's own deadline, which says what it means.
_MARGIN = timedelta(minutes=2)
#: How long the worker tries to read the result that the trigger has seen.
_RESULT_PATIENCE = timedelta(minutes=5)


class VideoJobSensor(BaseSensorOperator):
    """Wait until a video is finished. XCom: the finished job, for ``DownloadVideoOperator``.

    A lost answer never ends the wait, and neither does a rate limit: only the vendor's own final word does, a job
    that it no longer knows, or ``timeout``. Deferrable by default; ``deferrable=False`` with ``mode="poke"`` or
    ``mode="reschedule"`` gives the same result.

    :param job: The job, ``submit.output``. Templated.
    :param model: With ``request_id``: the model's id, instead of ``job``. Templated.
    :param request_id: With ``model``: the vendor's id of the job. Templated.
    :param conn_id: The Airflow connection with the API key. Default: the one that bought the job, or
        ``<vendor>_default``. Templated.
    :param deferrable: Wait in the triggerer and hold no worker. Default True.
    :param timeout: Seconds to wait in all, or a timedelta. Default: one hour (Airflow's own is seven days). The
        job goes on at the vendor all the same; running the sensor again waits for it again.
    :param poke_interval: Seconds between two looks. Unset (the default), looks fall where completion is likely.
    :param soft_fail: Skip instead of failing, for every error that this sensor raises.
    :param never_fail: The same.
    :param mode: ``"poke"`` or ``"reschedule"``, where ``deferrable=False``.
    :raises JobFailedError: the vendor says that it failed.
    :raises JobErroredError: the vendor had an error of its own.
    :raises JobCancelledError: it was cancelled at the vendor.
    :raises JobExpiredError: the vendor no longer knows it.
    :raises JobUnknownError: the vendor reports an unknown status for too long.
    :raises OutputMissingError: it is finished and has no output.
    :raises JobTimeoutError: it was not finished in time. It is still running and may still be charged.
    :raises AuthenticationError: the key was refused, also after reading the connection again.
    """

    template_fields: Sequence[str] = ("job", "model", "request_id", "conn_id")
    template_fields_renderers = {"job": "json"}
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
        self.own_pace = poke_interval is not None
        self.silent_fail = False  # it would hide a job's end until the time-out; lost answers are carried anyway
        if model is not None and not comes_later(model):
            catalogue.find(model)
        if job is None and (model is None or request_id is None):
            raise InvalidRequestError("The sensor needs a job, or a model and a request_id.", field="job")

    # Airflow's entry points.

    def execute(self, context: Context) -> Any:
        """Defer, or wait here."""
        try:
            if self.deferrable:
                self._defer(context)
            return super().execute(context)
        except AirflowSensorTimeout as late:
            self._time_out(late)
        except VideoProviderError as error:
            self._fail(error)

    def poke(self, context: Context) -> PokeReturnValue:
        """One look at the job; an odd answer is settled at once, so that no state is carried between pokes."""
        try:
            watch = self._watch or self._begin(context)
            while True:
                watch, verdict = self._look(watch)
                self._watch, self._next_pause = watch, verdict.pause
                if verdict.error is not None:
                    raise verdict.error
                if verdict.done is not None:
                    return PokeReturnValue(is_done=True, xcom_value=self._finish(verdict.done))
                if watch.trouble is None:
                    return PokeReturnValue(is_done=False)
                self._sleep(verdict.pause or 0.0)
        except VideoProviderError as error:
            self._fail(error)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:  # noqa: ARG002 # Airflow's signature
        """Read the trigger's event; a finished job's result is read from the vendor once more.

        The event holds no output addresses, because Airflow logs every event.
        """
        try:
            told = event if isinstance(event, dict) else {}
            job = read_job(told["job"]) if told.get("job") else self._job()
            if told.get("error"):
                raise rebuild(told["error"], job)
            now = _now()
            watch = polling.Watch(job, started=now, deadline=now + _RESULT_PATIENCE)
            while True:
                watch, verdict = self._look(watch)
                if verdict.error is not None:
                    raise verdict.error
                if verdict.done is not None:
                    return self._finish(verdict.done)
                self._sleep(5.0 if verdict.pause is None else verdict.pause)
        except VideoProviderError as error:
            self._fail(error)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's own limit on the trigger speaks of a trigger; say what it means for the job."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as late:
            self._time_out(late)

    def on_kill(self) -> None:
        """Nothing is cancelled: no vendor can."""
        self.log.warning(
            "Killed while waiting. The job still runs at the vendor and may be charged; no vendor can cancel it. "
            "Run this task again to go on waiting for the same job."
        )

    # The parts.

    _watch: polling.Watch | None = None
    _next_pause: float | None = None
    _sleep: Callable[[float], None] = staticmethod(time.sleep)

    def _job(self) -> VideoJob:
        """The job to wait for, with the connection to ask."""
        if self.job is not None:
            job = read_job(self.job)
            return job.but(conn_id=self.conn_id) if self.conn_id else job
        if not self.model or not self.request_id:
            raise InvalidRequestError(
                "The model or the request_id is empty after rendering.",
                remedy="Check the task it comes from: it may have been skipped.",
                field="request_id",
                value=self.request_id,
            )
        hook = VideoHook.for_model(self.model, self.conn_id)
        return VideoJob(
            model=self.model,
            request_id=self.request_id,
            conn_id=hook.conn_id,
            status_route=hook.settings.status_route,
        )

    def _begin(self, context: Context) -> polling.Watch:
        started = (context["ti"].get_first_reschedule_date(context) if self.reschedule else None) or _now()
        return polling.Watch(self._job(), started=started, deadline=started + timedelta(seconds=self.timeout))

    def _defer(self, context: Context) -> NoReturn:
        from airflow_video_providers.triggers.video import VideoJobTrigger

        watch = self._begin(context)
        hook = self._hook(watch.job)
        self.log.info("Waiting for job %s of %s with the connection %s, until %s UTC.",
                      watch.job.request_id, watch.job.model, hook.conn_id, f"{watch.deadline:%Y-%m-%d %H:%M:%S}")  # fmt: skip
        self.defer(
            trigger=VideoJobTrigger(
                job=json.dumps(watch.job.but(conn_id=hook.conn_id, outputs=()).to_dict()),
                poll_interval=self.poke_interval if self.own_pace else None,
                started_at=watch.started.timestamp(),
                end_time=watch.deadline.timestamp(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _MARGIN,
        )

    def _hook(self, job: VideoJob) -> VideoHook:
        known = self.__dict__.get("_known_hook")
        if known is None:
            known = self.__dict__["_known_hook"] = VideoHook.for_model(job.model, job.conn_id)
            _ = known.settings  # a wrong connection must show before waiting
        return known

    def _look(self, watch: polling.Watch) -> tuple[polling.Watch, polling.Verdict]:
        hook = self._hook(watch.job)
        seen: VideoJob | VideoProviderError
        try:
            seen = hook.status(watch.job)
        except VideoProviderError as error:
            seen = error
        before = watch.job.status
        watch, verdict = polling.after(watch, seen, _now())
        if verdict.reconnect:
            hook.reconnect()
        if watch.job.status is not before:
            self.log.info("Job %s: %s (%s) after %.0f s.", watch.job.request_id, watch.job.status,
                          watch.job.vendor_status, (_now() - watch.started).total_seconds())  # fmt: skip
        return watch, verdict

    def _get_next_poke_interval(self, *_: Any) -> float:
        """Airflow's sensor asks this between two pokes."""
        watch = self._watch
        if watch is None:
            return self.poke_interval
        now = _now()
        wait = self.poke_interval
        if not self.own_pace:
            age = (now - (watch.job.submitted_at or watch.started)).total_seconds()
            wait = TIMING.next_look(watch.job.model, age, catalogue.vendor_of(watch.job.model).poll_seconds)
        left = (watch.deadline - now).total_seconds()
        return max(0.0, min(max(wait, self._next_pause or 0.0), left))

    def _finish(self, job: VideoJob) -> dict[str, Any]:
        age = (
            "" if job.submitted_at is None else f" {(_now() - job.submitted_at).total_seconds():.1f} s after its submit"
        )
        cost = "not known" if job.estimated_cost_usd is None else f"${job.estimated_cost_usd}"
        self.log.info("Job %s of %s is finished%s: %d output(s), charged: %s, estimated cost: %s.",
                      job.request_id, job.model, age, len(job.outputs), job.charged, cost)  # fmt: skip
        return job.to_dict()

    def _fail(self, error: VideoProviderError) -> NoReturn:
        """The one table for all modes: Airflow's own differs between them."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(f"{error} (skipped: soft_fail or never_fail is set)") from error
        told = for_airflow(error)
        raise told from (error if told is not error else error.__cause__)

    def _time_out(self, late: AirflowSensorTimeout) -> NoReturn:
        if isinstance(late, VideoProviderError):
            self._fail(late)
        now = _now()
        watch = self._watch or polling.Watch(self._job(), now - timedelta(seconds=self.timeout), now)
        self._fail(polling.timed_out(watch))


def _now() -> datetime:
    return datetime.now(UTC)
