"""The ledger in a bucket: against emulators, through Airflow's connections, and against storages that misbehave."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.purchase.stores.object_directory import ObjectDirectory
from airflow_video_providers.integration.ledger_config import open_directory
from tests.core.purchase.test_limits import an_attempt

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

    def invalidate_cache(self):
        pass

    def find(self, path, detail):
        return {name: {"size": len(text)} for name, text in self.objects.items() if name.startswith(f"{path}/")}

    def cat(self, paths, on_error, batch_size):
        assert (on_error, batch_size) == ("return", 32)
        return {path: self.objects.get(path, FileNotFoundError(path)) for path in paths}

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
def emulators(tmp_path_factory):
    from airflow.sdk.io.store import _STORE_CACHE  # Airflow keeps one filesystem per connection id

    from tests.storage.emulators import Unavailable, open_backend

    def open_once(name):
        if name not in started:
            try:
                started[name] = open_backend(name, stack, work)
            except Unavailable as missing:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(missing))
        return f"{started[name].root}/{uuid.uuid4().hex[:12]}/ledger"

    started = {}
    work = tmp_path_factory.mktemp("emulators")
    _STORE_CACHE.clear()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        for name in ("AIRFLOW_CONN_S3_EMU", "AIRFLOW_CONN_GCS_EMU", "AIRFLOW_CONN_AZ_EMU"):
            environment.setenv(name, "")  # so that what another folder's emulators set comes back
        yield open_once
    _STORE_CACHE.clear()


@pytest.mark.slow
def test_the_google_emulator_which_ignores_create_only_is_refused(emulators, vendor, make_task):
    task = make_task(Ledger(open_directory(emulators("gs"))), vendor)
    with pytest.raises(LedgerError, match="ignores create-only"):
        task.run()
    assert vendor.charges == []


@pytest.mark.slow
@pytest.mark.parametrize("path", ["s3", "abfs"], indirect=True)
class TestOnRealProtocols:
    @pytest.fixture
    def path(self, request, emulators):
        return emulators(request.param)

    def test_records_are_created_once_read_replaced_and_listed(self, path):
        store = open_directory(path)
        assert store.read(KEY) is None
        assert store.create(KEY, record("a"))
        assert not store.create(KEY, record("b"))
        store.replace(KEY, record("a", request_id="r"))
        assert store.read(KEY) == record("a", request_id="r")
        assert [found.value for found in open_directory(path).list(("submits",))] == [record("a", request_id="r")]
        assert [found.key for found in store.list(("submits",))] == [KEY]
        assert store.names(KEY[:-1]) == ["1"]
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
        for number in range(3):
            budget = Reservations.of_run(open_directory(path), "d", "r")
            budget.reserve(an_attempt(str(number)), Decimal("0.4"), limit=Decimal(2))
        assert Reservations.of_run(open_directory(path), "d", "r").reserved() == Decimal("1.2")

    def test_a_bucket_that_is_not_there_stops_the_submit(self, path, vendor, make_task):
        from tests.storage.emulators import BUCKET

        task = make_task(Ledger(open_directory(path.replace(f"@{BUCKET}", f"@{BUCKET}-gone"))), vendor)
        with pytest.raises(LedgerError):
            task.run()
        assert vendor.charges == []
