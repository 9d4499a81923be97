"""The module as a program, and the fixture as another project uses it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.testing.simulator import SimulatorHandle
from airflow_video_providers.testing.simulator.__main__ import main
from airflow_video_providers.testing.simulator.faults import KINDS

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = [sys.executable, "-m", "airflow_video_providers.testing.simulator"]


@pytest.mark.slow
def test_it_says_where_it_listens_serves_with_its_settings_and_stops_on_interrupt() -> None:
    arguments = ["--port", "0", "--frozen-clock", "--key", "mine", "--run-seconds", "2", "--queue-seconds", "0.5-1"]
    with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline().strip()
        assert line.startswith("listening on http://127.0.0.1:")
        simulator = SimulatorHandle(line.removeprefix("listening on "))
        options = simulator._ask("GET", "options")
        simulator.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    assert (options["frozen_clock"], options["keys"]) == (True, ["mine"])
    assert (options["run_seconds"], options["queue_seconds"]) == ([2.0, 2.0], [0.5, 1.0])


def test_help_says_what_is_checked_invented_and_from_where(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for words in (
        "checked, from the documents",
        "invented, because no document says it",
        "segmind 1.3.0",
        "/_sim/ledger",
    ):
        assert words in text
    for name in KINDS:
        assert name in text


@pytest.mark.parametrize("value", ["soon", "3-1", "-1", "1-x"])
def test_a_range_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--run-seconds={value}"])
    assert "--run-seconds" in capsys.readouterr().err


@pytest.mark.slow
def test_a_busy_port_and_a_wrong_setting_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    assert "cannot start on 127.0.0.1:" in capsys.readouterr().err
    assert main(["--outputs", "0", "--port", "0"]) == 1
    assert "outputs is at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_any_project_can_use_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]\n')
    (tmp_path / "test_pipeline.py").write_text(
        "def test_one(video_simulator):\n"
        "    video_simulator.fault('http_503')\n"
        "    assert video_simulator.environment()['AIRFLOW_CONN_SEGMIND_DEFAULT']\n"
        "def test_two(video_simulator):\n"
        "    assert video_simulator.requests() == []\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert "2 passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.slow
def test_the_simulator_needs_neither_airflow_nor_the_rest_of_the_package() -> None:
    script = (
        "import sys, airflow_video_providers.testing.simulator.__main__\n"
        "own = [name for name in sys.modules if name.startswith('airflow')]\n"
        "print([name for name in own if not name.startswith('airflow_video_providers.testing.simulator')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "['airflow_video_providers', 'airflow_video_providers.testing']"
