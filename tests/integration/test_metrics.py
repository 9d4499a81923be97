"""What is counted, with which tags, and that nothing of it can harm a task."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.observability import stats

from airflow_video_providers.core.errors import AuthenticationError, InvalidRequestError
from airflow_video_providers.integration import metrics
from airflow_video_providers.testing.simulator import running
from tests.support.pipeline import Pipeline
from tests.support.stats import Backend

pytest_plugins = ["tests.support.stats"]

TAGS = {"vendor": "pixazo", "model": "pixverse-v6-image-to-video"}


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def pipeline(simulator, tmp_path):
    simulator.reset()
    return Pipeline(simulator, tmp_path)


def test_a_video_from_submit_to_landing_is_counted_once_in_each_metric(recorded, pipeline):
    assert pipeline.run().state == "success"
    assert recorded.of(metrics.SUBMITTED) == [(1, TAGS)]
    assert recorded.of(metrics.ESTIMATED_COST) == [(225_000, TAGS)]  # 5 s of 720p at $0.045
    assert recorded.of(metrics.SUCCEEDED) == [(1, TAGS)]
    ((waited, tags),) = recorded.of(metrics.WAITED)
    assert (timedelta(0) <= waited < timedelta(seconds=30), tags) == (True, TAGS)
    assert recorded.of(metrics.BYTES_LANDED) == [(pipeline.xcom("land")["outputs"][0]["bytes"], TAGS)]
    assert recorded.total(metrics.POLLS) >= 1
    assert not recorded.of(metrics.FAILED)


def test_a_retry_that_finds_its_job_counts_no_second_purchase_and_no_second_landing(recorded, pipeline):
    pipeline.run()
    pipeline.airflow.run(pipeline.submit, try_number=2, retries=1)
    pipeline.airflow.run(pipeline.land, try_number=2, retries=1)
    assert recorded.total(metrics.SUBMITTED) == 1
    assert recorded.total(metrics.BYTES_LANDED) == pipeline.xcom("land")["outputs"][0]["bytes"]


def test_an_unknown_price_adds_nothing_rather_than_zero(recorded, simulator, tmp_path):
    simulator.reset()
    unpriced = Pipeline(simulator, tmp_path, model="segmind:mochi-1", request={"prompt": "a fox"})
    assert unpriced.airflow.run(unpriced.submit).state == "success"
    assert recorded.total(metrics.SUBMITTED) == 1
    assert recorded.of(metrics.ESTIMATED_COST) == []


def test_a_refused_submit_counts_as_failed_by_its_class_and_not_as_submitted(recorded, pipeline, simulator):
    simulator.fault("error_401", on="submit")
    assert pipeline.airflow.run(pipeline.submit).state != "success"
    assert recorded.of(metrics.FAILED) == [(1, {**TAGS, "error": "AuthenticationError"})]
    assert recorded.of(metrics.SUBMITTED) == []


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_failed_wait_counts_once_however_often_its_error_passes_by(recorded, pipeline, simulator, soft_fail):
    pipeline.wait.soft_fail = soft_fail
    pipeline.airflow.run(pipeline.submit)
    simulator.fault("error_401", on="status", count=None)
    assert pipeline.airflow.run(pipeline.wait).state != "success"
    assert recorded.of(metrics.FAILED) == [(1, {**TAGS, "error": "AuthenticationError"})]


def test_a_throttled_look_counts_as_a_poll_too(recorded, pipeline, simulator):
    pipeline.wait._sleep = staticmethod(lambda _: None)
    pipeline.airflow.run(pipeline.submit)
    simulator.fault("error_429:0", on="status")
    assert pipeline.airflow.run(pipeline.wait).state == "success"
    assert recorded.total(metrics.THROTTLED) == 1
    assert recorded.total(metrics.POLLS) >= 2


def test_a_backend_that_breaks_harms_no_task(pipeline):
    class Broken(Backend):
        def incr(self, stat, *_args, **_options):
            if stat.startswith("video_provider"):
                raise OSError("no such host")

        timing = incr

    stats.initialize(factory=Broken, export_legacy_names=False)
    assert pipeline.run().state == "success"


def test_an_error_without_a_model_still_counts(recorded):
    metrics.failed(InvalidRequestError("No such model."))
    metrics.failed(AuthenticationError("No.", vendor="segmind"))
    assert [tags["vendor"] for _, tags in recorded.of(metrics.FAILED)] == ["none", "segmind"]


def test_every_metric_that_is_sent_is_listed_with_its_tags(recorded, pipeline, simulator):
    pipeline.run()
    simulator.fault("error_401", on="submit")
    pipeline.airflow.run(pipeline.generate)
    listed = {metric.name: set(metric.tags) for metric in metrics.METRICS}
    ours = [(name, set(tags)) for name, _, tags in recorded.sent if name.startswith("video_provider")]
    assert {name for name, _ in ours} <= set(listed)
    assert [(name, tags) for name, tags in ours if tags != listed[name]] == []
