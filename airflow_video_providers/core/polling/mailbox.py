"""The mailbox: what a receiver writes for those who wait, below the ledger's directory, and what they read of it.

A piece of mail is a small record, written once. Its name says all that a wait needs, so that one listing serves every
job of a connection; a record is read only where an attempt has no id yet.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from weakref import WeakKeyDictionary

from airflow_video_providers.core.purchase.records import digest
from airflow_video_providers.core.purchase.stores.base import readable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

    from airflow_video_providers.core.callbacks.token import Claim
    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.stores.base import Directory

#: The kind of record that mail is.
KIND = "callbacks"
#: Seconds between two listings of one connection's mail.
EVERY = 3.0
#: ... and where the mailbox cannot be read.
LONGEST_PAUSE = 60.0
#: Ids that are kept for one attempt. Two are an error already; more say nothing new.
MOST_IDS = 2
#: Names that a receiver remembers, so that a repeated call costs no listing.
_REMEMBERED = 10_000
_NAME = re.compile(r"([0-9]{10,12})-([0-9a-f]{32})-([0-9a-f]{32})-(end|word)")

log = logging.getLogger(__name__)


class Mail(NamedTuple):
    """What the name of a piece of mail says.

    :param expires: When nobody needs it any more, in seconds since 1970.
    :param attempt: Of which attempt, as :func:`attempt_mark` names it.
    :param job: Of which job, as :func:`job_mark` names it.
    :param terminal: Has the vendor called the job ended? A hint: how it stands is read from the vendor.
    """

    expires: int
    attempt: str
    job: str
    terminal: bool

    @property
    def name(self) -> str:
        """Its name in the mailbox."""
        return f"{self.expires:010d}-{self.attempt}-{self.job}-{'end' if self.terminal else 'word'}"

    @classmethod
    def named(cls, name: str) -> Mail | None:
        """The mail of this name; None where it is none."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), found[2], found[3], found[4] == "end") if found else None


def attempt_mark(attempt: Key) -> str:
    """An attempt's key as a short name."""
    return digest(list(attempt))[:32]


def job_mark(vendor: str, request_id: str) -> str:
    """A vendor's job as a short name."""
    return digest([vendor, request_id])[:32]


class Mailbox:
    """One connection's mail, in the ledger's store. Blocking: an event loop asks from a thread.

    Every method raises :class:`~airflow_video_providers.core.errors.LedgerError` where the store fails.

    :param store: Shared by the receiver and everybody who waits.
    """

    def __init__(self, store: Directory, conn_id: str) -> None:
        self._store = store
        self._prefix = (KIND, conn_id)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def put(self, claim: Claim, request_id: str, *, terminal: bool) -> Literal["kept", "known", "full"]:
        """Keep what a call said. Repeats are known; an attempt has room for :data:`MOST_IDS` ids."""
        attempt = claim.identity.key(claim.number)
        mail = Mail(int(claim.expires.timestamp()), attempt_mark(attempt), job_mark(claim.vendor, request_id), terminal)
        with self._one_at_a_time, readable("written"):
            if mail.name in self._known:
                return "known"
            there = [known for known in self._listed() if known.attempt == mail.attempt]
            if mail in there:
                self._remember(mail.name)
                return "known"
            if mail.job not in {known.job for known in there} and len({known.job for known in there}) >= MOST_IDS:
                return "full"
            record = {"v": 1, "claim": uuid.uuid4().hex, "attempt": list(attempt), "request_id": request_id}
            kept = self._store.create((*self._prefix, mail.name), record)
            self._remember(mail.name)
            return "kept" if kept else "known"

    def listed(self) -> list[Mail]:
        """All mail, by its names alone: one listing."""
        with readable("read"):
            return list(self._listed())

    def ids_for(self, attempt: Key) -> list[str]:
        """The ids that calls have named for an attempt, in an order that does not change."""
        mark = attempt_mark(attempt)
        named: dict[str, str] = {}
        with readable("read"):
            for mail in self._listed():
                if mail.attempt != mark or mail.job in named:
                    continue
                record = self._store.read((*self._prefix, mail.name)) or {}
                request_id = record.get("request_id")
                if isinstance(request_id, str) and record.get("attempt") == list(attempt):
                    named[mail.job] = request_id
        return [named[job] for job in sorted(named)]

    def drop(self, vendor: str, request_id: str) -> int:
        """Remove the mail of a job that has ended and stands in the ledger; returns how many pieces that were."""
        mark = job_mark(vendor, request_id)
        return self._drop(lambda mail: mail.job == mark)

    def drop_expired(self, now: datetime) -> int:
        """Remove what nobody needs any more."""
        return self._drop(lambda mail: mail.expires <= now.timestamp())

    def _drop(self, unwanted: Callable[[Mail], bool]) -> int:
        with readable("written"):
            going = [mail for mail in self._listed() if unwanted(mail)]
            for mail in going:
                self._store.remove((*self._prefix, mail.name))
            return len(going)

    def _listed(self) -> Iterator[Mail]:
        for name in self._store.names(self._prefix):
            if (mail := Mail.named(name)) is not None:
                yield mail

    def _remember(self, name: str) -> None:
        self._known[name] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


if TYPE_CHECKING:
    OnMail = Callable[[Mail], object]
    OpenMailbox = Callable[[], Awaitable[Mailbox]]


class Expected:
    """Somebody who waits for mail: call :meth:`close` when that is over."""

    def __init__(self, reader: MailReader, mark: str, on_mail: OnMail) -> None:
        self.mark = mark
        self.on_mail = on_mail
        self._reader = reader

    def close(self) -> None:
        """Nothing more is waited for."""
        self._reader._leave(self)  # noqa: SLF001 - the two are one thing


class MailReader:
    """Lists one connection's mail every few seconds, for all who wait in this event loop, while anybody does.

    :param opened: Opens the mailbox; what it does takes place in a thread.
    :param on_trouble: Called once when the mailbox cannot be read.
    :param wall: The wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        opened: OpenMailbox,
        *,
        every: float = EVERY,
        on_trouble: Callable[[], object] = lambda: None,
        wall: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
    ) -> None:
        self._opened = opened
        self._every = every
        self._wall = wall
        self.on_trouble = on_trouble
        self._waiting: dict[str, set[Expected]] = {}
        self._mail: set[Mail] = set()
        self._task: asyncio.Task[None] | None = None
        self.mailbox: Mailbox | None = None

    def expect(self, mark: str, on_mail: OnMail) -> Expected:
        """Hear of each piece of mail about this attempt or job, also of one that is there already.

        :param mark: :func:`attempt_mark` or :func:`job_mark`.
        """
        expected = Expected(self, mark, on_mail)
        self._waiting.setdefault(mark, set()).add(expected)
        for mail in [mail for mail in self._mail if mark in (mail.attempt, mail.job)]:
            on_mail(mail)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read())
        return expected

    def _leave(self, expected: Expected) -> None:
        others = self._waiting.get(expected.mark, set())
        others.discard(expected)
        if not others:
            self._waiting.pop(expected.mark, None)
        if not self._waiting and self._task is not None:
            self._task.cancel()
            self._task, self._mail = None, set()

    async def _read(self) -> None:
        failures = 0
        while True:
            try:
                self.mailbox = self.mailbox or await self._opened()
                found = set(await asyncio.to_thread(self.mailbox.listed))
            except Exception as failure:  # noqa: BLE001 # whatever a store's library raises: polling goes on without mail
                if failures == 0:
                    log.warning("Callbacks cannot be read, and jobs are polled as without them: %s", failure)
                    self.on_trouble()
                failures, self.mailbox = failures + 1, None
                await asyncio.sleep(min(self._every * 2**failures, LONGEST_PAUSE))
                continue
            failures, now = 0, self._wall()
            new, self._mail = found - self._mail, {mail for mail in found if mail.expires > now}
            for mail in new & self._mail:
                for expected in [*self._waiting.get(mail.attempt, ()), *self._waiting.get(mail.job, ())]:
                    expected.on_mail(mail)
            await asyncio.sleep(self._every)


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, MailReader]] = WeakKeyDictionary()


def shared_reader(key: Hashable, opened: OpenMailbox) -> MailReader:
    """The running event loop's reader for this connection."""
    return _readers.setdefault(asyncio.get_running_loop(), {}).setdefault(key, MailReader(opened))
