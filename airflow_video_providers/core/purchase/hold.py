"""An empty account stops once: after a vendor's "no credits" the connection is on hold, for all who share the ledger.

A log of numbered entries per connection, each written create-only, of which the last one counts:

- ``hold``: nothing is sent until then. Whoever comes goes away unsent.
- ``probe``: a hold is over, and the first that came back tries again; the others go away until it is known how it ended.
- ``free``: it has bought, and everybody buys again.

What is lost with an entry is a few minutes, or a few refused requests, and never money: so what cannot be read holds nobody.
Without a ledger that all tasks share there is no hold, and each task gets the vendor's refusal itself.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_video_providers.core.errors import InsufficientCreditsError, LedgerError
from airflow_video_providers.core.purchase.intent import one_spelling
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, readable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from logging import Logger

    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.records import Attempt, Key
    from airflow_video_providers.core.purchase.stores.base import Store

#: For how long nothing is sent after an account was found empty.
HOLD = timedelta(minutes=5)
#: For how long the first that tries again is waited for: longer than a submit takes.
PROBE = timedelta(minutes=2)
_HOLDS, _WAITS = "holds", "waits-for-credits"


class AccountHold:
    """The hold of one connection, as one try sees it.

    :param store: The ledger's.
    :param conn_id: The connection, whose account is empty or not.
    :param queue_timeout: How long a task instance waits for credits in all, from when it first went away.
    """

    def __init__(
        self, store: Store, conn_id: str | None, this: Try, *, queue_timeout: timedelta, log: Logger, model: str
    ) -> None:
        self._store = store
        self._conn_id = str(conn_id)
        self._account = one_spelling(self._conn_id)
        self._this = this
        self._timeout = queue_timeout
        self._log = log
        self._model = model
        self._probing = False

    def check(self, now: datetime, attempts: Sequence[Attempt]) -> None:
        """Go away while the account is on hold; the first to come back after it may go on.

        :raises InsufficientCreditsError: it is on hold, and nothing was sent. ``held_until`` says when to come back;
            without it, this task instance has waited long enough.
        :raises LedgerError: the ledger could not be asked; nothing was sent.
        """
        if self._probing or not self._store.shared:
            return
        with readable("read"):
            number, entry = self._last()
        until = _until(entry)
        if until is None:
            return
        if now >= until:
            until = now + PROBE
            if self._append(number + 1, "probe", until):
                self._log.info("The hold of %s is over: this is the first to try again.", self._conn_id)
                self._probing = True
                return
        raise self._away(now, until, attempts)

    def begin(self, empty: InsufficientCreditsError, now: datetime, attempts: Sequence[Attempt]) -> NoReturn:
        """The account is empty: put it on hold.

        :raises InsufficientCreditsError: the vendor's refusal as it is where no hold can be written, else with when to
            come back.
        """
        if not self._store.shared:
            raise empty
        until = now + HOLD
        try:
            with readable("read"):
                number, entry = self._last()
            known = _until(entry)
            if known is not None and known > now and entry is not None and entry["state"] == "hold":
                until = known
            elif not self._append(number + 1, "hold", until):
                until = now + PROBE  # another process writes at this moment: see what it was, soon
            away: InsufficientCreditsError | None = self._away(now, until, attempts)
        except LedgerError as failure:
            self._log.warning("%s The account is not put on hold.", failure.what)
            away = None
        if away is None:
            raise empty
        raise away.replace(http_status=empty.http_status) from empty

    def end(self) -> None:
        """This try has bought: where it was the one that tried again, the others may, too."""
        if not self._probing:
            return
        try:
            with readable("read"):
                number, entry = self._last()
            if entry is not None and entry["state"] == "probe":
                self._append(number + 1, "free", None)
        except LedgerError as failure:
            self._log.warning("%s The hold ends with its next one that tries again.", failure.what)

    def _away(self, now: datetime, until: datetime, attempts: Sequence[Attempt]) -> InsufficientCreditsError:
        with readable("read"):
            since = self._since(now, attempts)
        if now - since >= self._timeout:
            return InsufficientCreditsError(
                f"The account of the connection {self._conn_id!r} is empty, and this task has waited "
                f"{self._timeout} for credits (queue_timeout).",
                model=self._model,
            )
        return InsufficientCreditsError(
            f"The account of the connection {self._conn_id!r} is empty: nothing is sent until {until:%Y-%m-%d %H:%M:%S} UTC.",
            remedy="Top up the account at the vendor. The task comes back by itself then.",
            model=self._model,
            retryable=True,
            retry_after=max(0.0, (until - now).total_seconds()),
        ).replace(held_until=until)

    def _since(self, now: datetime, attempts: Sequence[Attempt]) -> datetime:
        """Since when this task instance waits. A Clear, a new run and a purchase begin anew."""
        this, run = self._this, self._this.run
        key: Key = (
            _WAITS, this.identity.dag_id, this.identity.run_id, this.identity.task_id, str(this.identity.map_index),
        )  # fmt: skip
        mark = {"max_tries": this.max_tries, "run": str(run.started_at if run is not None else None)}
        value = self._store.read(key) or {}
        since = _moment(value.get("since"))
        if since is not None and mark == {name: value.get(name) for name in mark}:
            bought = [attempt for attempt in attempts if attempt.request_id and attempt.created_at > since]
            if not bought:
                return since
        self._store.replace(key, {**mark, "since": now.isoformat(), "claim": uuid.uuid4().hex})
        return now

    def _last(self) -> tuple[int, dict[str, Any] | None]:
        numbers = [int(name) for name in self._store.names((_HOLDS, self._account)) if name.isdecimal()]
        number = max(numbers, default=0)
        if not number:
            return 0, None
        try:
            return number, self._store.read(self._key(number))
        except DamagedRecordError as damage:
            self._log.warning("%s It holds nobody.", damage)
            return number, None

    def _append(self, number: int, state: str, until: datetime | None) -> bool:
        entry = {"state": state, "claim": uuid.uuid4().hex} | ({"until": until.isoformat()} if until else {})
        with readable("written"):
            return self._store.create(self._key(number), entry)

    def _key(self, number: int) -> Key:
        return (_HOLDS, self._account, f"{number:06d}")


def _until(entry: dict[str, Any] | None) -> datetime | None:
    """Until when an entry holds; None where it holds nobody."""
    return _moment(entry.get("until")) if entry is not None and entry.get("state") in ("hold", "probe") else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
