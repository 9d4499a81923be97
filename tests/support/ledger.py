from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.decision import Choices, Try
from airflow_video_providers.core.purchase.keeping import attach_named
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.order import Order
from airflow_video_providers.core.purchase.pricing import Estimate
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.core.vendors.pixazo import MochiV1
from airflow_video_providers.core.vendors.wire import Wire
from airflow_video_providers.integration.state_store import TaskStateStore
from tests.support.versions import needs_state_store

MODEL = "pixazo:mochi-v1"


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def an_order(body=None, cost=Estimate(), limits=Limits()):  # noqa: B008 - frozen
    return Order(MochiV1(prompt="a cat"), Wire(body or {"prompt": "a cat"}), "pixazo_default", cost, limits)


class StateStoreAccessor:
    """``context["task_state_store"]``: JSON in, JSON out, and only rows that never expire."""

    def __init__(self):
        self.rows = {}

    def get(self, key, default=None):
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key, value, *, retention=None):
        assert retention is timedelta.max, "a record of a purchase must not expire"
        self.rows[key] = json.dumps(value)


class EndedByAirflowError(BaseException):
    """What execution_timeout, a kill or a supervisor does to a process."""


class Vendor:
    """Sells jobs and counts them."""

    def __init__(self):
        self.charges = []
        self.jobs = {}
        self.polled = []
        self.answer = None  # an exception to raise instead of answering

    def buy(self):
        """Charges, unless the answer says that nothing was charged."""
        if self.answer is not None and getattr(self.answer, "charged", "unknown") == "no":
            raise self.answer
        request_id = f"job-{len(self.charges) + 1}"
        self.charges.append(request_id)
        self.jobs[request_id] = VideoJob(model=MODEL, request_id=request_id, conn_id="pixazo_default")
        if self.answer is not None:
            raise self.answer
        return self.jobs[request_id]

    def poll(self, job):
        self.polled.append(job.request_id)
        return self.jobs[job.request_id]

    def finish(self, request_id, status=JobStatus.SUCCEEDED, charged="yes"):
        self.jobs[request_id] = self.jobs[request_id].replace(status=status, charged=charged)
        return self.jobs[request_id]


class Task:
    """One task instance: each :meth:`run` is a try in a process that knows only what is stored."""

    def __init__(self, ledger, vendor, map_index=-1):
        self.ledger = ledger
        self.vendor = vendor
        self.identity = Identity("d", "scheduled__2026-01-01T00:00:00+00:00", "submit", map_index)
        self.tries = 0
        self.max_tries = 3
        self.slept = []

    def clear(self):
        self.max_tries += 2
        return self

    def sleep(self, seconds):
        """A test that waits for ever is one that Airflow ends."""
        self.slept.append(seconds)
        if sum(self.slept) > 3600:
            raise EndedByAirflowError

    def run(self, answer=None, request=None, run=None, buy=None, order=None, choices=None, **outside):
        """:param outside: Fields of :class:`Outside`."""
        self.tries += 1
        self.vendor.answer = answer
        buy = buy or self.vendor.buy
        return submit_once(
            order or an_order(request),
            self.ledger,
            lambda _order: buy(),
            this=self.this(run),
            chosen=Choices(**(choices or {})),
            outside=Outside(
                **{
                    "poll": self.vendor.poll,
                    "sleep": self.sleep,
                    "log": logging.getLogger("ledger-test"),
                    "clock": lambda: NOW,
                }
                | outside
            ),
        )

    def this(self, run=None):
        return Try(self.identity, self.max_tries, self.tries, run)

    def attach(self, request_id, run=None):
        """A try of a task that a person gave an id."""
        self.tries += 1
        job = VideoJob(model=MODEL, request_id=request_id, conn_id="pixazo_default")
        return attach_named(job, self.ledger, self.this(run), now=NOW, log=logging.getLogger("ledger-test"))

    def run_unknown(self, answer=None, **options):
        with pytest.raises(SubmissionOutcomeUnknownError) as caught:
            self.run(answer or SubmissionOutcomeUnknownError("The answer was lost."), **options)
        return caught.value


@pytest.fixture(autouse=True)
def _log_of_the_test(caplog):
    caplog.set_level(logging.INFO, "ledger-test")


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
def accessor():
    return StateStoreAccessor()


@pytest.fixture(params=["directory", pytest.param("state store", marks=needs_state_store)])
def store(request, tmp_path, accessor):
    return LocalDirectory(tmp_path) if request.param == "directory" else TaskStateStore(accessor)


@pytest.fixture
def ledger(store):
    return Ledger(store)


@pytest.fixture
def task(ledger, vendor):
    return Task(ledger, vendor)


@pytest.fixture
def make_task():
    return Task
