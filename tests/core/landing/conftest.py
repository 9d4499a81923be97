"""A loopback server that breaks things, and a fetcher without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.landing.server import FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running
