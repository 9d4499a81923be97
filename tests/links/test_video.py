"""The buttons on a task: where they lead, when they are there, and that none holds a signature."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import BaseHook, Connection
from airflow.sdk import DAG

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.links.video import (
    LandedVideoLink,
    ManifestLink,
    ModelDocumentationLink,
    browsable,
    documentation_of,
)
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.pipeline import MODEL, Pipeline

DOCUMENTATION = documentation_of(MODEL)
MANIFEST = {
    "outputs": [{"path": "s3://aws_default@clips/a/0.mp4"}],
    "manifest_uri": "s3://clips/a/manifest.json",
}


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def pipeline(simulator, tmp_path):
    simulator.reset()
    return Pipeline(simulator, tmp_path)


@pytest.fixture
def aws(monkeypatch):
    """Sets the extra of the connection aws_default."""

    def put(**extra):
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))

    put()
    return put


def test_each_task_leads_to_the_documentation_of_its_model(pipeline):
    assert pipeline.run().state == "success"
    pipeline.airflow.run(pipeline.generate)
    for task_id in ("submit", "wait", "land", "generate"):
        assert pipeline.xcom(task_id, ModelDocumentationLink.xcom_key) == DOCUMENTATION


def test_the_link_is_there_while_the_task_waits_in_the_triggerer(pipeline):
    pipeline.wait.deferrable = True
    pipeline.airflow.run(pipeline.submit)
    assert pipeline.airflow.run(pipeline.wait).state == "deferred"
    assert pipeline.xcom("wait", ModelDocumentationLink.xcom_key) == DOCUMENTATION


def test_the_link_is_there_where_the_task_has_failed(pipeline, simulator):
    simulator.fault("error_401", on="submit")
    assert pipeline.airflow.run(pipeline.submit).state == "failed"
    assert pipeline.xcom("submit", ModelDocumentationLink.xcom_key) == DOCUMENTATION


def test_a_local_file_has_no_button(pipeline):
    pipeline.run()
    assert pipeline.xcom("land", LandedVideoLink.xcom_key) == ""
    assert pipeline.xcom("land", ManifestLink.xcom_key) == ""


@pytest.mark.parametrize("model", catalogue.models())
def test_every_model_has_documentation_of_its_vendors(model):
    assert documentation_of(model).startswith("https://")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (
            "s3://aws_default@clips/dt=2026-01-01/a b.mp4",
            "https://s3.console.aws.amazon.com/s3/object/clips?prefix=dt%3D2026-01-01/a%20b.mp4",
        ),
        ("s3://clips/a.mp4", "https://s3.console.aws.amazon.com/s3/object/clips?prefix=a.mp4"),
        ("gs://clips/a/b.mp4", "https://console.cloud.google.com/storage/browser/_details/clips/a/b.mp4"),
        ("https://user:pw@files.example/a.mp4?signature=secret#t", "https://files.example/a.mp4"),
        ("abfs://wasb_default@clips/a.mp4", ""),
        ("file:///data/a.mp4", ""),
        ("sftp://host/a.mp4", ""),
    ],
)
def test_what_can_be_browsed_has_an_address_without_secrets(aws, path, address):
    assert browsable(path) == address


def test_the_region_of_the_connection_is_named(aws):
    aws(region_name="eu-west-1")
    assert browsable("s3://aws_default@clips/a.mp4").endswith("/clips?region=eu-west-1&prefix=a.mp4")


@pytest.mark.parametrize(
    "extra",
    [
        {"endpoint_url": "http://minio:9000"},
        {"service_config": {"s3": {"endpoint_url": "http://minio:9000"}}},
        {"gcs.endpoint": "http://fake:4443"},
        {"region_name": "cn-north-1"},
    ],
)
def test_an_endpoint_or_a_console_of_its_own_has_no_button(aws, extra):
    aws(**extra)
    assert browsable("s3://aws_default@clips/a.mp4") == ""


@pytest.mark.parametrize("extra", ["[" * 100_000, '{"a":' * 900 + "1" + "}" * 900])
def test_an_extra_that_is_nested_too_deeply_has_no_button_and_breaks_nothing(monkeypatch, extra):
    connection = Connection(conn_id="aws_default", conn_type="aws", extra=extra)
    monkeypatch.setattr(BaseHook, "get_connection", lambda _: connection)
    assert browsable("s3://aws_default@clips/a.mp4") == ""


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"])
def test_an_endpoint_in_the_environment_counts_too(aws, monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert browsable("s3://clips/a.mp4") == ""


def test_clip_and_manifest_are_looked_up_with_the_same_connection(aws):
    task = DownloadVideoOperator(task_id="land", job={}, output_path="s3://aws_default@clips")
    task.manifest = MANIFEST
    assert LandedVideoLink().get_link(task, ti_key=None).endswith("?prefix=a/0.mp4")
    assert ManifestLink().get_link(task, ti_key=None).endswith("?prefix=a/manifest.json")
    aws(endpoint_url="http://minio:9000")
    assert ManifestLink().get_link(task, ti_key=None) == ""


def test_a_task_that_does_not_know_its_model_has_no_button():
    with DAG("unrendered", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model="{{ params.model }}", request={})
        wait = VideoJobSensor(task_id="wait", job=submit.output)
    assert ModelDocumentationLink().get_link(submit, ti_key=None) == ""
    assert ModelDocumentationLink().get_link(wait, ti_key=None) == ""


@pytest.mark.parametrize(
    "operator", [SubmitVideoOperator, VideoJobSensor, DownloadVideoOperator, GenerateVideoOperator]
)
def test_names_and_keys_of_a_tasks_links_are_its_own(operator):
    links = operator.operator_extra_links
    assert len({link.name for link in links}) == len({link.xcom_key for link in links}) == len(links)
    assert ModelDocumentationLink.name in {link.name for link in links}
