"""The one place where the pages read the ledger: whatever keeps it, the questions and their answers are the same."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration import ledger_listing as words
from airflow_video_providers.integration.airflow_view import AirflowView, view_of_airflow
from airflow_video_providers.plugin.console import spent
from airflow_video_providers.plugin.console.purchases import (
    MAKING,
    MINE,
    Damage,
    EmptyAccount,
    Filter,
    Purchase,
    Spending,
)  # fmt: skip
from airflow_video_providers.plugin.console.refreshing import Refreshing, in_background
from airflow_video_providers.plugin.console.standing import named

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from airflow_video_providers.plugin.console.feeds import Feed
    from airflow_video_providers.plugin.console.index import Index

#: Purchases per page and section.
PAGE = 25
#: Of what is not finished, so many are held against Airflow's tasks, newest first.
_MOST_UNFINISHED = 200
#: Seconds for which what its vendor has forgotten still comes before others: it may be there all the same.
_LATE = 86_400
#: Jobs of a model that are asked how long they took.
_RECENT = 50


@dataclass(frozen=True)
class Overview:
    """What stands on the first page.

    :param trouble: Why Airflow could not be asked about its tasks.
    :param more: How many are not finished, older, and not shown.
    """

    hand: list[Purchase] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    empty: list[EmptyAccount] = field(default_factory=list)
    making: list[Purchase] = field(default_factory=list)
    landed: list[Purchase] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    trouble: str | None = None
    more: int = 0


class Reading:
    """Answers about the ledger, for those DAGs that a reader may read.

    :param feed: What keeps the index up to date.
    :param ask: How Airflow is asked about task instances.
    :param run_states: How it is asked about DAG runs.
    :param go_on: What runs the rest of a refresh, a step at a time, until a step says that none is left.
    """

    def __init__(
        self,
        feed: Feed,
        index: Index,
        *,
        clock: Callable[[], float] = time.time,
        ask: Callable[[Iterable[Identity]], AirflowView] = view_of_airflow,
        run_states: Callable[[set[tuple[str, str]]], dict[tuple[str, str], str]],
        go_on: Callable[[Callable[[], bool]], None] = in_background,
    ) -> None:
        self._index = index
        self._clock = clock
        self._ask = ask
        self._run_states = run_states
        self._refreshing = Refreshing(feed, index, clock, go_on)

    def refresh(self, *, now: bool = False) -> None:
        """Update the index: see :meth:`Refreshing.refresh`."""
        self._refreshing.refresh(now=now)

    @property
    def unread(self) -> str | None:
        """What of the ledger is not in the answers yet: see :attr:`Refreshing.unread`."""
        return self._refreshing.unread

    def overview(self, wanted: Filter) -> Overview:
        """What needs a hand, what is in the making, and what has landed lately."""
        mine, values = replace(wanted, state="").conditions()
        unfinished = f"FROM purchases WHERE word IN ('unknown', 'bought', 'rejected') AND {mine}"
        newest = self._index.rows(f"SELECT * {unfinished} ORDER BY created DESC LIMIT ?", *values, _MOST_UNFINISHED)
        soonest = self._index.rows(
            f"SELECT * {unfinished} AND expires > ? ORDER BY expires LIMIT ?", *values, self._clock() - _LATE, PAGE
        )
        shown = {row["source"]: row for row in (*newest, *soonest)}
        ((total,),) = self._index.rows(f"SELECT COUNT(*) {unfinished}", *values)
        sorted_out, trouble = self._with_airflow([self._purchase(row) for row in shown.values()])
        landed = self._index.rows(
            f"SELECT * FROM purchases WHERE word = 'landed' AND {mine} ORDER BY ended DESC LIMIT ?",
            *values,
            PAGE,
        )
        counts = self._index.rows(f"SELECT word, COUNT(*) FROM purchases WHERE {mine} GROUP BY word", *values)
        hand = [one for one in sorted_out if one.needs_a_hand]
        return Overview(
            hand=sorted(hand, key=_urgency),
            damaged=self._damaged(wanted),
            empty=self._empty_accounts(wanted),
            making=[one for one in sorted_out if one.word in (MAKING, words.IN_FLIGHT)],
            landed=[self._purchase(row) for row in landed],
            counts={row[0]: row[1] for row in counts},
            trouble=trouble,
            more=total - len(shown),
        )

    def matching(self, wanted: Filter, *, offset: int = 0) -> tuple[list[Purchase], int]:
        """One page of the purchases that a filter leaves, newest first, and how many there are."""
        mine, values = wanted.conditions()
        rows = self._index.rows(
            f"SELECT * FROM purchases WHERE {mine} ORDER BY created DESC LIMIT ? OFFSET ?",
            *values,
            PAGE,
            offset,
        )
        ((total,),) = self._index.rows(f"SELECT COUNT(*) FROM purchases WHERE {mine}", *values)
        return self._with_airflow([self._purchase(row) for row in rows])[0], total

    def spending(self, wanted: Filter, today: date) -> Spending:
        """What was spent in the last :data:`~.spent.DAYS` days (UTC), by day, model and connection."""
        return spent.spending(self._index, wanted, today)

    def spent_now(self, wanted: Filter, today: date) -> dict[tuple[str, str], Decimal]:
        """What each connection has spent in the current day, week and month (UTC), in estimates as its limits count."""
        return spent.spent_now(self._index, wanted, today)

    def of_run(self, dag_id: str, run_id: str) -> list[Purchase]:
        """The newest attempt of each task instance of a run."""
        rows = self._index.rows(
            "SELECT *, MAX(number) FROM purchases WHERE dag_id = ? AND run_id = ? GROUP BY task_id, map_index "
            "ORDER BY task_id, map_index", dag_id, run_id,
        )  # fmt: skip
        return self._with_airflow([self._purchase(row) for row in rows])[0]

    def of_task(self, who: Identity) -> list[Purchase]:
        """The attempts of one task instance, newest first."""
        rows = self._index.rows(
            "SELECT * FROM purchases WHERE (dag_id, run_id, task_id, map_index) = (?, ?, ?, ?) ORDER BY number DESC LIMIT 20",
            who.dag_id, who.run_id, who.task_id, who.map_index,
        )  # fmt: skip
        return self._with_airflow([self._purchase(row) for row in rows])[0]

    def of_job(self, dag_id: str, model: str, request_id: str) -> Purchase | None:
        """The purchase of a job, by tasks of this DAG."""
        rows = self._index.rows(
            "SELECT * FROM purchases WHERE request_id = ? AND model = ? AND dag_id = ? ORDER BY created DESC LIMIT 1",
            request_id, model, dag_id,
        )  # fmt: skip
        return self._with_airflow([self._purchase(row) for row in rows])[0][0] if rows else None

    def took(self, model: str) -> tuple[timedelta, timedelta, int] | None:
        """How long this model's jobs took, from the submit to the landing: the median, the slowest tenth, and of how many."""
        rows = self._index.rows(
            "SELECT ended - created FROM purchases WHERE word = 'landed' AND model = ? AND ended > created "
            "ORDER BY ended DESC LIMIT ?", model, _RECENT,
        )  # fmt: skip
        seconds = sorted(row[0] for row in rows)
        if not seconds:
            return None
        slow = seconds[min(len(seconds) - 1, len(seconds) * 9 // 10)]
        return timedelta(seconds=round(seconds[len(seconds) // 2])), timedelta(seconds=round(slow)), len(seconds)

    def _purchase(self, row: sqlite3.Row) -> Purchase:
        found = self._index.rows(
            "SELECT value FROM endings WHERE request_id = ? AND (model = ? OR model IS NULL) AND ending != 'finished' "
            "ORDER BY model IS NULL LIMIT 1",
            row["request_id"], row["model"],
        ) if row["request_id"] else []  # fmt: skip
        return Purchase.of_row(row, found[0][0] if found else None)

    def _damaged(self, wanted: Filter) -> list[Damage]:
        rows = self._index.rows(f"SELECT * FROM flaws WHERE {MINE} LIMIT ?", wanted.as_json, PAGE)
        found = [Damage(row["name"], row["why"], Identity.of_key(tuple(row["key"].split("\n")))) for row in rows]
        return [one for one in found if one.identity and one.identity.dag_id.startswith(wanted.dag_id)]

    def _empty_accounts(self, wanted: Filter) -> list[EmptyAccount]:
        rows = self._index.rows(
            f"SELECT conn_id, model, dag_id, state, reason, MAX(created) AS at FROM purchases WHERE {MINE} GROUP BY conn_id",
            wanted.as_json,
        )
        return [
            EmptyAccount(
                row["conn_id"],
                row["model"].partition(":")[0],
                datetime.fromtimestamp(row["at"], UTC),
                row["dag_id"],
                self._refused(row["conn_id"], wanted),
            )
            for row in rows
            if row["state"] == "rejected" and row["reason"] == "InsufficientCreditsError"
        ]

    def _refused(self, conn_id: str | None, wanted: Filter) -> tuple[Identity, ...]:
        """Who was refused since the connection last bought."""
        rows = self._index.rows(
            "SELECT dag_id, run_id, task_id, map_index FROM purchases WHERE conn_id IS ? AND reason = 'InsufficientCreditsError' "
            "AND created > COALESCE((SELECT MAX(created) FROM attempts WHERE conn_id IS ? AND state != 'rejected'), 0) "
            f"AND {MINE} ORDER BY created DESC LIMIT ?", conn_id, conn_id, wanted.as_json, PAGE,
        )  # fmt: skip
        return tuple(Identity(*row) for row in rows)

    def _with_airflow(self, found: list[Purchase]) -> tuple[list[Purchase], str | None]:
        """What is not finished, called by how Airflow's tasks stand."""
        unfinished = [one for one in found if one.word in (words.UNKNOWN, words.BOUGHT)]
        view = self._ask(one.identity for one in unfinished)
        runs = self._run_states({(one.attempt.dag_id, one.attempt.run_id) for one in unfinished}) if unfinished else {}
        now = datetime.fromtimestamp(self._clock(), UTC)
        called = (words.UNKNOWN, words.BOUGHT)
        return [named(one, view, runs, now) if one.word in called else one for one in found], view.trouble


def _urgency(one: Purchase) -> tuple[int, str]:
    """What the vendor forgets soonest, then what nobody knows, then the rest; each by age."""
    expires = str((one.attempt.job or {}).get("expires_at") or "") if one.expiring else ""
    order = 0 if expires else 1 if one.word == words.UNKNOWN else 2
    return order, expires or one.attempt.created_at.isoformat()
