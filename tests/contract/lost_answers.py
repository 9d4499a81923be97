"""The vendors' own clients and this package, side by side, where the answers to submits are lost: ``python -m tests.contract.lost_answers``.

Both buy at the simulator, which is written from the vendors' clients and documents: what a real history shows, and when, is not
measured here.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from airflow.sdk import DAG

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.submitting import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_video_providers.testing.simulator import SimulatorHandle

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("lost_answers.md")
DRIVE = Path(__file__).parent / "sdks" / "drive.py"
#: Of this package in the rows that count most, of the vendors' own clients and in the other rows.
PURCHASES, FEW = 20, 5
MODELS = {
    "fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video",
    "replicate": "replicate:studio/magica",
    "segmind": "segmind:mochi-1",
}


class Fault(NamedTuple):
    """What strikes a submit, how often in a row, what it is called in the table, and how many purchases of ours it strikes."""

    kind: str
    times: int
    name: str
    purchases: int = FEW


FAULTS = (
    Fault("drop_after_accept", 0, "nothing is lost"),
    Fault("drop_after_accept", 1, "the first answer is lost", PURCHASES),
    Fault("drop_after_accept", 2, "the first two answers are lost"),
    Fault("http_503_after_accept", 1, "accepted, answered with a 503 page"),
    Fault("truncated_json", 1, "accepted, half of the answer comes"),
)


class Count(NamedTuple):
    """What came of the purchases that were asked for.

    :param asked: Purchases that were wished for.
    :param charges: What the vendor charges once all is finished.
    :param landed: Clips that stand in storage. None of a client that only submits.
    :param people: Purchases that only a person can answer.
    """

    asked: int
    charges: int
    landed: int | None = None
    people: int | None = None

    def __str__(self) -> str:
        each = f"{self.charges / self.asked:g}"
        if self.landed is None:
            return each
        if self.people == self.asked:
            return f"{each}, all left to a person"
        return f"{each}, all landed" if self.landed == self.asked else f"{each}, {self.people} left to a person"


def python() -> Path:
    """The interpreter of the clients' own environment (``make sdks``)."""
    return Path(os.environ.get("VIDEO_SDKS") or ROOT / ".venv-sdks") / "bin" / "python"


def theirs(vendor: str, fault: Fault) -> Count:
    """Purchases with the vendor's own client, unmodified."""
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as simulator:
        subprocess.run(
            [str(python()), str(DRIVE), vendor, f"lost:{fault.kind}:{fault.times}:{FEW}", simulator.url],
            capture_output=True, check=True, timeout=240, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        simulator.advance(600)
        return Count(FEW, simulator.ledger()["charges"])


def ours(vendor: str, fault: Fault, prompts: Sequence[str] = (), **arguments: Any) -> Count:
    """The same through submit, sensor and download, each with one retry and a ledger that all tasks share."""
    prompts = prompts or [f"fox number {number}" for number in range(fault.purchases)]
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as simulator, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ledger").mkdir()
        settings = {"AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(Path(folder) / "ledger")}
        with (
            mock.patch.dict(os.environ, settings),
            mock.patch.object(catalogue.vendors()[vendor], "poll_seconds", (0.0, 0.1)),
        ):
            pushed = list(_bought(vendor, simulator, fault, prompts, folder, arguments))
        charges = simulator.ledger()["charges"]
    landed = len(list(filter(None, pushed)))
    return Count(len(prompts), charges, landed, len(prompts) - landed)


def _bought(
    vendor: str,
    simulator: SimulatorHandle,
    fault: Fault,
    prompts: Sequence[str],
    folder: str,
    arguments: dict[str, Any],
) -> Iterator[str | None]:
    desk = Desk(simulator)
    desk.connect(vendor)
    if catalogue.vendors()[vendor].open_ids:
        arguments = {"unchecked": True, **arguments}
    for number, prompt in enumerate(prompts):
        simulator.clear_faults()
        if fault.times:
            simulator.fault(fault.kind, count=fault.times, vendor=vendor, on="submit")
        with DAG("dag", schedule=None):
            submit = SubmitVideoOperator(
                task_id=f"submit{number}", model=MODELS[vendor], request={"prompt": prompt}, **arguments
            )
            wait = VideoJobSensor(task_id=f"wait{number}", job=submit.output, deferrable=False)
            land = DownloadVideoOperator(task_id=f"land{number}", job=wait.output, output_path=f"{folder}/videos")
        tries = (desk.run(submit, try_number=1 + retry).state == "success" for retry in range(2))
        whole = any(tries) and desk.run(wait).state == "success" and desk.run(land).state == "success"
        yield desk.airflow.xcom(f"land{number}")["request_id"] if whole else None


#: 20 purchases, of which two ask for the same as two before them.
WITH_EQUALS = [f"fox number {number % (PURCHASES - 2)}" for number in range(PURCHASES)]


def rows() -> Iterator[list[str]]:
    """The table's rows."""
    for fault in FAULTS:
        cells = [f"{count(vendor, fault)}" for vendor in MODELS for count in (theirs, ours)]
        yield [fault.name, *cells]


def markdown() -> str:
    """The table."""
    head = ["of each submit"]
    for client, vendor in (("fal-client", "fal"), ("replicate", "Replicate"), ("segmind", "Segmind")):
        head += [f"{client}", f"this package, {vendor}"]
    lines = [head, ["---"] * len(head), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    logging.disable()
    if "--write" in sys.argv:
        TABLE.write_text(markdown())
    print(TABLE.read_text() if TABLE.exists() else markdown())
