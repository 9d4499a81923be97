"""The receiver that vendors call: one small ASGI app, run by ``airflow video-callbacks`` or mounted in the API server.

It takes ``POST <address>?token=...`` with a JSON body, writes a piece of mail and answers. The token is checked before
anything is read or written; what is not in order is answered 403, with nothing logged or stored. Of the vendor's signature, where
it signs, everything is checked before the body is read. Nothing is fetched but a vendor's published keys, once a day, and of
the body nothing is kept but the job's id, and whether the vendor calls it ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from airflow_video_providers.core.border import json_value
from airflow_video_providers.core.callbacks import token
from airflow_video_providers.core.callbacks.replays import Replays
from airflow_video_providers.core.errors import LedgerError, VideoProviderError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.output_shapes import find_ids, find_status
from airflow_video_providers.integration import callbacks, metrics
from airflow_video_providers.integration.callback_keys import SigningKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_video_providers.core.callbacks.token import Claim
    from airflow_video_providers.core.polling.mailbox import Mailbox
    from airflow_video_providers.core.vendors.base import Vendor

#: Bytes of a body. Most have less than two thousand; Replicate's holds the job's logs, which no document bounds.
MOST_BYTES = 1024 * 1024
#: Seconds for all of a body to come.
PATIENCE = 5.0
#: Calls that are taken in at once; more are asked to come again.
MOST_AT_ONCE = 64
#: Seconds between two clearings of mail that nobody needs any more.
SWEEP_EVERY = 3600.0

log = logging.getLogger(__name__)


class News(NamedTuple):
    """What of a call is kept.

    :param request_id: The job that it names.
    :param terminal: Does the vendor call it ended?
    """

    request_id: str
    terminal: bool


class ReceiverApp:
    """The ASGI app.

    :param secrets: Gives the secrets that are accepted; asked at each call, so that they can be changed.
    :param opened: Opens the mailbox of a connection. Blocking.
    :param signing_keys: Gives the keys with which a vendor signs its calls, where it does. Blocking.
    """

    def __init__(
        self,
        secrets: Callable[[], Sequence[str]] = callbacks.secrets,
        opened: Callable[[str], Mailbox | None] = callbacks.open_mailbox,
        signing_keys: Callable[..., Sequence[str]] | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._secrets = secrets
        self._opened = opened
        self._signing_keys = signing_keys or SigningKeys()
        self._replays = Replays()
        self._clock = clock
        self._mailboxes: dict[str, Mailbox] = {}
        self._swept: dict[str, float] = {}
        self._at_once = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take one call."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return None
        query = scope["query_string"]
        scope["query_string"] = b""  # whoever logs the request after this has nothing to repeat
        if self._at_once >= MOST_AT_ONCE:
            return await _answer(send, 503)
        self._at_once += 1
        try:
            status = await self._take(scope, query, receive)
        finally:
            self._at_once -= 1
        return await _answer(send, status)

    async def _take(self, scope: Any, query: bytes, receive: Any) -> int:
        claim = self._claim(query) if scope["method"] == "POST" else None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(headers, receive) if claim is not None else None
        vendor = None if claim is None else catalogue.vendors().get(claim.vendor)
        try:
            genuine = claim and body is not None and vendor and await self._is_genuine(vendor, claim, headers, body)
        except VideoProviderError as failure:
            log.warning("A call could not be verified, and the vendor is asked to repeat it: %s", failure)
            return 503
        news = self._read(vendor, body) if genuine and vendor and body is not None else None
        if claim is None or news is None:
            metrics.refused()
            return 403
        try:
            kept = await asyncio.to_thread(self._keep, claim, news)
        except (VideoProviderError, OSError) as failure:
            log.warning("A call could not be kept, and the vendor is asked to repeat it: %s", failure)
            self._mailboxes.pop(claim.conn_id, None)
            return 503
        metrics.received(claim.vendor, again=not kept)
        return 200

    def _claim(self, query: bytes) -> Claim | None:
        try:
            given = parse_qs(query.decode("ascii"), strict_parsing=True, max_num_fields=8).get(token.PARAMETER, [])
        except ValueError:
            return None
        return token.read(given[0], self._secrets(), self._clock()) if len(given) == 1 else None

    async def _is_genuine(self, vendor: type[Vendor], claim: Claim, headers: Mapping[str, str], body: bytes) -> bool:
        """Has the vendor made this call, now, and for this address? Of one that does not sign the token says enough."""
        if not vendor.signs_callbacks():
            return True
        now = self._clock()
        keys = await asyncio.to_thread(self._signing_keys, vendor)
        if not vendor.verify_callback(headers, body, keys, now):
            renewed = await asyncio.to_thread(self._signing_keys, vendor, renew=True)  # it may have changed them
            if renewed == keys or not vendor.verify_callback(headers, body, renewed, now):
                return False
        return not self._replays.is_replay(claim.vendor, body, (claim.conn_id, claim.identity, claim.number))

    def _read(self, vendor: type[Vendor], body: bytes) -> News | None:
        try:
            said = json_value(body)
        except ValueError:
            return None
        ids = find_ids(said, vendor.id_paths) if isinstance(said, dict) else {}
        if len(ids) != 1:
            return None
        status = find_status(said, vendor.words, vendor.status_paths)
        ended = vendor.webhook_modes == ("terminal",) or (status is not None and status[0].terminal)
        return News(next(iter(ids)), ended)

    def _keep(self, claim: Claim, news: News) -> bool:
        mailbox = self._mailboxes.get(claim.conn_id)
        if mailbox is None:
            if (mailbox := self._opened(claim.conn_id)) is None:
                raise OSError("[video_providers] ledger_path is not set where the receiver runs")
            self._mailboxes[claim.conn_id] = mailbox
        outcome = mailbox.put(claim, news.request_id, terminal=news.terminal)
        if outcome == "full":
            log.warning("A call names one more job for attempt %d of %s; it is not kept.", claim.number, claim.identity)
        self._sweep(claim.conn_id, mailbox)
        return outcome == "kept"

    def _sweep(self, conn_id: str, mailbox: Mailbox) -> None:
        now = time.monotonic()
        if now - self._swept.get(conn_id, -SWEEP_EVERY) < SWEEP_EVERY:
            return
        self._swept[conn_id] = now
        try:
            mailbox.drop_expired(self._clock())
        except LedgerError as failure:  # the call itself is kept
            log.warning("Calls that nobody needs any more could not be removed: %s", failure.what)


async def _body(headers: Mapping[str, str], receive: Any) -> bytes | None:
    """The whole body; None where it is no JSON, too large, too slow, or breaks off."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES or "content-encoding" in headers:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > MOST_BYTES:
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return None


async def _answer(send: Any, status: int) -> None:
    body = b"{}" if status == 200 else b""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # a call is a connection: none is held by somebody who has called once
    ]
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def build() -> ReceiverApp:
    """The app for the API server."""
    return ReceiverApp()
