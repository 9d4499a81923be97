"""A DAG that runs whenever another one has landed a clip, and that knows which.

The outlet is the author's own name for the clips. Its event says what landed: ``uri``, ``sha256``, ``bytes``,
``duration`` in seconds, ``content_type``, ``model``, ``request_id``, ``manifest_uri``, and ``uris`` where a job made
several. An ``AssetAlias`` instead of the asset gives each clip an asset of its own.
"""

from __future__ import annotations

from airflow.sdk import Asset, Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator

CLIPS = Asset(name="product_clips", uri="x-video://product-clips")


@dag(
    schedule=None,
    params={
        "prompt": Param("A ceramic cup turns slowly on a wooden table", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_asset_producer():
    GenerateVideoOperator(
        task_id="generate",
        model="pixazo:pixverse-v6-text-to-video",
        request={"prompt": "{{ params.prompt }}", "duration": 5},
        output_path="{{ params.output_path }}",
        outlets=[CLIPS],
    )


@dag(schedule=[CLIPS])
def example_video_asset_consumer():
    @task
    def landed(triggering_asset_events=None):
        events = [event for events in triggering_asset_events.values() for event in events]
        for event in events:
            print(f"{event.extra['uri']}: {event.extra['bytes']} bytes, {event.extra['duration']} s")
        return [event.extra["uri"] for event in events]

    landed()


example_video_asset_producer()
example_video_asset_consumer()
