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
from airflow_video_providers.triggers.video import VideoJobTrigger, event_of, own_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent


class VideoJobStartTrigger(VideoJobTrigger):
    """:class:`VideoJobTrigger` for a task that starts in the triggerer.

    :param source_task_id: The task whose XCom names the job; its mapped instance with this one's own index.
    :param source_key: Under which key: ``"return_value"`` holds a job, anything else a request_id.
    :param model: With a request_id: the model's id. Rendered in the triggerer, as the next two.
    :param request_id: The vendor's id, where no task names the job.
    :param conn_id: The connection to ask.
    :param skip: Skip the task instead of waking a worker that fails it.
    """

    def __init__(
        self,
        *,
        source_task_id: str | None = None,
        source_key: str = "return_value",
        model: str | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        skip: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_task_id = source_task_id
        self.source_key = source_key
        self.model = model
        self.request_id = request_id
        self.conn_id = conn_id
        self.skip = skip

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where this class lives, and the arguments that make its like."""
        _, arguments = super().serialize()
        own = ("source_task_id", "source_key", "model", "request_id", "conn_id", "skip")
        return f"{__name__}.{type(self).__name__}", {**arguments, **{name: getattr(self, name) for name in own}}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """End the task here if it goes well or is to be skipped; otherwise wake a worker that fails it.

        The worker raises the error, so that its class and the retry policy hold.
        """
        try:
            job = await self.find_job()
            until = self._deadline(datetime.fromtimestamp(self.started_at, UTC))
            self.log.info(
                "Waiting for job %s of %s until %s UTC, without a worker.",
                job.request_id, job.model, f"{until:%Y-%m-%d %H:%M:%S}",
            )  # fmt: skip
            job = await self.wait_for(job)
            await sync_to_async(XCom.set)(key="return_value", value=job.to_dict(), **self._task(own_index=True))
        except VideoProviderError as error:
            if self.skip:
                self.log.warning("Skipped: %s", error)
                yield TaskSkippedEvent()
            else:
                yield event_of(getattr(error, "job", None), error)
        except Exception as error:
            self.log.exception("The trigger met an error of its own.")
            yield event_of(None, own_error(error, None))
        else:
            metrics.succeeded(job)
            self.log.info("Job %s is finished: %d output(s). No worker was needed.", job.request_id, len(job.outputs))
            yield TaskSuccessEvent()

    async def find_job(self) -> VideoJob:
        """The job that another task pushed, or the one that the author names."""
        if self.source_task_id is None:
            return await self._attached(self.model, self.request_id) if self.request_id else await super().find_job()
        value = await sync_to_async(XCom.get_one)(key=self.source_key, **self._task(task_id=self.source_task_id))
        if self.source_key != "return_value":
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
) -> StartTriggerArgs:
    """What Airflow needs to start the wait without a worker.

    :raises InvalidRequestError: the job is given in a way that the triggerer cannot resolve.
    """
    arguments: dict[str, Any] = {"model": model, "conn_id": conn_id, "poll_interval": poll_interval, "skip": skip}
    named = job if job is not None else request_id
    source = getattr(named, "operator", None)
    if source is not None:
        arguments |= {"source_task_id": source.task_id, "source_key": named.key}
    elif job is None and isinstance(request_id, str) and "xcom_pull" not in request_id:
        arguments["request_id"] = request_id
    elif isinstance(job, dict):
        arguments["job"] = json.dumps(read_job(job).but(outputs=()).to_dict())
    else:
        raise InvalidRequestError(
            "A wait that starts in the triggerer cannot resolve this job or request_id.",
            remedy="Write job=<task>.output or request_id=<task>.output['request_id']; a template must not pull XComs.",
            field="job" if job is not None else "request_id",
            value=named,
        )
    return StartTriggerArgs(
        trigger_cls=f"{__name__}.VideoJobStartTrigger",
        trigger_kwargs=arguments,
        next_method="execute_complete",
        timeout=timedelta(seconds=timeout) + AIRFLOWS_MARGIN,
    )
