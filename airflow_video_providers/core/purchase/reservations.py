"""What is reserved of a sum that many submits share: those of a DAG run, or of a connection in a period.

A log of numbered entries, each written create-only: who writes entry ``n`` has read the ``n - 1`` before
it, which never change, and whoever loses the race for a number reads the winner's entry and decides again.
So the sum of what is reserved never passes the limit, however many tasks submit at once.

What is exact, and what is not:

- Exact: the sum of *estimates* that are reserved at any time, on a ledger that all tasks share.
- An estimate is not a bill. Where no price is known, nothing is reserved and nothing bought.
- An unknown outcome keeps its reservation: it may have been charged. ``forget`` gives it back.
- A try that dies between its reservation and its intent is found again by its retry under the same key. Where the sum
  would be passed, another submit looks for such ones: what has no intent after :data:`HOLD` seconds is given back, and
  the holder's place in the ledger is taken first, create-only, so that it cannot store its intent any more.
- Each submit compares with its own limit: tasks with different limits share one sum.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.intent import one_spelling
from airflow_video_providers.core.purchase.records import MOST_USD, Attempt, AttemptState
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.stores.base import Store

#: More entries than this in one sum mean that something else is wrong.
MAX_ENTRIES = 100_000
#: What the sums of DAG runs are kept under.
_RUNS = "budgets"
#: Seconds for which a reservation waits for its intent, before another submit may take it back.
HOLD = 60.0


@dataclass(frozen=True)
class _Held:
    """One reservation.

    :param attempt: Whose it is; None where an older version wrote it, which did not say.
    :param spent: Its attempt has bought, and nobody has to ask again.
    """

    usd: Decimal
    attempt: Attempt | None = None
    spent: bool = False


class OverLimitError(Exception):
    """The sum would be passed; nothing was reserved.

    :param reserved: US dollars that are reserved by others.
    """

    def __init__(self, reserved: Decimal) -> None:
        super().__init__(f"${reserved} are reserved")
        self.reserved = reserved


class Reservations:
    """What the submits that share a sum have reserved.

    :param store: The ledger's own, shared by all tasks: the attempts stand in it too.
    :param name: Whose sum it is: a kind, and what sets it apart from others of its kind.
    """

    def __init__(self, store: Store, *name: str) -> None:
        self._store = store
        self._prefix: Key = name
        self._of_run = name[0] == _RUNS
        self._held: dict[str, _Held] = {}
        self._entries = 0

    @classmethod
    def of_run(cls, store: Store, dag_id: str, run_id: str) -> Reservations:
        """Those of one DAG run."""
        return cls(store, _RUNS, dag_id, run_id)

    @classmethod
    def of_period(cls, store: Store, conn_id: str, period: str) -> Reservations:
        """Those of one connection in one period."""
        return cls(store, "period-budgets", one_spelling(conn_id), period)

    def reserved(self) -> Decimal:
        """US dollars that are reserved now.

        :raises LedgerError: the log could not be read.
        """
        with readable("read"):
            self._read()
        return self._sum()

    def reserve(self, attempt: Attempt, usd: Decimal, *, limit: Decimal, released: Iterable[Key] = ()) -> None:
        """Reserve ``usd`` for the attempt; a second time for the same attempt, it counts once.

        :param released: Attempts that cost nothing: what they still hold is given back first.
        :raises OverLimitError: the sum would be passed; nothing was reserved.
        :raises LedgerError: the log could not be read or written.
        """
        self.release(released)
        name = _name(attempt.key)

        def entry() -> dict[str, Any]:
            others = self._sum(without=name, of=attempt if self._of_run else None)
            if others + usd > limit:
                raise OverLimitError(others)
            return {"reserve": name, "usd": str(usd), "attempt": attempt.to_dict()}

        try:
            self._append(entry)
        except OverLimitError:
            if not self._take_back(attempt.created_at, keep=name):
                raise
            self._append(entry)

    def release(self, keys: Iterable[Key]) -> None:
        """Give back what these attempts hold.

        :raises LedgerError: the log could not be read or written.
        """
        for name in map(_name, keys):
            self._append(lambda name=name: {"release": name} if name in self._held else None)  # type: ignore[misc]

    def _take_back(self, now: datetime, *, keep: str) -> bool:
        """Give back what is held for nothing; False where nothing is."""
        free: list[Key] = []
        spent: list[str] = []
        with readable("read"):
            for name, held in self._held.items():
                if held.attempt is None or held.spent or name == keep:
                    continue
                stored = self._store.read(held.attempt.key)
                if stored is None:
                    if self._take_place(held.attempt, now):
                        free.append(held.attempt.key)
                    continue
                state = stored.get("state")
                if state in _COSTLESS:
                    free.append(held.attempt.key)
                elif state == AttemptState.SUBMITTED:
                    spent.append(name)
        self.release(free)
        if spent:  # so that the next one that reaches the limit has less to read
            self._append(
                lambda: {"spent": spent} if not all(held.spent for held in map(self._held.get, spent) if held) else None
            )
        return bool(free)

    def _take_place(self, attempt: Attempt, now: datetime) -> bool:
        """Take the place of a holder that has stored no intent for so long; False where it lives, or was faster."""
        if (now - attempt.created_at).total_seconds() < HOLD:
            return False
        taken = attempt.replace(state=AttemptState.REJECTED, reason=GIVEN_BACK, claim=uuid.uuid4().hex)
        return self._store.create(taken.key, taken.to_dict())

    def _sum(self, *, without: str = "", of: Attempt | None = None) -> Decimal:
        """US dollars that others hold.

        :param of: Who adds to the sum of its run: what a deleted run of the same id has spent is no part of that.
        """
        return sum(
            (
                held.usd
                for name, held in self._held.items()
                if name != without and not (of and held.attempt and held.attempt.of_deleted_run(of))
            ),
            Decimal(0),
        )

    def _append(self, decide: Callable[[], dict[str, Any] | None]) -> None:
        """Write the entry that ``decide`` makes of everything before it, at the log's end."""
        while self._entries < MAX_ENTRIES:
            with readable("read"):
                self._read()
            if (entry := decide()) is None:
                return
            entry.update(claim=uuid.uuid4().hex, number=self._entries + 1)
            with readable("written"):
                if self._store.create(self._key(self._entries + 1), entry):
                    self._apply(entry)
                    return
        raise LedgerError(f"The budget of {'/'.join(self._prefix[1:])} has {MAX_ENTRIES} entries.")

    def _read(self) -> None:
        """Take in the entries that were written since; the first time all at once, which storage does faster."""
        known: dict[int, dict[str, Any] | None] = {}
        if not self._entries:
            for found in self._store.list(self._prefix):
                if found.key is not None and len(found.key) == len(self._prefix) + 1 and found.key[-1].isdecimal():
                    known[int(found.key[-1])] = found.value
        highest = max(known, default=0)
        while True:
            number = self._entries + 1
            entry = known.get(number) or self._store.read(self._key(number))
            if entry is None and number <= highest:
                raise LedgerError(
                    f"Entry {number} of {highest} of the budget of {'/'.join(self._prefix[1:])} is missing from the ledger.",
                    money="Nothing was sent.",
                    remedy=f"Restore {'/'.join(self._key(number))} from a backup or an older version: without it more "
                    "than the limit could be spent.",
                )
            if entry is None:
                return
            self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        where = "/".join(self._key(self._entries + 1))
        name, usd = entry.get("reserve"), entry.get("usd")
        if isinstance(name, str):
            self._held[name] = _Held(_amount(usd, where), _holder(entry.get("attempt"), where))
        elif isinstance(released := entry.get("release"), str):
            self._held.pop(released, None)
        elif isinstance(spent := entry.get("spent"), list):
            for each in spent:
                if isinstance(held := self._held.get(each), _Held):
                    self._held[each] = _Held(held.usd, held.attempt, spent=True)
        else:
            raise DamagedRecordError(where, "is no entry of a budget")
        self._entries += 1

    def _key(self, number: int) -> Key:
        return (*self._prefix, f"{number:06d}")


#: Why a place was taken, in the attempt's record.
GIVEN_BACK = "ReservationGivenBack"
_COSTLESS = frozenset({AttemptState.REJECTED, AttemptState.VOID, AttemptState.FORGOTTEN})


def _amount(usd: object, where: str) -> Decimal:
    try:
        amount = Decimal(str(usd))
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= MOST_USD):
        raise DamagedRecordError(where, f"reserves no amount of US dollars ({usd!r:.40})")
    return amount


def _holder(value: object, where: str) -> Attempt | None:
    if value is None:
        return None
    try:
        return Attempt.model_validate(value)
    except ValueError as wrong:
        raise DamagedRecordError(where, "names no attempt that reserves") from wrong


def _name(key: Key) -> str:
    return "/".join(key)
