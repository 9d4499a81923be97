"""Which ledger a task gets."""

from __future__ import annotations

import json
import traceback

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration.ledger_config import default_on_clear, open_directory, open_ledger
from airflow_video_providers.integration.state_store import TaskStateStore

PATH = "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"
ON_CLEAR = "AIRFLOW__VIDEO_PROVIDERS__ON_CLEAR"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch):
    monkeypatch.delenv(PATH, raising=False)
    monkeypatch.delenv(ON_CLEAR, raising=False)


def test_a_configured_directory_wins_over_the_state_store(monkeypatch, tmp_path, accessor):
    monkeypatch.setenv(PATH, str(tmp_path))
    assert isinstance(open_ledger({"task_state_store": accessor}).store, LocalDirectory)


def test_the_state_store_serves_where_no_directory_is_configured(accessor):
    pytest.importorskip("airflow.models.task_state_store", reason="Airflow's task state store came with 3.3")
    assert isinstance(open_ledger({"task_state_store": accessor}).store, TaskStateStore)


@pytest.mark.parametrize("path", ["", "  "])
def test_without_either_there_is_no_ledger(monkeypatch, path):
    monkeypatch.setenv(PATH, path)
    assert open_ledger({}) is None


def test_a_configured_directory_that_fails_never_falls_back_to_the_state_store(monkeypatch, tmp_path, accessor):
    monkeypatch.setenv(PATH, str(tmp_path / "not-mounted"))
    with pytest.raises(LedgerError, match="not-mounted"):
        open_ledger({"task_state_store": accessor})


def test_a_directory_may_be_written_as_an_address(tmp_path):
    open_directory(tmp_path.as_uri()).create(("landed", "x"), {"claim": "a"})
    assert open_directory(str(tmp_path)).read(("landed", "x")) == {"claim": "a"}


@pytest.mark.parametrize(("value", "means"), [(None, "resubmit"), ("", "resubmit"), ("reattach", "reattach")])
def test_on_clear_comes_from_the_configuration(monkeypatch, value, means):
    if value is not None:
        monkeypatch.setenv(ON_CLEAR, value)
    assert default_on_clear() == means


def test_a_misspelt_on_clear_is_refused(monkeypatch):
    monkeypatch.setenv(ON_CLEAR, "resumbit")
    with pytest.raises(InvalidRequestError, match="resumbit"):
        default_on_clear()


@pytest.mark.parametrize(
    "path",
    [
        "s3://user:hunter2@bucket/ledger",
        "s3://user:hunter2/x@y@bucket/ledger",
        "sftp://me:hunter2@host/ledger",
        "gs://user%3Ahunter2@bucket/ledger",
        "s3://bucket/ledger?X-Amz-Signature=hunter2",
        "abfs://:hunter2@container/ledger",
    ],
)
def test_of_a_password_in_the_path_only_what_stands_before_the_colon_is_told(path):
    with pytest.raises(LedgerError) as caught:
        open_directory(path)
    told = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in told
    assert path.partition(":hunter2")[0][:9] in str(caught.value)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("s3://typo@lab/x", "gcpbigquery"), ("s3://typo@lab/x", "sqlite"), ("gs://typo@lab/x", "aws"), ("abfss://typo@lab/x", "aws")],
)  # fmt: skip
def test_a_connection_of_another_type_is_refused_and_never_replaced_by_the_workers_own_credentials(
    monkeypatch, mocker, path, kind
):
    monkeypatch.setenv("AIRFLOW_CONN_TYPO", json.dumps({"conn_type": kind}))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWORKER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")
    opened = mocker.patch("airflow.providers.common.compat.sdk.ObjectStoragePath")
    with pytest.raises(LedgerError, match=f"'typo' is of type '{kind}'"):
        open_directory(path)
    assert not opened.called


def test_a_connection_that_airflow_does_not_give_is_retried_and_both_causes_are_named(vendor, make_task):
    with pytest.raises(
        LedgerError, match=r"no connection 'missing'.*database or its secrets backend is away"
    ) as caught:
        open_directory("s3://missing@bucket/ledger")
    assert caught.value.retryable
    assert caught.value.charged == "no"


def test_a_directory_with_odd_letters_may_be_written_as_an_address(tmp_path):
    odd = tmp_path / "with space#1"
    odd.mkdir()
    open_directory(odd.as_uri()).create(("landed", "x"), {"claim": "a"})
    assert open_directory(str(odd)).read(("landed", "x")) == {"claim": "a"}
