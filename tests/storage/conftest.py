"""Emulators that start themselves, one per kind and test worker."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.landing import fetch
from tests.faults.landing.server import FaultServer
from tests.storage.emulators import BACKENDS, Backend, Unavailable, open_backend

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Backend]]:
    started: dict[str, Backend] = {}
    with ExitStack() as stack:
        work = tmp_path_factory.mktemp("emulators")

        class OnDemand(dict[str, Backend]):
            def __missing__(self, name: str) -> Backend:
                self[name] = open_backend(name, stack, work)
                return self[name]

        yield OnDemand(started)


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest, emulators: dict[str, Backend]) -> Backend:
    """Each storage in turn."""
    try:
        return emulators[request.param]
    except Unavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def s3(emulators: dict[str, Backend]) -> Backend:
    return emulators["s3"]


@pytest.fixture
def prefix() -> str:
    """A place in the bucket that nobody used before."""
    return uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.0)
