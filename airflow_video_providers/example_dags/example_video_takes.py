"""Several takes of one prompt, and a person who chooses (Airflow 3.1 and later).

Each take has a seed of its own. Without one a vendor may use the same each time: Segmind's default seed is fixed, and equal
takes would be bought. The package warns about that where a mapped submit leaves the seed to such a vendor.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator

SEEDS = [11, 23, 47]


@dag(
    schedule=None,
    params={
        "prompt": Param("A lighthouse at dusk, waves breaking below it", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_takes():
    @task
    def requests(params=None):
        return [{"prompt": params["prompt"], "frames": 32, "fps": 16, "seed": seed} for seed in SEEDS]

    takes = GenerateVideoOperator.partial(
        task_id="take",
        model="segmind:mochi-1",
        output_path="{{ params.output_path }}",
        retries=2,
        priority_weight=100,  # Segmind forgets a job after an hour: what is bought lands before others buy
        weight_rule="absolute",
    ).expand(request=requests())

    @task
    def gallery(manifests):
        return "\n".join(
            f"- seed {manifest['parameters']['seed']}: {manifest['outputs'][0]['uri']}" for manifest in manifests
        )

    choose = HITLOperator(
        task_id="choose",
        subject="Which take is published?",
        body="{{ ti.xcom_pull(task_ids='gallery') }}",
        options=[str(seed) for seed in SEEDS],
    )

    @task
    def publish(manifests, answer):
        (seed,) = answer["chosen_options"]
        chosen = next(manifest for manifest in manifests if manifest["parameters"]["seed"] == int(seed))
        print(f"Published: {chosen['outputs'][0]['uri']}")
        return chosen["outputs"][0]["uri"]

    gallery(takes.output) >> choose
    publish(takes.output, choose.output)


example_video_takes()
