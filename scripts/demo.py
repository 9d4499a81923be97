"""``make demo``: the quickstart DAG through real Airflow, against the simulator, in a throw-away Airflow home.

Everything lives in ``.demo/`` in the checkout and is made anew at each run, so that a run that was cut off
leaves nothing behind that matters.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.simulator import running

ROOT = Path(__file__).resolve().parent.parent
#: One model of each vendor whose models the catalogue does not list.
OPEN = ("fal:fal-ai/kling-video/v2.1/standard/text-to-video", "replicate:studio/magica")
ONE_OF_EACH = ("pixazo:pixverse-v6-text-to-video", "appypie:mochi-1", "segmind:mochi-1")

# What of the task logs is worth seeing while it runs.
BUYING = re.compile(r"\] Buying (?P<model>\S+) for (?P<price>.+?) \(attempt")
BOUGHT = re.compile(r"\] Bought request_id=(?P<request_id>\S+)\. ")
WAITING = re.compile(r"\] Waiting for job (?P<request_id>\S+) of (?P<model>\S+) with")
FINISHED = re.compile(
    r"\] Job (?P<request_id>\S+) of (?P<model>\S+) is finished (?P<seconds>[\d.]+) s after its submit"
)
LANDED = re.compile(r"\] Landed \d+ file\(s\), .* at (?P<manifest>\S+)\. ")

# The sensors look when a job of its model is likely to be done, and what they know of that lives in their process.
# Mochi takes its vendors three minutes: unless somebody says that the simulator's jobs take seconds, the first look
# at one comes after half a minute. The DAG is the user's own, unchanged.
RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from airflow_video_providers import catalogue
from airflow_video_providers.core.polling.timing import TIMING
from example_video_quickstart import example_video_quickstart
for model in [*catalogue.models(), *json.loads(sys.argv[2])["models"]]:
    for _ in range(30):
        TIMING.record(model, 2.5)
run = example_video_quickstart().test(run_conf=json.loads(sys.argv[2]))
sys.exit(0 if run.state == "success" else 1)
"""


class Demo:
    """One run.

    :param folder: Where it works: its Airflow, its logs, its videos.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.videos = folder / "videos"
        self.waited: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._began = time.monotonic()

    def run(self, models: list[str]) -> None:
        """Run the DAG for these models, and show what landed."""
        for left in (self.folder / "airflow", self.videos):
            shutil.rmtree(left, ignore_errors=True)
        self.videos.mkdir(parents=True)
        with running() as simulator:
            self.tell("simulator", f"the vendors at {simulator.url}; nothing here costs money")
            environment = self.environment(simulator.environment())
            self.tell("airflow", f"migrates an SQLite database in {self.named(self.folder)}")
            self.python("-m", "airflow", "db", "migrate", log="migrate.log", environment=environment)
            self.tell("airflow", f"runs example_video_quickstart for {len(models)} model(s); it needs a while to start")
            conf = json.dumps({"models": models, "output_path": self.videos.as_uri()})
            self.python(
                "-c",
                RUN,
                str(ROOT / "airflow_video_providers" / "example_dags"),
                conf,
                log="run.log",
                environment=environment,
            )
            ledger = simulator.ledger()
        self.show([json.loads(path.read_text()) for path in sorted(self.videos.rglob("manifest.json"))])
        print(
            f"\n{len(ledger['jobs'])} bought on the simulator, $0 spent, {time.monotonic() - self._began:.0f} s in all. "
            f"The tasks' own logs: {self.named(self.folder / 'run.log')}"
        )

    def environment(self, connections: dict[str, str]) -> dict[str, str]:
        """The environment of the demo's own Airflow: nothing of the user's is read or changed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)  # every Airflow process would compile everything anew
        return {
            **clean,
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow_video_providers" / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **connections,
        }

    def python(self, *arguments: str, log: str, environment: dict[str, str]) -> None:
        """Run Python with these arguments; tell what matters of its output, keep all of it in a file."""
        with (
            (self.folder / log).open("w") as file,
            subprocess.Popen(
                [sys.executable, "-u", *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            for line in process.stdout or ():
                file.write(line)
                self.follow(re.sub(r"\x1b\[[0-9;]*m", "", line))
        if process.returncode:
            tail = (self.folder / log).read_text().splitlines()[-30:]
            sys.exit("\n".join([*tail, f"\nThe demo failed; all of it is in {self.folder / log}."]))

    def follow(self, line: str) -> None:
        """Tell what a line of the log means, if it is one of those that matter."""
        if found := BUYING.search(line):
            self.tell("submit", f"{found['model']} for {found['price']}")
        elif found := BOUGHT.search(line):
            self.tell("", f"bought as {found['request_id']}")
        elif found := WAITING.search(line):
            self.wait_begins(found["request_id"], found["model"])
        elif found := FINISHED.search(line):
            self.wait_begins(found["request_id"], found["model"])  # a job that is done already is not put aside
            self.waited[found["request_id"]] = found["seconds"]
            self.tell("", f"finished {found['seconds']} s after its submit")
        elif found := LANDED.search(line):
            (model,) = [model for request_id, model in self._models.items() if request_id in found["manifest"]]
            self.tell("land", f"{model}, verified")

    def wait_begins(self, request_id: str, model: str) -> None:
        """Tell of each wait once."""
        if request_id not in self._models:
            self._models[request_id] = model
            self.tell("wait", model)

    def tell(self, step: str, what: str) -> None:
        """One line: seconds since the start, the step, what happened."""
        print(f"{time.monotonic() - self._began:4.0f} s  {step:<10} {what}", flush=True)

    def show(self, manifests: list[dict[str, Any]]) -> None:
        """What landed, as a table; each file's address has a line of its own, because ids are long."""
        head = ("model", "request_id", "waited", "bytes", "length", "size")
        rows, places = [], []
        for manifest in manifests:
            for output in manifest["outputs"]:
                rows.append((
                    manifest["model"], manifest["request_id"], f"{self.waited[manifest['request_id']]} s",
                    str(output["bytes"]), f"{output['duration_s']:.2f} s", f"{output['width']}x{output['height']}",
                ))  # fmt: skip
                places.append(self.named(self.videos / output["key"]))
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        print()
        for row, place in zip((head, *rows), ("landed at", *places), strict=True):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
            print(f"  {place}")

    @staticmethod
    def named(path: Path) -> str:
        """The path as one would type it in the checkout."""
        return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def chosen(argument: str) -> list[str]:
    """The models to run.

    :raises InvalidRequestError: there is no such model.
    """
    if argument == "all":
        return [*catalogue.models(), *OPEN]
    named = [model.strip() for model in argument.split(",") if model.strip()] or list(ONE_OF_EACH)
    return [catalogue.find(model).id for model in named]


def main() -> int:
    """Run the demo; the exit code is 0 only if every video has landed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="", help="'all', or model ids separated by commas")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where to work (.demo in the checkout)")
    given = parser.parse_args()
    try:
        models = chosen(given.models)
    except InvalidRequestError as error:
        parser.error(f"{error.what} {error.remedy}")
    Demo(given.folder.resolve()).run(models)
    return 0


if __name__ == "__main__":
    sys.exit(main())
