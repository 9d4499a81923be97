"""When a rescheduled wait comes back: as the job's pace says, and not before Airflow's scheduler has heard of it."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.sensors.video import VideoJobSensor


class Pausing:
    """A wait whose next poll is due then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def pause(self) -> float:
        return self._seconds


@pytest.mark.parametrize(
    ("mode", "own", "due", "comes"),
    [
        ("reschedule", None, 0.5, 10.0),  # the scheduler would fail the task
        ("reschedule", None, 25.0, 25.0),
        ("reschedule", 2.0, 2.0, 2.0),  # the author's own
        ("poke", None, 0.5, 0.5),  # its process does not end
    ],
)
def test_a_wait_comes_back(mode, own, due, comes):
    with DAG("dag", schedule=None):
        sensor = VideoJobSensor(
            task_id="wait", model="pixazo:mochi-v1", request_id="m-1", deferrable=False, mode=mode, poke_interval=own
        )
    sensor._waiting = Pausing(due)
    assert sensor._get_next_poke_interval(0, 0, 0) == comes
