"""A CSV of prompts to clips: one row, one clip.

The file is read when the run starts, from wherever ``ObjectStoragePath`` reads: UTF-8, as a spreadsheet saves it too. It
has a column ``prompt`` and may have ``name``, ``duration`` and ``seed``; a row without a prompt is left out.
``keep_prompt`` writes each prompt into its manifest. The pool is that of ``example_video_one_task``, and has to be made
first.
"""

from __future__ import annotations

import csv
import io

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator


@dag(
    schedule=None,
    params={
        "csv": Param("file:///tmp/prompts.csv", type="string"),
        "model": Param("pixazo:pixverse-v6-text-to-video", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
    default_args={"retries": 2},
)
def example_video_csv():
    @task
    def rows(params=None):
        text = ObjectStoragePath(params["csv"]).read_bytes().decode("utf-8-sig")  # a spreadsheet writes a mark first
        return [
            {
                "request": {field: row[field] for field in ("prompt", "duration", "seed") if row.get(field)},
                "extra_manifest": {"name": row.get("name") or row["prompt"]},
            }
            for row in csv.DictReader(io.StringIO(text, newline=""))  # which may break lines inside of quotes
            if (row["prompt"] or "").strip()
        ]

    generate = GenerateVideoOperator.partial(
        task_id="generate",
        model="{{ params.model }}",
        output_path="{{ params.output_path }}",
        keep_prompt=True,
        pool="video",
    ).expand_kwargs(rows())

    @task(trigger_rule="all_done")
    def report(manifests):
        landed = {manifest["extra"]["name"]: manifest["outputs"][0]["uri"] for manifest in manifests if manifest}
        print(f"{len(landed)} clips: {landed}")
        return landed

    report(generate.output)


example_video_csv()
