"""A table of prompts as a batch, one task per row: buy, wait and land in one, and skip what is there already.

Run it as often as you like: a row whose clip lies under its name is not bought again. A row that fails stops no
other row, and the report names it.

The pool bounds how many clips are in the making at the same time, over all DAGs of the account. Make it first, once,
and so that a task that waits in the triggerer holds its slot; no task is scheduled in a pool that does not exist::

    airflow pools set video 8 "videos in the making" --include-deferred

``max_run_cost_usd`` would limit what one run may spend; see docs/money.md.
"""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator

ROWS = [
    {"name": "kettle", "prompt": "A copper kettle begins to steam on a gas stove"},
    {"name": "lamp", "prompt": "A desk lamp is switched on in a dark study"},
    {"name": "chair", "prompt": "A rocking chair sways on a veranda in the rain"},
]


def is_landed(output_path, row):
    """A clip is there when its manifest is: the manifest is written last."""
    folder = ObjectStoragePath(output_path) / row["name"]
    return folder.is_dir() and any(folder.glob("*/manifest.json"))


@dag(
    schedule=None,
    params={
        "model": Param("pixazo:pixverse-v6-text-to-video", type="string"),
        "rows": Param(ROWS, type="array"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
    default_args={"retries": 2},
)
def example_video_one_task():
    @task
    def missing(params=None):
        todo = [row for row in params["rows"] if not is_landed(params["output_path"], row)]
        print(f"{len(params['rows']) - len(todo)} of {len(params['rows'])} rows are there already")
        return [
            {"request": {"prompt": row["prompt"], "duration": 5}, "key_template": row["name"] + "/{request_id}/{index}"}
            for row in todo
        ]

    generate = GenerateVideoOperator.partial(
        task_id="generate",
        model="{{ params.model }}",
        output_path="{{ params.output_path }}",
        pool="video",
    ).expand_kwargs(missing())

    @task(trigger_rule="all_done")
    def report(params=None):
        found = {row["name"]: is_landed(params["output_path"], row) for row in params["rows"]}
        absent = [name for name, landed in found.items() if not landed]
        print(f"{len(found) - len(absent)} of {len(found)} landed; absent: {', '.join(absent) or 'none'}")
        return absent

    generate >> report()


example_video_one_task()
