"""A wait that starts, and ends well, in the triggerer: no worker at all.

Airflow 3.3 starts such a task straight from the serialized DAG. There is nobody who could hand over the job, so
the trigger reads it from XCom itself, and writes the finished job before it ends the task: in 3.3.2 references
to other tasks in trigger arguments arrive as text, and XComs that a task-ending event carries are stored twice
encoded.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import StartTriggerArgs, TaskSkippedEvent, TaskSuccessEvent
from asgiref.sync import sync_to_async

from airflow_video_providers import metrics
from airflow_video_providers.exceptions import InvalidRequestError, VideoProviderError
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.hooks.waiting import AIRFLOWS_MARGIN
from airflow_video_providers.jobs import VideoJob, read_job
from airflow_video_providers.links.video import ModelDocumentationLink, documentation_of
from airflow_video_providers.triggers.video import VideoJobTrigger, event_of, own_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow.triggers.base import TriggerEvent


_OWN = (
    "source_task_id", "source_key", "source_holds", "model", "request_id", "conn_id", "skip", "timeout",
    "execution_timeout",
)  # fmt: skip
#: Where ``execution_timeout`` is Airflow's limit, we end this share of it after the start, to say what it means.
_BEFORE_AIRFLOW = 0.9


class VideoJobStartTrigger(VideoJobTrigger):
    """:class:`VideoJobTrigger` for a task that starts in the triggerer.

    :param source_task_id: The task whose XCom names the job; its mapped instance with this one's own index.
    :param source_key: Under which key.
    :param source_holds: ``"job"`` or ``"request_id"``; unset, as an older version of the package left it, the key tells:
        ``"return_value"`` holds a job.
    :param model: With a request_id: the model's id. Rendered in the triggerer, as the next two.
    :param request_id: The vendor's id, where no task names the job.
    :param conn_id: The connection to ask.
    :param skip: Skip the task instead of waking a worker that fails it.
    :param timeout: Seconds to wait in all. With Airflow's own limit, which survives a restart of the triggerer, it
        tells when the wait began.
    :param execution_timeout: Airflow applies it to such a task, in seconds, where it is shorter than its own limit.
    """

    def __init__(
        self,
        *,
        source_task_id: str | None = None,
        source_key: str = "return_value",
        source_holds: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        skip: bool = False,
        timeout: float | None = None,
        execution_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_task_id = source_task_id
        self.source_key = source_key
        self.source_holds = source_holds or ("job" if source_key == "return_value" else "request_id")
        self.model = model
        self.request_id = request_id
        self.conn_id = conn_id
        self.skip = skip
        self.timeout = timeout
        self.execution_timeout = execution_timeout

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where this class lives, and the arguments that make its like."""
        _, arguments = super().serialize()
        return f"{__name__}.{type(self).__name__}", {**arguments, **{name: getattr(self, name) for name in _OWN}}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """End the task here if it goes well or is to be skipped; otherwise wake a worker that fails it.

        The worker raises the error, so that its class and the retry policy hold.
        """
        job: VideoJob | None = None
        try:
            self._set_limits()
            await self._forget_earlier_tries()
            job = await self.find_job()
            await self._push_link(job)
            until = self._deadline(datetime.fromtimestamp(self.started_at, UTC))
            self.log.info(
                "Waiting for job %s of %s until %s UTC, without a worker.",
                job.request_id, job.model, f"{until:%Y-%m-%d %H:%M:%S}",
            )  # fmt: skip
            job = await self.wait_for(job)
        except VideoProviderError as error:
            if self.skip:
                metrics.failed(error)
                self.log.warning("Skipped: %s", error)
                yield TaskSkippedEvent()
            else:
                yield event_of(getattr(error, "job", None), error)
        except Exception as error:
            self.log.exception("The trigger met an error of its own.")
            yield event_of(job, own_error(error, job))
        else:
            yield await self._finished(job)

    async def _finished(self, job: VideoJob) -> TriggerEvent:
        """End the task; where the job cannot be stored from here, a worker reads it once more and stores it."""
        try:
            await self._push("return_value", job.to_dict())
        except Exception:
            self.log.warning("Job %s is finished and could not be stored from here.", job.request_id, exc_info=True)
            return event_of(job, None)
        metrics.succeeded(job)
        self.log.info("Job %s is finished: %d output(s). No worker was needed.", job.request_id, len(job.outputs))
        return TaskSuccessEvent()

    def _set_limits(self) -> None:
        """When the wait began and when it ends, also after a restart of the triggerer: from Airflow's own limit."""
        limit: datetime | None = getattr(self, "timeout_after", None)
        if self.timeout is None or limit is None:
            return
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        whole, ours = self.timeout + AIRFLOWS_MARGIN.total_seconds(), self.timeout
        if self.execution_timeout is not None and self.execution_timeout < whole:
            whole, ours = self.execution_timeout, min(ours, self.execution_timeout * _BEFORE_AIRFLOW)
        began = limit.timestamp() - whole
        self.started_at = min(self.started_at, began)
        self.end_time = began + ours

    async def _forget_earlier_tries(self) -> None:
        """Airflow clears XComs when a worker starts, and here none does: a skip must not leave an earlier try's job."""
        if getattr(self.task_instance, "try_number", 1) > 1:
            await _aside(XCom.delete, key="return_value", **self._task(own_index=True))

    async def _push(self, key: str, value: Any) -> None:
        await _aside(XCom.set, key=key, value=value, **self._task(own_index=True))

    async def _push_link(self, job: VideoJob) -> None:
        """The button that a worker would store when it defers. It is not worth the wait."""
        try:
            await self._push(ModelDocumentationLink.xcom_key, documentation_of(job.model))
        except Exception:
            self.log.debug("The link to the model's documentation could not be stored.", exc_info=True)

    async def find_job(self) -> VideoJob:
        """The job that another task pushed, or the one that the author names."""
        if self.source_task_id is None:
            return await self._attached(self.model, self.request_id) if self.request_id else await super().find_job()
        value = await _aside(XCom.get_one, key=self.source_key, **self._task(task_id=self.source_task_id))
        if self.source_holds != "job":
            return await self._attached(self.model, value)
        job = read_job(value)
        return job.but(conn_id=self.conn_id) if self.conn_id else job

    async def _attached(self, model: str | None, request_id: Any) -> VideoJob:
        if not model or not request_id:
            raise InvalidRequestError(
                "The model or the request_id is empty.",
                remedy="Check the task it comes from: it may have been skipped.",
                field="request_id",
                value=request_id,
            )
        hook = VideoHook.for_model(model, self.conn_id)
        route = (await hook.aget_settings()).status_route
        return VideoJob(model=model, request_id=str(request_id), conn_id=hook.conn_id, status_route=route)

    def _task(self, task_id: str | None = None, *, own_index: bool = False) -> dict[str, Any]:
        ti = self.task_instance
        if ti is None:
            raise InvalidRequestError("The trigger was started without a task.", field="task_instance")
        index = -1 if ti.map_index is None else ti.map_index
        return {
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "task_id": task_id or ti.task_id,
            "map_index": index if own_index or index >= 0 else -1,
        }


def start_arguments(
    job: Any,
    *,
    model: str | None,
    request_id: Any,
    conn_id: str | None,
    timeout: float,
    poll_interval: float | None,
    skip: bool,
    execution_timeout: timedelta | None = None,
) -> StartTriggerArgs:
    """What Airflow needs to start the wait without a worker.

    :raises InvalidRequestError: the job is given in a way that the triggerer cannot resolve.
    """
    arguments: dict[str, Any] = {
        "model": model, "conn_id": conn_id, "poll_interval": poll_interval, "skip": skip, "timeout": timeout,
        "execution_timeout": execution_timeout.total_seconds() if execution_timeout else None,
    }  # fmt: skip
    for field, value in (("model", model), ("conn_id", conn_id)):
        if not _resolvable(value):
            raise _unresolvable(field, value)
    named = job if job is not None else request_id
    source = getattr(named, "operator", None)
    if source is not None:
        holds = "job" if job is not None else "request_id"
        arguments |= {"source_task_id": source.task_id, "source_key": named.key, "source_holds": holds}
    elif job is None and request_id is not None and _resolvable(request_id):
        arguments["request_id"] = request_id
    elif isinstance(job, dict):
        arguments["job"] = json.dumps(read_job(job).but(outputs=()).to_dict())
    else:
        raise _unresolvable("job" if job is not None else "request_id", named)
    return StartTriggerArgs(
        trigger_cls=f"{__name__}.VideoJobStartTrigger",
        trigger_kwargs=arguments,
        next_method="execute_complete",
        timeout=timedelta(seconds=timeout) + AIRFLOWS_MARGIN,
    )


def _resolvable(value: Any) -> bool:
    """Nothing, or a text that the triggerer can render: there a template that pulls an XCom hangs."""
    return value is None or (isinstance(value, str) and "xcom_pull" not in value)


def _unresolvable(field: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"A wait that starts in the triggerer cannot resolve this {field}.",
        remedy="Write job=<task>.output or request_id=<task>.output['request_id']; a template must not pull XComs.",
        field=field,
        value=value,
    )


async def _aside(call: Callable[..., Any], **arguments: Any) -> Any:
    """A call that waits for the supervisor, in a thread of its own: a slow XCom backend must not hold up the others."""
    return await sync_to_async(call, thread_sensitive=False)(**arguments)
