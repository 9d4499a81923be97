"""A vendor that dies and comes back: what was sold is known, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.testing.simulator import SimulatorHandle, running
from airflow_video_providers.testing.simulator.__main__ import main
from airflow_video_providers.testing.simulator.handle import KEYS

from .conftest import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

FROZEN: dict[str, Any] = {"frozen_clock": True, "queue_seconds": (10, 10), "run_seconds": (60, 60)}


def test_jobs_money_requests_and_the_frozen_clock_are_known_to_the_next_simulator(
    tmp_path: Path, http: httpx.Client
) -> None:
    file = tmp_path / "vendor.state"
    with running(state=file, **FROZEN) as simulator:
        desk = Desk(simulator, http)
        done = desk.buy("pixazo", "an old fox")
        desk.finish()
        url = desk.url("pixazo", done)
        running_still = desk.buy("segmind", "a young fox")
        desk.submit("appypie", "[[fault:job_failed]] a failed fox")
        desk.start()
        http.get(url, headers={"x-api-key": "secret"})
        before, asked = simulator.ledger(), simulator.requests()
        violations = simulator.violations()
    with running(state=file, **FROZEN) as simulator:
        desk = Desk(simulator, http)
        assert simulator.ledger() == before
        assert simulator.requests() == asked
        assert simulator.violations() == violations != []
        path = httpx.URL(url).path
        assert http.get(simulator.url + path).status_code == 200  # the address that was issued before still leads there
        assert desk.status("segmind", running_still).json()["status"] == "PROCESSING"
        desk.finish()
        assert desk.status("segmind", running_still).json()["status"] == "COMPLETED"
        ledger = simulator.ledger()
        assert (ledger["accepted"], ledger["charges"], ledger["submits"]) == (3, 3, 3)
        assert ledger["credits"]["pixazo"] == before["credits"]["pixazo"]


def test_what_was_sold_twice_across_a_restart_is_a_duplicate(tmp_path: Path, http: httpx.Client) -> None:
    for _ in range(2):
        with running(state=tmp_path / "vendor.state", **FROZEN) as simulator:
            Desk(simulator, http).buy("pixazo", "the same fox")
            found = simulator.ledger()["duplicates"]
    assert len(found[0]["request_ids"]) == 2


def test_what_strikes_a_job_later_still_does_as_often_as_was_left(tmp_path: Path, http: httpx.Client) -> None:
    file = tmp_path / "vendor.state"
    with running(state=file, **FROZEN) as simulator:
        bought = Desk(simulator, http).buy("pixazo", "[[fault:http_503@status*2]] a fox")
        assert Desk(simulator, http).status("pixazo", bought).status_code == 503
    with running(state=file, **FROZEN) as simulator:
        codes = [Desk(simulator, http).status("pixazo", bought).status_code for _ in range(2)]
        assert codes == [503, 200]


def test_a_reset_empties_the_file_too(tmp_path: Path, http: httpx.Client) -> None:
    file = tmp_path / "vendor.state"
    with running(state=file) as simulator:
        Desk(simulator, http).buy("pixazo")
        simulator.reset()
    with running(state=file) as simulator:
        assert (simulator.ledger()["accepted"], simulator.requests()) == (0, [])


def test_a_killed_one_has_lost_nothing_that_it_answered(
    tmp_path: Path, http: httpx.Client, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    program = [sys.executable, "-m", "airflow_video_providers.testing.simulator", "--port", "0"]
    program += ["--state", str(tmp_path / "vendor.state"), "--queue-seconds", "0.1", "--run-seconds", "0.1"]
    bought: list[str] = []
    for _ in range(2):
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            simulator = SimulatorHandle(process.stdout.readline().strip().removeprefix("listening on "))
            desk = Desk(simulator, http)
            assert [row["request_id"] for row in simulator.ledger()["jobs"]] == bought
            bought += [desk.buy("pixazo", f"fox {number}") for number in range(len(bought), len(bought) + 5)]
            for request_id in bought:  # time went on while nobody was there
                assert eventually(lambda: desk.status("pixazo", request_id).json()["status"] == "COMPLETED")  # noqa: B023
            simulator.close()
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_file_that_is_none_of_ours_is_refused_in_one_line(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vendor.state"
    file.write_bytes(content)
    if content:
        assert main(["--port", "0", "--state", str(file)]) == 1
        assert "cannot be kept in" in capsys.readouterr().err
        assert file.read_bytes() == content
    with running(state=tmp_path / "another.state") as simulator:
        assert main(["--port", "0", "--state", str(tmp_path / "another.state")]) == 1
        assert "locked" in capsys.readouterr().err
        assert simulator.ledger()["accepted"] == 0
    assert KEYS["pixazo"].encode() not in (tmp_path / "another.state").read_bytes()
