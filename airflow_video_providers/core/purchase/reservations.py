"""What all submits of a DAG run have reserved, across mapped tasks, tries and workers.

A log of numbered entries, each written create-only: who writes entry ``n`` has read the ``n - 1`` before
it, which never change, and whoever loses the race for a number reads the winner's entry and decides again.
So the sum of what is reserved never passes the limit, however many tasks submit at once.

What is exact, and what is not:

- Exact: the sum of *estimates* that are reserved at any time, on a directory ledger.
- An estimate is not a bill. A submit without a price counts as nothing (``allow_unknown_price``).
- An unknown outcome keeps its reservation: it may have been charged. ``forget`` gives it back with the next try.
- A try that dies between its reservation and its intent is found again by its retry under the same key.
- Each submit compares with its own limit: tasks with different limits share one sum.
- Submits that set no ``max_run_cost_usd`` are not counted. Nor is anything on Airflow's own state store,
  which tasks do not share: there the limit is refused.
"""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.purchase.records import MOST_USD
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.stores.base import Store

#: More entries than this in one run mean that something else is wrong.
MAX_ENTRIES = 100_000


class Reservations:
    """What the submits of one DAG run have reserved.

    :param store: Has to be shared by all tasks.
    """

    def __init__(self, store: Store, dag_id: str, run_id: str) -> None:
        self._store = store
        self._prefix: Key = ("budgets", dag_id, run_id)
        self._reserved: dict[str, Decimal] = {}
        self._entries = 0

    def reserved(self) -> Decimal:
        """US dollars that are reserved now.

        :raises LedgerError: the log could not be read.
        """
        with readable("read"):
            self._read()
        return sum(self._reserved.values(), Decimal(0))

    def reserve(self, key: Key, usd: Decimal, *, limit: Decimal, released: Iterable[Key] = (), model: str) -> None:
        """Reserve ``usd`` for the attempt ``key``; a second time for the same attempt changes nothing.

        :param released: Attempts that cost nothing: what they still hold is given back first.
        :raises InvalidRequestError: the run's budget would be passed; nothing was reserved.
        :raises LedgerError: the log could not be read or written.
        """
        self.release(released)

        def entry() -> dict[str, Any] | None:
            if _name(key) in self._reserved:
                return None
            total = sum(self._reserved.values(), Decimal(0))
            if total + usd > limit:
                raise InvalidRequestError(
                    f"This DAG run has reserved ${total} of ${limit}; this submit would add ${usd}.",
                    field="max_run_cost_usd",
                    value=str(total + usd),
                    allowed=f"at most ${limit}",
                    remedy="Raise max_run_cost_usd, or submit less in one run.",
                    model=model,
                )
            return {"reserve": _name(key), "usd": str(usd)}

        self._append(entry)

    def release(self, keys: Iterable[Key]) -> None:
        """Give back what these attempts hold.

        :raises LedgerError: the log could not be read or written.
        """
        for name in map(_name, keys):
            self._append(lambda name=name: {"release": name} if name in self._reserved else None)  # type: ignore[misc]

    def _append(self, decide: Callable[[], dict[str, Any] | None]) -> None:
        """Write the entry that ``decide`` makes of everything before it, at the log's end."""
        with readable("written"):
            self._read()
            while self._entries < MAX_ENTRIES:
                entry = decide()
                if entry is None:
                    return
                entry.update(claim=uuid.uuid4().hex, number=self._entries + 1)
                if self._store.create(self._key(self._entries + 1), entry):
                    self._apply(entry)
                    return
                self._read()
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
            try:
                amount = Decimal(str(usd))
            except InvalidOperation:
                amount = Decimal(-1)
            if not (amount.is_finite() and 0 <= amount <= MOST_USD):
                raise DamagedRecordError(where, f"reserves no amount of US dollars ({usd!r:.40})")
            self._reserved[name] = amount
        elif isinstance(released := entry.get("release"), str):
            self._reserved.pop(released, None)
        else:
            raise DamagedRecordError(where, "is no entry of a budget")
        self._entries += 1

    def _key(self, number: int) -> Key:
        return (*self._prefix, f"{number:06d}")


def _name(key: Key) -> str:
    return "/".join(key)
