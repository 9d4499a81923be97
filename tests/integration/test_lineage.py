"""Assets, hook lineage and OpenLineage: what was made from what, once, and without secrets."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from airflow.providers.common.compat.lineage import hook as lineage_hook
from airflow.providers.common.compat.sdk import hookimpl
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.lineage import HookLineageCollector, HookLineageReader, NoOpCollector
from airflow.sdk.listener import get_listener_manager
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.integration.job_uri import job_uri
from airflow_video_providers.integration.lineage import note_landed
from airflow_video_providers.integration.openlineage import FACET, lineage_of
from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.testing.simulator import running
from tests.support.pipeline import MODEL, PROMPT, Pipeline


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def pipeline(simulator, tmp_path):
    simulator.reset()
    return Pipeline(simulator, tmp_path)


# Asset events.


def events_of(outcome):
    return outcome.message.outlet_events


def test_an_outlet_gets_uri_digest_size_and_duration_of_the_clip(pipeline):
    clips = Asset(name="clips", uri="x-video://clips")
    pipeline.land.outlets = [clips]
    (event,) = events_of(pipeline.run())
    manifest = pipeline.xcom("land")
    clip = manifest["outputs"][0]
    assert event["dest_asset_key"] == {"name": "clips", "uri": "x-video://clips"}
    assert event["extra"] == {
        "uri": clip["uri"],
        "uris": [clip["uri"]],
        "manifest_uri": manifest["manifest_uri"],
        "sha256": clip["sha256"],
        "bytes": clip["bytes"],
        "content_type": "video/mp4",
        "duration": clip["duration_s"],
        "model": MODEL,
        "request_id": manifest["request_id"],
        "parameters": manifest["parameters"],
        "vendor_defaults": manifest["vendor_defaults"],
    }
    assert event["extra"]["parameters"]["duration"] == 5


def test_an_alias_gets_an_event_for_each_clip(pipeline, simulator):
    simulator.configure(outputs=2)
    pipeline.land.outlets = [AssetAlias("clips")]
    events = events_of(pipeline.run())
    outputs = pipeline.xcom("land")["outputs"]
    assert len(outputs) == 2
    assert [event["dest_asset_key"]["uri"] for event in events] == [output["uri"] for output in outputs]
    assert [event["extra"]["sha256"] for event in events] == [output["sha256"] for output in outputs]
    assert all(event["source_alias_name"] == "clips" for event in events)


def test_what_an_author_added_to_the_event_stays(pipeline):
    def before(context):
        context["outlet_events"][clips].extra = {"campaign": "spring"}

    clips = Asset(name="clips", uri="x-video://clips")
    pipeline.generate.outlets = [clips]
    pipeline.generate._pre_execute_hook = before
    (event,) = events_of(pipeline.airflow.run(pipeline.generate))
    assert event["extra"]["campaign"] == "spring"
    assert event["extra"]["request_id"] == pipeline.xcom("generate", "request_id")


def test_no_outlets_no_events(pipeline):
    assert events_of(pipeline.run()) == []


def test_an_outlet_that_cannot_be_told_does_not_fail_a_landed_clip():
    log = MagicMock()
    task = SimpleNamespace(outlets=[Asset("x-video://clips")], log=log)
    note_landed(task, {"outlet_events": {}}, None, None, {"outputs": [{}]})
    log.warning.assert_called_once()


# Hook lineage.


@pytest.fixture
def collector(monkeypatch):
    known = HookLineageCollector()
    monkeypatch.setattr(lineage_hook, "get_hook_lineage_collector", MagicMock(return_value=known))
    return known


def test_the_job_and_the_clip_are_recorded_once_and_without_a_signature(collector, pipeline):
    pipeline.run()
    pipeline.airflow.run(pipeline.land, try_number=2, retries=1)
    collected = collector.collected_assets
    manifest = pipeline.xcom("land")
    assert {each.asset.uri for each in collected.inputs} == {
        f"pixazo://pixverse-v6-image-to-video/{manifest['request_id']}"
    }
    assert {each.asset.uri for each in collected.outputs} == {manifest["outputs"][0]["uri"]}
    # One recording for each of the two runs, each by a hook of its own.
    assert [each.count for each in (*collected.inputs, *collected.outputs)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("readers", "made"), [([], 0), ([HookLineageReader], 0), ([type("Mine", (HookLineageReader,), {})], 1)]
)
def test_the_costly_collector_is_made_only_where_somebody_reads_it(monkeypatch, pipeline, readers, made):
    from airflow.sdk import lineage, plugins_manager

    def getter():
        calls.append(1)
        return MagicMock(spec=NoOpCollector)

    calls = []
    lineage.get_hook_lineage_collector.cache_clear()
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", lambda: readers)
    monkeypatch.setattr(lineage_hook, "get_hook_lineage_collector", getter)
    assert pipeline.run().state == "success"
    assert len(calls) == made


def test_a_request_id_of_any_form_makes_one_name():
    job = VideoJob(model="pixazo:mochi-v1", request_id="a/b?c d")
    assert job_uri(job) == "pixazo://mochi-v1/a%2Fb%3Fc%20d"


# OpenLineage. Its own listener asks when a task starts and ends, so a listener stands in for it here.


class Listener:
    """What OpenLineage would tell, by task and moment."""

    def __init__(self):
        self.told = {}

    @hookimpl
    def on_task_instance_running(self, task_instance):
        self._ask(task_instance, TaskInstanceState.RUNNING)

    @hookimpl
    def on_task_instance_success(self, task_instance):
        self._ask(task_instance, TaskInstanceState.SUCCESS)

    @hookimpl
    def on_task_instance_failed(self, task_instance):
        self._ask(task_instance, TaskInstanceState.FAILED)

    def _ask(self, ti, state):
        run = SimpleNamespace(run_id=ti.run_id)
        self.told[ti.task_id, state] = ExtractorManager().extract_metadata(run, ti.task, state, ti)

    def __getitem__(self, task_id):
        return self.told[task_id, TaskInstanceState.SUCCESS]


@pytest.fixture
def openlineage():
    listener, manager = Listener(), get_listener_manager()
    manager.pm.register(listener)
    yield listener
    manager.pm.unregister(listener)


def named(datasets):
    return [(each.namespace, each.name) for each in datasets]


IMAGE = ("https://pictures.example", "fox.png")


def job_of(pipeline):
    return ("pixazo://pixverse-v6-image-to-video", pipeline.xcom("submit", "request_id"))


def test_the_three_tasks_chain_image_job_and_clip(openlineage, pipeline):
    pipeline.run()
    submit, wait, land = (openlineage[task_id] for task_id in ("submit", "wait", "land"))
    clip = pipeline.xcom("land")["outputs"][0]
    file = ("file", clip["uri"].removeprefix("file://"))
    assert (named(submit.inputs), named(submit.outputs)) == ([IMAGE], [job_of(pipeline)])
    assert (named(wait.inputs), named(wait.outputs)) == ([job_of(pipeline)], [])
    assert (named(land.inputs), named(land.outputs)) == ([job_of(pipeline)], [file])
    statistics = land.outputs[0].outputFacets["outputStatistics"]
    assert (statistics.size, statistics.fileCount) == (clip["bytes"], 1)


def test_the_one_task_chains_image_and_clip(openlineage, pipeline):
    pipeline.airflow.run(pipeline.generate)
    lineage = openlineage["generate"]
    file = ("file", pipeline.xcom("generate")["outputs"][0]["uri"].removeprefix("file://"))
    assert (named(lineage.inputs), named(lineage.outputs)) == ([IMAGE], [file])
    assert lineage.run_facets[FACET].requestId == pipeline.xcom("generate", "request_id")


def test_a_wait_that_was_deferred_tells_its_job_when_it_resumes(openlineage, pipeline):
    pipeline.wait.deferrable = True
    pipeline.airflow.run(pipeline.submit)
    assert pipeline.airflow.run_to_end(pipeline.wait).state == "success"
    assert named(openlineage["wait"].inputs) == [job_of(pipeline)]


def test_the_facet_says_what_is_known(openlineage, pipeline):
    pipeline.run()
    facet = openlineage["submit"].run_facets[FACET]
    assert facet.promptSha256 == hashlib.sha256(PROMPT.encode()).hexdigest()
    assert (facet.vendor, facet.model, facet.estimatedCostUsd) == ("pixazo", MODEL, "0.225")
    assert facet.requestSha256 == pipeline.xcom("submit")["request_sha256"]
    done = openlineage["wait"].run_facets[FACET]
    assert (done.status, done.charged) == ("succeeded", "yes")


def test_an_image_behind_a_password_is_told_without_it():
    request = {"prompt": PROMPT, "image_url": "https://user:pw@pictures.example/fox.png"}
    task = SubmitVideoOperator(task_id="submit", model=MODEL, request=request)
    assert named(lineage_of(task).inputs) == [IMAGE]


def test_at_the_start_only_the_request_is_known(openlineage, pipeline):
    pipeline.airflow.run(pipeline.submit)
    lineage = openlineage.told["submit", TaskInstanceState.RUNNING]
    assert (named(lineage.inputs), named(lineage.outputs)) == ([IMAGE], [])
    assert lineage.run_facets[FACET].requestId is None


def test_a_refused_submit_still_tells_its_model(openlineage, pipeline, simulator):
    simulator.fault("error_401", on="submit")
    pipeline.airflow.run(pipeline.submit)
    lineage = openlineage.told["submit", TaskInstanceState.FAILED]
    assert (lineage.run_facets[FACET].model, lineage.outputs) == (MODEL, [])


def test_nothing_told_holds_the_prompt_the_key_or_a_signature(openlineage, pipeline):
    pipeline.run()
    told = json.dumps(
        [
            Serde.to_dict(part)
            for lineage in openlineage.told.values()
            for part in (*lineage.inputs, *lineage.outputs, *lineage.run_facets.values())
        ]
    )
    assert pipeline.xcom("submit", "request_id") in told
    for secret in (PROMPT, "signature", "sk_live"):
        assert secret not in told
