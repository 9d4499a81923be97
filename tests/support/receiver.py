"""The receiver of callbacks on loopback, for a vendor's calls to a public https host that the simulator routes here."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from airflow_video_providers.core.polling.mailbox import Mailbox
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.plugin.receiver import ReceiverApp

if TYPE_CHECKING:
    from pathlib import Path

HOST = "receiver.example"
URL = f"https://{HOST}/video-callbacks"
SECRET = "signs-the-addresses-of-these-tests"


class LoopbackReceiver:
    """The real app, behind a real server.

    :ivar route: What ``webhook_routes`` of the simulator needs, so that calls to :data:`URL` come here.
    """

    def __enter__(self) -> Self:
        self._app = ReceiverApp(list)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.route = f"{HOST}=127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self._serve, interface="asgi3", access_log=False, log_level="warning", lifespan="off")
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the receiver did not start")
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()

    def keep_in(self, ledger: Path) -> None:
        """From now on mail is kept below this ledger."""
        self._app = ReceiverApp(lambda: [SECRET], lambda conn_id: Mailbox(LocalDirectory(ledger), conn_id))

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def configuration() -> dict[str, str]:
    """What switches callbacks on, beside ``ledger_path``."""
    return {"AIRFLOW__VIDEO_PROVIDERS__CALLBACK_URL": URL, "AIRFLOW__VIDEO_PROVIDERS__CALLBACK_SECRET": SECRET}
