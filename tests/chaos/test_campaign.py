"""The campaign's own parts: its table, its oracle's eyes, its supervisor; and the table that the docs show."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.chaos import servers
from tests.chaos.document import read
from tests.chaos.supervisor import Component, Supervisor, inside
from tests.chaos.table import Row, parse, render

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Row("a fault", "S3", 50, 50, 49, 0, 47, 2, 0, {"SubmissionOutcomeUnknownError": 3}, 9.4, 50)
SILENCE = 10


def test_the_table_that_is_written_is_read_again() -> None:
    rows = [GOOD, replace(GOOD, failures={}, takeover=None), replace(GOOD, failures={"A": 1, "B": 20})]
    assert parse(render(rows)) == rows
    with pytest.raises(ValueError, match="columns"):
        parse(render(rows).replace("POSTs", "posts"))


@pytest.mark.parametrize(
    "changes",
    [
        {"duplicates": 1},
        {"lost": 1, "listed": 1},
        {"landed": 46},
        {"charges": 51, "landed": 49},
        {"posts": 48},
        {"takeover": 15.1},
        {"finally_landed": 49},
    ],
)
def test_what_no_campaign_may_show_is_found_in_a_row(changes: dict[str, int]) -> None:
    assert GOOD.wrong(SILENCE) == []
    assert replace(GOOD, **changes).wrong(SILENCE)


def test_the_docs_show_every_fault_of_the_whole_campaign_with_its_videos_and_nothing_wrong() -> None:
    from tests.chaos.__main__ import JOBS
    from tests.chaos.faults import FAULTS

    rows = read()
    assert [(row.fault, row.ledger) for row in rows] == [(fault.name, fault.ledger) for fault in FAULTS]
    assert {row.asked for row in rows} == {JOBS}
    assert JOBS >= 50
    assert [text for row in rows for text in row.wrong(SILENCE)] == []
    assert all(row.takeover is not None for row in rows if row.fault.startswith("triggerer"))


def test_a_fast_campaign_is_part_of_the_whole_one_and_uses_both_ledgers() -> None:
    from tests.chaos.faults import FAULTS

    fast = [fault for fault in FAULTS if fault.fast]
    assert len(fast) == 4
    assert {fault.ledger for fault in fast} == {fault.ledger for fault in FAULTS} == {"state store", "S3"}
    assert [fault.ledger for fault in FAULTS if fault.name.startswith("API server")] == ["state store", "S3"]


def landed(folder: Path, request_id: str, content: bytes = b"clip") -> Path:
    """A clip with its manifest, as a landing leaves them."""
    place = folder / "model" / request_id
    place.mkdir(parents=True)
    (place / "0.mp4").write_bytes(content)
    output = {"uri": (place / "0.mp4").as_uri(), "sha256": hashlib.sha256(b"clip").hexdigest()}
    (place / "manifest.json").write_text(json.dumps({"request_id": request_id, "outputs": [output]}))
    return place


def test_a_clip_counts_where_its_manifest_is_there_and_its_bytes_are_what_that_says(tmp_path: Path) -> None:
    from tests.chaos.oracle import storage

    landed(tmp_path, "r-1")
    landed(tmp_path, "r 2#3")
    landed(tmp_path, "cut", b"cl")
    (landed(tmp_path, "no-manifest") / "manifest.json").unlink()
    (landed(tmp_path, "no-file") / "0.mp4").unlink()
    (tmp_path / "model" / "r-1" / ".0.mp4.part").write_bytes(b"c")
    found = storage(tmp_path)
    assert found.whole == {"r-1", "r 2#3"}
    assert [name.removeprefix("model/") for name in found.partial] == [
        "cut/0.mp4", "cut/manifest.json", "no-file/manifest.json", "no-manifest/0.mp4", "r-1/.0.mp4.part",
    ]  # fmt: skip


def test_a_missing_server_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = servers.find
    monkeypatch.setattr(servers, "find", lambda name: None if name == "redis-server" else real(name) or name)
    monkeypatch.setattr(servers.os, "geteuid", lambda: 1000)
    with pytest.raises(servers.MissingServerError, match=r"No redis-server on this machine.*install redis-server$"):
        servers.programs()


@pytest.mark.slow  # binds a port
def test_ports_are_below_those_that_connections_take() -> None:
    ports = servers.free_ports(5)
    assert len(set(ports)) == 5
    assert all(1024 < port < 32768 for port in ports)


CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


@pytest.mark.slow
def test_the_supervisor_restarts_what_dies_leaves_dead_what_shall_be_and_ends_everything(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    try:
        supervisor.add(Component("parent", [sys.executable, "-c", CHILD], {}))
        first = supervisor.pid("parent")
        wait_until(lambda: len(supervisor.family("parent")) == 2)
        supervisor.signal("parent", signal.SIGKILL)  # its child lives on, and is nobody's
        wait_until(lambda: supervisor.pid("parent") != first)
        wait_until(lambda: len(inside(tmp_path)) == 3)
        assert supervisor.starts() == {"parent": 2}
        supervisor.kill("parent", stay_dead=True)
        time.sleep(1.5)  # longer than its pause
        assert supervisor.starts() == {"parent": 2}
        supervisor.start("parent")
        assert supervisor.pid("parent")
    finally:
        supervisor.close()
    assert inside(tmp_path) == []


def wait_until(seen: object) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 30
    while not seen():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
