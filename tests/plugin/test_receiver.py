"""The receiver: what it keeps of a call, and that everything else leaves no trace."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.callbacks.replays import Replays
from airflow_video_providers.core.callbacks.token import Claim, issue
from airflow_video_providers.core.errors import LedgerError, VendorUnavailableError
from airflow_video_providers.core.polling.mailbox import Mailbox, job_mark
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.signatures import public_keys
from airflow_video_providers.plugin import receiver
from airflow_video_providers.plugin.receiver import MOST_BYTES, ReceiverApp
from airflow_video_providers.testing.simulator.signing import WEBHOOK_SECRET, key_set, sign_as_fal, sign_as_replicate
from tests.testing.conformance.test_fourth_vendor import installed  # noqa: F401  the fixture

SECRET, OLD = "the-secret-of-this-test", "the-secret-before-it-was-changed"
NOW = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
WHO = Identity("dag", "run", "submit")
JSON = {"content-type": "application/json"}
DONE = {
    "request_id": "mochi_01",
    "status": "COMPLETED",
    "output": {"media_url": ["https://x.example/secret?sig=1"]},
    "model_id": "m",
}


def claim(**changes):
    return Claim(
        **{"vendor": "pixazo", "conn_id": "mine", "identity": WHO, "number": 1, "expires": NOW + timedelta(days=1)}
        | changes
    )


class Place:
    """A receiver, its mailbox, and how often anything of the store was touched."""

    def __init__(self, root):
        self.root, self.opened, self.broken = root, 0, False
        self.app = ReceiverApp(
            lambda: [SECRET, OLD], self.open, lambda _vendor, renew=False: ["signs"], clock=lambda: NOW
        )

    def open(self, conn_id):
        self.opened += 1
        if self.broken:
            raise LedgerError("away")
        return Mailbox(LocalDirectory(self.root), conn_id)

    def mail(self, conn_id="mine"):
        return Mailbox(LocalDirectory(self.root), conn_id).listed()

    def call(self, body=DONE, *, query=None, headers=None, method="POST", pieces=1, pause=0.0, **changes):
        return asyncio.run(
            self._call(body, query, JSON if headers is None else headers, method, pieces, pause, changes)
        )

    async def _call(self, body, query, headers, method, pieces, pause, changes):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        query = f"token={issue(claim(**changes), SECRET)}" if query is None else query
        self.scope = {
            "type": "http", "method": method, "path": "/", "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        size = -(-len(raw) // pieces) or 1
        parts = [raw[at : at + size] for at in range(0, len(raw), size)] or [b""]
        self.read = 0

        async def receive():
            await asyncio.sleep(pause)
            self.read += 1
            return {"type": "http.request", "body": parts[self.read - 1], "more_body": self.read < len(parts)}

        sent = []

        async def send(message):
            sent.append(message)

        await self.app(self.scope, receive, send)
        return sent[0]["status"]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def files(place):
    return [path for path in place.root.rglob("*") if path.is_file()]


def test_a_call_becomes_mail_that_holds_the_id_and_nothing_else_of_the_body(place):
    assert place.call() == 200
    (mail,) = place.mail()
    assert (mail.job, mail.terminal) == (job_mark("pixazo", "mochi_01"), True)
    (file,) = files(place)
    assert json.loads(file.read_text()).keys() == {"v", "claim", "attempt", "request_id"}
    assert "x.example" not in file.read_text()


@pytest.mark.parametrize("word", ["QUEUED", "PROCESSING", "whatever", None, 7])
def test_a_word_that_is_no_end_is_kept_as_none(place, word):
    assert place.call({"request_id": "mochi_01", "status": word}) == 200
    assert [mail.terminal for mail in place.mail()] == [False]


def test_repeats_are_answered_and_bounded(place):
    assert {place.call() for _ in range(20)} == {200}
    assert len(files(place)) == 1
    assert {place.call({**DONE, "request_id": f"other_{number}"}) for number in range(20)} == {200}
    assert len(files(place)) == 2


def test_the_old_secret_is_accepted_while_it_is_changed(place):
    assert place.call(query=f"token={issue(claim(), OLD)}") == 200


FORGED = {
    "none": "", "no token": "x=1", "empty": "token=", "nonsense": "token=abc.def",
    "another secret's": f"token={issue(claim(), 'not-a-secret-of-ours')}",
    "expired": f"token={issue(claim(expires=NOW), SECRET)}",
    "two": f"token={issue(claim(), SECRET)}&token={issue(claim(), SECRET)}",
    "not text": "token=%ff%fe.x", "huge": "token=" + "a" * 100_000,
    "an unknown vendor's": f"token={issue(claim(vendor='nobody'), SECRET)}",
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_a_token_that_is_not_ours_is_refused_without_a_trace(place, kind, caplog):
    caplog.set_level(logging.DEBUG)
    assert place.call(query=FORGED[kind]) == 403
    assert place.opened == 0, "nothing is read or written"
    assert files(place) == []
    if "unknown" not in kind:
        assert place.read == 0, "not even the body"
    assert [record for record in caplog.records if record.name.startswith("airflow_video_providers")] == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_no_other_method(place, method):
    assert place.call(method=method) == 403


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", JSON), (b"{", JSON), (b"[1]", JSON), (b"null", JSON), (b'"x"', JSON), (b"\xff\xfe", JSON), (b"{}", JSON),
        (b'{"request_id": ""}', JSON), (b'{"request_id": {"a": 1}}', JSON), (b"[" * 60_000, JSON), (b'{"request_id": NaN}', JSON),
        (b'{"request_id": "a\\u0000b"}', JSON), (b'{"request_id": "' + b"x" * 5000 + b'"}', JSON),
        (DONE, {}), (DONE, {"content-type": "text/html"}), (DONE, {"content-type": "application/x-www-form-urlencoded"}),
        (DONE, JSON | {"content-encoding": "gzip"}), (DONE, JSON | {"content-length": "1" * 30}), (DONE, JSON | {"content-length": "-1"}),
        (DONE, JSON | {"content-length": str(MOST_BYTES + 1)}), (b'{"request_id": "a", "x": "' + b"y" * MOST_BYTES + b'"}', JSON),
    ],
    ids=range(21),
)  # fmt: skip
def test_a_body_that_is_no_call_is_refused_without_a_trace(place, body, headers):
    assert place.call(body, headers=headers) == 403
    assert place.opened == 0


def test_a_body_without_an_end_is_not_read_to_its_end(place):
    assert place.call(b"x" * (4 * MOST_BYTES), pieces=64) == 403
    assert place.read < 20


def test_a_slow_body_is_given_up(place, monkeypatch):
    monkeypatch.setattr(receiver, "PATIENCE", 0.05)
    assert place.call(pieces=20, pause=0.02) == 403


def test_what_logs_the_request_afterwards_has_no_token_to_repeat(place):
    assert place.call() == 200
    assert place.scope["query_string"] == b""


def test_a_store_that_is_away_asks_for_a_repeat_and_takes_it(place):
    place.broken = True
    assert place.call() == 503
    place.broken = False
    assert place.call() == 200
    assert len(place.mail()) == 1


def test_mail_whose_time_is_over_is_cleared_away(place):
    place.call(expires=NOW + timedelta(seconds=10))
    later = ReceiverApp(lambda: [SECRET], place.open, clock=lambda: NOW + timedelta(seconds=20))
    place.app = later
    assert place.call({"request_id": "mochi_02", "status": "COMPLETED"}, number=2) == 200
    assert [mail.job for mail in place.mail()] == [job_mark("pixazo", "mochi_02")]


def test_a_storage_that_lets_nothing_be_removed_costs_no_call(place, monkeypatch, caplog):
    place.call(expires=NOW + timedelta(seconds=10))
    place.app = ReceiverApp(lambda: [SECRET], place.open, clock=lambda: NOW + timedelta(seconds=20))

    def refused(*_):
        raise PermissionError("s3:DeleteObject")

    monkeypatch.setattr(LocalDirectory, "remove", refused)
    assert place.call({"request_id": "mochi_02", "status": "COMPLETED"}, number=2) == 200
    assert len(place.mail()) == 2
    assert "s3:DeleteObject" in caplog.text


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("secret", "status"), [("signs", 200), ("forges", 403)])
def test_a_vendor_that_signs_is_verified(place, secret, status):
    body = json.dumps({"id": "clip-1", "status": "done"}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = JSON | {"lanterna-signature": signature}
    assert place.call(body, headers=headers, vendor="lanterna") == status
    assert len(place.mail()) == (status == 200)


@pytest.mark.usefixtures("installed")
def test_a_call_of_such_a_vendor_without_a_signature_is_refused(place):
    assert place.call({"id": "clip-1", "status": "done"}, vendor="lanterna") == 403


def signed(body, now=NOW):
    return JSON | sign_as_replicate(str(body["id"]), json.dumps(body).encode(), now.timestamp())


PREDICTION = {"id": "p-1", "status": "succeeded", "output": "https://x.example/secret?sig=1"}


@pytest.fixture
def asked(place):
    """Which keys the receiver has asked for."""
    asked = []

    def keys(vendor, *, renew=False):
        asked.append((vendor.id, renew))
        if place.broken:
            raise VendorUnavailableError("the keys are away")
        return [WEBHOOK_SECRET] if renew or not place.changed else ["whsec_AAAA"]

    place.changed = False
    place.app = ReceiverApp(lambda: [SECRET], place.open, keys, clock=lambda: NOW)
    return asked


def test_a_signed_call_is_taken_and_of_its_body_the_id_alone(place, asked):
    assert place.call(PREDICTION, headers=signed(PREDICTION), vendor="replicate") == 200
    assert [mail.job for mail in place.mail()] == [job_mark("replicate", "p-1")]
    assert asked == [("replicate", False)]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    "headers",
    [
        JSON, signed(PREDICTION | {"id": "p-2"}), signed(PREDICTION, now=NOW - timedelta(minutes=6)),
        signed(PREDICTION, now=NOW + timedelta(minutes=6)), signed(PREDICTION) | {"webhook-signature": "v1,AAAA"},
    ],
    ids=["unsigned", "another body's", "stale", "of the future", "forged"],
)  # fmt: skip
def test_any_other_call_of_a_vendor_that_signs_leaves_no_trace(place, headers):
    assert place.call(PREDICTION, headers=headers, vendor="replicate") == 403
    assert place.opened == 0


@pytest.mark.usefixtures("asked")
def test_a_vendors_own_repeat_is_answered_and_the_same_call_for_another_attempt_is_a_replay(place):
    again = {"headers": signed(PREDICTION), "vendor": "replicate"}
    assert [place.call(PREDICTION, **again) for _ in range(3)] == [200] * 3
    assert place.call(PREDICTION, **again, number=2) == 403
    assert place.call(PREDICTION, **again, conn_id="another") == 403
    assert len(place.mail()) == 1


def test_a_changed_key_is_asked_for_once_more(place, asked):
    place.changed = True
    assert place.call(PREDICTION, headers=signed(PREDICTION), vendor="replicate") == 200
    assert asked == [("replicate", False), ("replicate", True)]


def test_keys_that_are_away_ask_the_vendor_to_repeat_its_call(place, asked):
    place.broken = True
    assert place.call(PREDICTION, headers=signed(PREDICTION), vendor="replicate") == 503
    place.broken = False
    assert place.call(PREDICTION, headers=signed(PREDICTION), vendor="replicate") == 200


def test_nobody_is_asked_for_keys_by_a_call_with_a_forged_token(place, asked):
    assert place.call(PREDICTION, query="token=a.b", headers=signed(PREDICTION), vendor="replicate") == 403
    assert place.call(DONE) == 200, "a vendor that does not sign needs none"
    assert asked == []


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda headers: {**headers, "x-signature": "1"},
        lambda headers: {**headers, "webhook-signature": headers["webhook-signature"] + " v1,AAAA"},
        lambda headers: {**headers, "webhook-signature": "v1,AAAA " + headers["webhook-signature"]},
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_replay_is_one_however_its_signature_is_written(place, rewrite):
    headers = signed(PREDICTION)
    assert place.call(PREDICTION, headers=headers, vendor="replicate") == 200
    assert place.call(PREDICTION, headers=rewrite(headers), vendor="replicate", number=2) == 403
    assert place.call(PREDICTION, headers=rewrite(headers), vendor="replicate") == 200, "its own repeat is none"
    assert len(place.mail()) == 1


@pytest.mark.parametrize("rewrite", [str.upper, lambda text: f"{text[:2]} {text[2:]}"])
def test_a_replay_of_fal_s_is_one_however_its_signature_is_written(tmp_path, rewrite):
    place = Place(tmp_path)
    keys = public_keys(key_set())
    place.app = ReceiverApp(lambda: [SECRET], place.open, lambda *_, **__: keys, clock=lambda: NOW)
    body = {"request_id": "r1", "status": "OK"}
    headers = JSON | sign_as_fal("r1", json.dumps(body).encode(), NOW.timestamp())
    assert place.call(body, headers=headers, vendor="fal") == 200
    headers["x-fal-webhook-signature"] = rewrite(headers["x-fal-webhook-signature"])
    assert place.call(body, headers=headers, vendor="fal", number=2) == 403


@pytest.mark.usefixtures("asked")
def test_a_body_that_is_written_anew_is_not_what_was_signed(place):
    headers = signed(PREDICTION)
    assert place.call(PREDICTION, headers=headers, vendor="replicate") == 200
    anew = json.dumps(PREDICTION, indent=1).encode()
    assert place.call(anew, headers=headers, vendor="replicate", number=2) == 403


def test_of_many_signed_calls_the_newest_are_remembered():
    replays = Replays(most=2)
    for body in (b"a", b"b", b"c"):
        assert not replays.is_replay("fal", body, (1,))
    assert not replays.is_replay("replicate", b"c", (2,)), "another vendor's"
    assert replays.is_replay("fal", b"c", (2,))
    assert not replays.is_replay("fal", b"a", (2,)), "forgotten"


def test_a_status_is_read_where_the_vendor_s_class_says_that_it_stands(place, monkeypatch):
    class Other(Pixazo):
        id = "other"
        status_paths = ("state",)

    monkeypatch.setattr(catalogue, "vendors", lambda: {"other": Other})
    assert place.call({"request_id": "j1", "state": "COMPLETED"}, vendor="other") == 200
    assert [mail.terminal for mail in place.mail()] == [True]


def test_more_calls_at_once_than_it_takes_are_asked_to_come_again(place, monkeypatch):
    monkeypatch.setattr(receiver, "MOST_AT_ONCE", 1)

    async def two():
        return await asyncio.gather(*(place._call(DONE, None, JSON, "POST", 3, 0.01, {}) for _ in range(2)))

    assert sorted(asyncio.run(two())) == [200, 503]
