"""Take ``docs/images/pipeline.png``: a finished run of the quickstart in Airflow's own UI, in a real browser.

    python -m scripts.screenshot

Starts the simulator and a whole Airflow on loopback in a throw-away home, runs the DAG, and looks at it with headless
Chromium (Debian: ``chromium``), which needs the package ``websockets`` to be steered. By hand, when the UI has changed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from websockets.sync.client import ClientConnection, connect

from airflow_video_providers.testing.simulator import running
from scripts.demo import ONE_OF_EACH
from tests.support.cluster import airflow_cluster
from tests.support.home import copy_of, original

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DAG = "example_video_quickstart"
PATIENCE = 300

#: What the UI remembers of its reader: the graph, from left to right, with the task group open, in the light theme.
REMEMBERED = {
    "theme": "light",
    "default_dag_view": json.dumps("graph"),
    f"direction-{DAG}": json.dumps("RIGHT"),
    f"{DAG}/open-groups": json.dumps(["video"]),
}
FLAGS = (
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


class Page:
    """A browser's page, steered by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._calls = 0

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": arguments}))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE))
            if answer.get("id") == self._calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def wait_for(self, expression: str) -> None:
        """Wait until this JavaScript is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.call("Runtime.evaluate", expression=expression)["result"].get("value"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page never came to {expression}")
            time.sleep(0.5)

    def picture(self) -> bytes:
        """What it shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def browser(width: int, height: int) -> Iterator[Page]:
    """A page of this size in a browser that knows nothing."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("This needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
        process = subprocess.Popen(
            [program, *FLAGS, *as_root, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
        )
        try:
            deadline, told = time.monotonic() + PATIENCE, Path(profile) / "DevToolsActivePort"
            while not (told.exists() and told.read_text().strip()) and time.monotonic() < deadline:
                time.sleep(0.2)
            port = told.read_text().split()[0]
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False, timeout=PATIENCE).json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            with connect(address, max_size=None, proxy=None) as socket:
                page = Page(socket)
                page.call(
                    "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
                )
                yield page
        finally:
            process.terminate()
            process.wait(30)


def take(page: Page, address: str) -> bytes:
    """The picture of a finished run."""
    remember = "".join(f"localStorage.setItem({json.dumps(key)}, {json.dumps(REMEMBERED[key])});" for key in REMEMBERED)
    page.call("Page.enable")
    page.call("Page.addScriptToEvaluateOnNewDocument", source=f"try {{ {remember} }} catch {{}}")
    page.call("Page.navigate", url=address)
    page.wait_for("document.querySelectorAll('.react-flow__node').length >= 5")
    page.wait_for("document.querySelectorAll('table tbody tr').length >= 10")
    time.sleep(3)  # the graph's last movement
    return page.picture()


def main() -> None:
    """Run the DAG, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "pipeline.png")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, running(frozen_clock=True) as simulator:
        folder = Path(name)
        home = copy_of(original(folder / "original"), folder / "home")
        with airflow_cluster(
            home, ROOT / "airflow_video_providers" / "example_dags", simulator.environment()
        ) as cluster:
            cluster.ready(DAG)
            videos = (folder / "videos").as_uri()
            run_id = cluster.run_put_aside(
                simulator, DAG, len(ONE_OF_EACH), models=list(ONE_OF_EACH), output_path=videos
            )
            with browser(given.width, given.height) as page:
                picture = take(page, f"{cluster.url}/dags/{DAG}/runs/{run_id}")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_bytes(picture)
    print(f"{given.output}: {len(picture) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
