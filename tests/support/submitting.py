"""A submit in an Airflow without database, against the simulator, and all that it leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG

from airflow_video_providers.operators.video import SubmitVideoOperator
from tests.support.airflow import MemoryAirflow

if TYPE_CHECKING:
    from airflow_video_providers.testing.simulator import SimulatorHandle
    from tests.support.airflow import Outcome

V6 = "pixazo:pixverse-v6-text-to-video"
#: One model of each vendor.
ONE_OF_EACH = {"pixazo": "pixazo:mochi-v1", "appypie": "appypie:mochi-1", "segmind": "segmind:mochi-1"}
KEY = "sk_live_a-secret-of-this-test"


class Desk:
    """Runs submit tasks and remembers what they logged.

    :ivar logs: Every line that any run logged, before Airflow masks anything.
    """

    def __init__(self, simulator: SimulatorHandle) -> None:
        self.simulator = simulator
        self.airflow = MemoryAirflow()
        self.logs: list[str] = []
        for vendor in ONE_OF_EACH:
            self.connect(vendor)

    def connect(self, vendor: str, *, extra: dict[str, Any] | None = None, **changes: Any) -> None:
        """The connection that a vendor's tasks find."""
        connection = self.simulator.connection(vendor, key=KEY) | changes
        connection["extra"] |= extra or {}
        self.airflow.connections[f"{vendor}_default"] = connection

    def submit(self, model: str = V6, request: Any = None, **arguments: Any) -> SubmitVideoOperator:
        """A submit task."""
        arguments.setdefault("task_id", "submit")
        if request is None and "request_id" not in arguments:
            request = {"prompt": "a fox"}
        with DAG("dag", schedule=None):
            return SubmitVideoOperator(model=model, request=request, **arguments)

    def run(self, task: Any, **how: Any) -> Outcome:
        """One try of a task."""
        with structlog.testing.capture_logs() as lines:
            outcome = self.airflow.run(task, **how)
        self.logs += [str(line["event"]) for line in lines]
        return outcome

    @property
    def log(self) -> str:
        """The log as text."""
        return "\n".join(self.logs)

    def bodies(self) -> list[dict[str, Any]]:
        """What was posted, oldest first."""
        return [call["body"] for call in self.simulator.requests() if call["method"] == "POST"]

    @property
    def accepted(self) -> int:
        """Jobs at the vendors."""
        return int(self.simulator.ledger()["accepted"])

    def left_behind(self, outcome: Outcome) -> str:
        """Everything that people or databases see of a run: log, XCom, ledger, the error and its causes."""
        texts = [self.log, json.dumps([*self.airflow.xcoms.values(), self.airflow.store]), repr(outcome.message)]
        error = outcome.error
        while error is not None:
            texts += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
        return "\n".join(texts)
