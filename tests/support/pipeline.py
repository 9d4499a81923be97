"""Submit, wait and land against the simulator, in the in-memory Airflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.airflow import MemoryAirflow, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_video_providers.testing.simulator import SimulatorHandle

MODEL = "pixazo:pixverse-v6-image-to-video"
PROMPT = "A fox in the snow"
REQUEST = {"prompt": PROMPT, "image_url": "https://pictures.example/fox.png?signature=secret", "duration": 5}


@dataclass
class Pipeline:
    """The three tasks of one DAG run, and the one task that does it all."""

    simulator: SimulatorHandle
    folder: Path
    model: str = MODEL
    request: dict[str, Any] = field(default_factory=lambda: dict(REQUEST))
    outlets: list[Any] = field(default_factory=list)
    airflow: MemoryAirflow = field(init=False)

    def __post_init__(self) -> None:
        vendor = self.model.partition(":")[0]
        self.airflow = MemoryAirflow(connections={f"{vendor}_default": self.simulator.connection(vendor)})
        where = self.folder.as_uri()
        waiting: dict[str, Any] = {"deferrable": False, "timeout": 20}
        with DAG("dag", schedule=None, default_args={"retry_delay": timedelta(0)}):
            self.submit = SubmitVideoOperator(task_id="submit", model=self.model, request=self.request)
            self.wait = VideoJobSensor(task_id="wait", job=self.submit.output, poke_interval=0.05, **waiting)
            self.land = DownloadVideoOperator(
                task_id="land", job=self.wait.output, output_path=where, outlets=self.outlets
            )
            self.generate = GenerateVideoOperator(
                task_id="generate", model=self.model, request=self.request, output_path=where, poll_interval=0.05,
                outlets=self.outlets, **waiting,
            )  # fmt: skip

    def run(self) -> Outcome:
        """All three; returns how the last one ended."""
        for task in (self.submit, self.wait):
            assert self.airflow.run(task, retries=1).state == "success"
        return self.airflow.run(self.land, retries=1)

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """What a task pushed."""
        return self.airflow.xcom(task_id, key)
