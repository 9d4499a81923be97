"""Runs the simulator in uvicorn: in this thread, or in a background thread of this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn

from .app import Simulator
from .handle import SimulatorHandle
from .options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .gateway import Gateway


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one.

    :raises OSError: if the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named, because asyncio sends without delay only on sockets that say they are TCP
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def make_server(app: Simulator) -> uvicorn.Server:
    """A server for the simulator; it is quiet, and does not wait for clients that hang."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",  # faults of the connection need its transports
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
            server_header=False,
        )
    )


@contextlib.contextmanager
def running(*more: type[Gateway], state: Path | None = None, **options: Any) -> Iterator[SimulatorHandle]:
    """A simulator on a free loopback port, for as long as the context lasts.

    :param more: Gateways of vendors that the package does not ship.
    :param state: A file that keeps what the simulator knows, for the next one.
    :param options: Settings, as :class:`~airflow_video_providers.testing.simulator.options.Options` names them.
    :raises ValueError: for a setting that does not exist, or a value that it does not take.
    """
    app = Simulator(Options().replace(**options), more, state=state)
    with contextlib.closing(bind("127.0.0.1", 0)) as bound:
        server = make_server(app)
        thread = threading.Thread(target=server.run, args=([bound],), name="video-simulator", daemon=True)
        thread.start()
        handle = SimulatorHandle(f"http://127.0.0.1:{bound.getsockname()[1]}", tuple(app.gateways))
        try:
            deadline = time.monotonic() + 60
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise RuntimeError("The simulator did not start.")
                time.sleep(0.005)
            yield handle
        finally:
            handle.close()
            server.should_exit = True
            thread.join(5)
