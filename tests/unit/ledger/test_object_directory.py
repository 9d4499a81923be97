"""The ledger in a bucket: against moto, through Airflow's connection, and against storages that misbehave."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_video_providers.exceptions import LedgerError
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.budget import RunBudget
from airflow_video_providers.ledger.config import open_directory
from airflow_video_providers.ledger.directory import ObjectDirectory

KEY = ("submits", "dag", "scheduled__2026-01-01T00:00:00+00:00", "task", "-1", "1")


def record(claim="a", **more):
    return {"claim": claim} | more


class Bucket:
    """An fsspec filesystem in memory, with faults."""

    def __init__(self, *, ignores_condition=False):
        self.objects = {}
        self.ignores_condition = ignores_condition
        self.lose_answer = False
        self.refuse = None

    def cat_file(self, path):
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def pipe_file(self, path, data, mode="overwrite"):
        if self.refuse is not None:
            raise self.refuse
        if mode == "create" and path in self.objects and not self.ignores_condition:
            raise FileExistsError(path)
        self.objects[path] = data
        if self.lose_answer and not path.endswith("ledger.json"):
            raise OSError("the connection dropped")


def test_a_create_whose_answer_was_lost_is_recognised_as_our_own():
    bucket = Bucket()
    bucket.lose_answer = True
    assert ObjectDirectory(bucket, "b/ledger").create(KEY, record())


def test_a_create_that_was_not_written_raises():
    bucket = Bucket()
    store = ObjectDirectory(bucket, "b/ledger")
    store.create(KEY, record())
    bucket.refuse = PermissionError("denied")
    with pytest.raises(PermissionError):
        store.create((*KEY[:-1], "2"), record())


def test_a_storage_that_ignores_create_only_is_refused_before_anything_is_bought(vendor, make_task):
    task = make_task(Ledger(ObjectDirectory(Bucket(ignores_condition=True), "b/ledger")), vendor)
    with pytest.raises(LedgerError, match="ignores create-only"):
        task.run()
    assert vendor.charges == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("s3://bucket/ledger", "name its connection: s3://<conn_id>@bucket/ledger"),
        ("s3://nobody_knows_it@bucket/ledger", "nobody_knows_it"),
        ("ftp://c@host/ledger", "no create-only writes"),
        ("/does/not/exist", "mount it"),
    ],
)
def test_a_ledger_that_cannot_be_opened_stops_with_words_and_never_uses_what_credentials_there_are(path, why):
    with pytest.raises(LedgerError) as caught:
        open_directory(path)
    assert why in str(caught.value)
    assert "ledger_path" in str(caught.value)


@pytest.fixture(scope="module")
def url():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.slow
class TestOnS3:
    @pytest.fixture
    def path(self, url, monkeypatch, request):
        import json
        import re

        import boto3

        options = {"region_name": "us-east-1", "endpoint_url": url}
        connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": options}
        name = re.sub("[^a-z]", "", request.node.name)[:40]  # Airflow caches a filesystem per connection
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        s3 = boto3.client("s3", aws_access_key_id="testing", aws_secret_access_key="testing", **options)
        s3.create_bucket(Bucket=name)
        return f"s3://{name}@{name}/team/ledger"

    def test_records_are_created_once_read_replaced_and_listed(self, path):
        store = open_directory(path)
        assert store.read(KEY) is None
        assert store.create(KEY, record("a"))
        assert not store.create(KEY, record("b"))
        store.replace(KEY, record("a", request_id="r"))
        assert store.read(KEY) == record("a", request_id="r")
        assert list(open_directory(path).list(("submits",))) == [record("a", request_id="r")]
        assert list(store.list(("landed",))) == []

    def test_of_many_threads_exactly_one_creates(self, path):
        stores = [open_directory(path) for _ in range(4)]
        for store in stores:
            store.create(("warm", "up"), record())
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(lambda pair: pair[1].create(KEY, record(str(pair[0]))), enumerate(stores)))
        assert won.count(True) == 1
        assert stores[0].read(KEY)["claim"] == str(won.index(True))

    def test_a_purchase_and_its_retry_meet_on_it(self, path, vendor, make_task):
        job = make_task(Ledger(open_directory(path)), vendor).run()
        assert make_task(Ledger(open_directory(path)), vendor).run() == job
        assert len(vendor.charges) == 1
        assert len(Ledger(open_directory(path)).unfinished()) == 1

    def test_the_runs_budget_holds_on_it(self, path):
        from decimal import Decimal

        for number in range(3):
            budget = RunBudget(open_directory(path), "d", "r")
            budget.reserve((str(number),), Decimal("0.4"), limit=Decimal(2), model="pixazo:mochi-v1")
        assert RunBudget(open_directory(path), "d", "r").reserved() == Decimal("1.2")

    def test_a_bucket_that_is_not_there_stops_the_submit(self, path, vendor, make_task):
        task = make_task(Ledger(open_directory(path.replace("/team", "-gone/team"))), vendor)
        with pytest.raises(LedgerError):
            task.run()
        assert vendor.charges == []
