"""A desk whose submits ask the vendor to call our receiver, and whose test makes the calls."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from airflow_video_providers.core.callbacks.token import read
from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.integration import callbacks
from tests.support.submitting import Desk

SECRET = "the-secret-of-this-test-and-no-other"


class Calls(Desk):
    """A desk whose vendor is asked to call our receiver; the test makes the calls."""

    def __init__(self, simulator, root):
        super().__init__(simulator)
        self.root = root
        simulator.fault("webhook_lost", count=None)  # it is the test that calls

    @property
    def ledger(self):
        return Ledger(LocalDirectory(self.root))

    @property
    def attempts(self):
        return self.ledger.attempts(Identity("dag", "run-1", "submit"))

    @property
    def posts(self):
        return [call for call in self.simulator.requests() if call["method"] == "POST"]

    def address(self, number=-1):
        return {name.lower(): value for name, value in self.posts[number]["headers"].items()}.get("x-webhook-url")

    def claim(self, number=-1):
        return read(parse_qs(urlsplit(self.address(number)).query)["token"][0], [SECRET], utcnow())

    def jobs(self):
        return [job["request_id"] for job in self.simulator.ledger()["jobs"]]

    def call(self, request_id=None, *, terminal=True, number=-1):
        """The vendor calls about a job: by default the last that was bought, by the address of the last submit."""
        mailbox = callbacks.open_mailbox("pixazo_default")
        return mailbox.put(self.claim(number), request_id or self.jobs()[-1], terminal=terminal)

    def age(self, seconds=1000):
        """The open attempt was made so many seconds ago."""
        for attempt in self.attempts:
            self.ledger.replace(attempt.replace(created_at=attempt.created_at - timedelta(seconds=seconds)))


def called_desk(simulator, monkeypatch, root):
    """A desk whose configuration names our receiver.

    :param root: Where the ledger is.
    """
    for name, value in {
        "LEDGER_PATH": root, "CALLBACK_URL": "https://airflow.example/video-callbacks", "CALLBACK_SECRET": SECRET,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__{name}", str(value))
    monkeypatch.setattr("airflow_video_providers.core.callbacks.identify.PAUSES", ())
    return Calls(simulator, root)
