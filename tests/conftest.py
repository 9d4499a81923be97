"""What is slow, and how long the property tests run.

A test that starts a server or a process is ``slow``: those that ask for one of the fixtures below are marked here, the
others mark themselves, and a test without the mark that opens a connection or starts a process fails.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Generator  # noqa: TC003 # pytest reads the hooks' types
from typing import Any

import croniter  # noqa: F401 # at its import it starts a process to see how wide an address is
import pytest
import urllib3.util.connection  # noqa: F401 # at its import it binds a socket to see whether IPv6 is there
from hypothesis import HealthCheck, is_hypothesis_test, settings

from airflow_video_providers.core.polling.timing import TIMING

platform.processor()  # it asks a process, once; azure's libraries do at their import

# What is slow here is another process on the same machine; the tests have bounds of their own, in CPU seconds.
# The same examples each time, so that a red build must be red again; `make fuzz` looks for new ones.
settings.register_profile(
    "fast", deadline=None, max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("fast"), max_examples=100)
settings.register_profile(
    "fuzz",
    settings.get_profile("fast"),
    max_examples=int(os.environ.get("EXAMPLES") or 5_000),
    derandomize=False,
    print_blob=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

#: Fixtures that start a server.
SERVERS = {"video_simulator_server", "simulator", "server"}

_OPENED = {"socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.posix_spawn"}
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event in _OPENED:
        _seen.append(f"{event}{arguments[-1:]}")


sys.addaudithook(_watch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every property test is one to run for longer, every test with a server is slow."""
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.fuzz)
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_durations_learned(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test's jobs took must not say when this one's are polled first; a simulator's are done soon."""
    TIMING._past.clear()
    TIMING._curves.clear()
    if request.node.get_closest_marker("slow"):
        monkeypatch.setattr(TIMING, "_typical", lambda _model: 0.05)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """From here on, what a fast test opens is written down."""
    global _seen  # an audit hook has no state of its own
    _seen = None if item.get_closest_marker("slow") else []
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A fast test that opened something fails."""
    global _seen  # see above
    opened, _seen = _seen, None
    result = yield
    if opened:
        pytest.fail(f"A test that is not marked slow used {', '.join(opened[:3])}.", pytrace=False)
    return result
