"""What a provider's file system is made of, while Airflow's database comes and goes."""

from __future__ import annotations

import contextlib
import json
import os
from importlib.util import find_spec

import pytest

from airflow_video_providers.core.errors import LandingError, LedgerError
from airflow_video_providers.core.storage.output_path import read_output_path
from airflow_video_providers.integration.held_connection import held
from airflow_video_providers.integration.ledger_config import open_directory
from airflow_video_providers.integration.object_storage import AirflowFilesystems

EXTRA = {
    "endpoint_url": "http://127.0.0.1:9",
    "region_name": "us-east-1",
    "config_kwargs": {"s3": {"addressing_style": "path"}},
}
CONNECTION = {"conn_type": "aws", "login": "key/+%", "password": "secret@:/?#", "extra": EXTRA}


@pytest.fixture
def database(monkeypatch):
    """Airflow's database, which answers so many look-ups and then says that there is no such connection."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Connection

    real, left = BaseHook.get_connection.__func__, []

    def get_connection(cls, conn_id):
        if f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ:
            return real(cls, conn_id)
        if not left:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        left.pop()
        return Connection(conn_id=conn_id, **{**CONNECTION, "extra": json.dumps(EXTRA)})

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(get_connection))
    monkeypatch.delenv("AIRFLOW_CONN_LAB_ONE", raising=False)
    # what the machine has, and nobody may take instead
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ambient")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    return left


def made_of(filesystem):
    """Where a file system goes."""
    return filesystem.endpoint_url


needs_s3 = pytest.mark.skipif(find_spec("s3fs") is None, reason="the storages' extras run on the newest Airflow only")


@needs_s3
def test_one_answer_is_enough_for_a_ledger_in_an_object_store(database):
    database.append(1)
    store = open_directory("s3://lab_one@bucket/ledger")
    assert made_of(store._fs) == "http://127.0.0.1:9"


@needs_s3
def test_one_answer_is_enough_for_a_landing(database):
    database.append(1)
    assert made_of(AirflowFilesystems().open(read_output_path("s3://lab_one@bucket/videos"))) == "http://127.0.0.1:9"


def test_no_answer_is_an_error_and_not_another_account(database):
    with pytest.raises(LedgerError, match="no connection 'lab_one'"):
        open_directory("s3://lab_one@bucket/ledger")
    with pytest.raises(LandingError, match="no connection"):
        AirflowFilesystems().open(read_output_path("s3://lab_one@bucket/videos"))


@pytest.mark.parametrize("before", [None, "aws://"])
def test_the_environment_is_put_back_whatever_happens(database, monkeypatch, before):
    from airflow.providers.common.compat.sdk import BaseHook

    if before:
        monkeypatch.setenv("AIRFLOW_CONN_LAB_ONE", before)
    database.append(1)
    with contextlib.suppress(ZeroDivisionError), held("lab_one") as given:
        found = BaseHook.get_connection("lab_one")
        assert (found.conn_type, found.login, found.password) == (given.conn_type, given.login, given.password)
        assert found.extra_dejson == given.extra_dejson
        raise ZeroDivisionError
    assert os.environ.get("AIRFLOW_CONN_LAB_ONE") == before
