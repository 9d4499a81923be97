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

from airflow_video_providers.simulator import running

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
ONE_OF_EACH = ["pixazo:pixverse-v6-text-to-video", "appypie:mochi-1", "segmind:mochi-1"]
# What of the task logs is worth seeing while it runs.
WAITED = re.compile(r"Job (\S+) of \S+ is finished ([\d.]+) s after its submit")
TOLD = re.compile(r"\] ((?:Buying|Bought|Waiting for job|Job \S+|Landed) .*?)\s+\[airflow\.task")

RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from example_video_quickstart import example_video_quickstart
run = example_video_quickstart().test(run_conf=json.loads(sys.argv[2]))
sys.exit(0 if run.state == "success" else 1)
"""


def main() -> int:
    """Run the demo; the exit code is 0 only if every video has landed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="", help="'all', or model ids separated by commas")
    models = chosen(parser.parse_args().models)
    shutil.rmtree(DEMO, ignore_errors=True)
    videos = DEMO / "videos"
    videos.mkdir(parents=True)
    started = time.monotonic()
    with running() as simulator:
        print(f"simulator   {simulator.url}", flush=True)
        environment = airflow_environment(simulator.environment())
        print("airflow     migrating an embedded SQLite database", flush=True)
        airflow("-m", "airflow", "db", "migrate", log="migrate.log", environment=environment)
        print(f"airflow     running example_video_quickstart for {', '.join(models)}", flush=True)
        conf = json.dumps({"models": models, "output_path": videos.as_uri()})
        airflow("-c", RUN, str(ROOT / "example_dags"), conf, log="run.log", environment=environment)
        charges = simulator.ledger()["charges"]
    waited = dict(WAITED.findall((DEMO / "run.log").read_text()))
    print_table([json.loads(path.read_text()) for path in sorted(videos.rglob("manifest.json"))], waited)
    print(f"\n{charges} charges on the simulator, $0 spent, {time.monotonic() - started:.0f} s in all.")
    print(f"Task logs: {(DEMO / 'run.log').relative_to(ROOT)}")
    return 0


def chosen(argument: str) -> list[str]:
    """The models to run."""
    if argument == "all":
        from airflow_video_providers import catalogue

        return list(catalogue.models())
    return [model.strip() for model in argument.split(",") if model.strip()] or ONE_OF_EACH


def airflow_environment(connections: dict[str, str]) -> dict[str, str]:
    """The environment of the demo's own Airflow: nothing of the user's is read or changed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)  # every Airflow process would compile everything anew
    return {
        **clean,
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **connections,
    }


def airflow(*arguments: str, log: str, environment: dict[str, str]) -> None:
    """Run Python with these arguments; tell what matters of its output, keep all of it in a file."""
    with (
        (DEMO / log).open("w") as file,
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
            if told := TOLD.search(re.sub(r"\x1b\[[0-9;]*m", "", line)):
                print(f"  {told[1]}", flush=True)
    if process.returncode:
        tail = (DEMO / log).read_text().splitlines()[-30:]
        sys.exit("\n".join([*tail, f"\nThe demo failed; all of it is in {DEMO / log}."]))


def print_table(manifests: list[dict[str, Any]], waited: dict[str, str]) -> None:
    """What landed."""
    head = ("model", "request_id", "waited", "landed at", "bytes", "length", "size")
    rows = [head]
    for manifest in manifests:
        for output in manifest["outputs"]:
            place = DEMO.relative_to(ROOT) / "videos" / output["key"]
            rows.append((
                manifest["model"], manifest["request_id"], f"{waited[manifest['request_id']]} s", str(place),
                str(output["bytes"]), f"{output['duration_s']:.2f} s", f"{output['width']}x{output['height']}",
            ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
