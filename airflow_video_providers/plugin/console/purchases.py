"""One purchase as a page shows it: what it is called, and what is to be done about it, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.records import Attempt, Identity
from airflow_video_providers.core.purchase.wording import COMMAND
from airflow_video_providers.integration import ledger_listing as words
from airflow_video_providers.integration.ledger_history import has_history
from airflow_video_providers.plugin.console.clearing import clear_each, clear_failed
from airflow_video_providers.plugin.console.render import moment_of

if TYPE_CHECKING:
    import sqlite3

#: Being made: bought, and Airflow is still at it.
MAKING = "in the making"
#: What a page can be filtered by, as the index calls it.
STATES = (
    words.UNKNOWN, words.BOUGHT, words.REJECTED, words.LANDED, words.FAILED, words.FREE, words.LOST, words.NOT_BOUGHT,
    words.FORGOTTEN,
)  # fmt: skip


#: Rows of those DAGs alone that a reader may read.
MINE = "dag_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Filter:
    """What to show of the ledger.

    :param dags: The DAGs that the reader may read: nothing else is ever shown or counted.
    :param dag_id: A DAG, or the beginning of its name.
    :param state: One of :data:`STATES`.
    :param request_id: A vendor's id, or the beginning of one.
    """

    dags: frozenset[str]
    dag_id: str = ""
    state: str = ""
    request_id: str = ""

    @property
    def anything(self) -> bool:
        """Is anything asked for?"""
        return bool(self.dag_id or self.state or self.request_id)

    @property
    def as_json(self) -> str:
        """The DAGs, as :data:`MINE` takes them."""
        return json.dumps(sorted(self.dags))

    def conditions(self) -> tuple[str, list[Any]]:
        """As SQL, with its values."""
        conditions, values = [MINE], [self.as_json]
        if self.dag_id:
            conditions.append("substr(dag_id, 1, length(?)) = ?")
            values += [self.dag_id, self.dag_id]
        if self.request_id:
            conditions.append("substr(request_id, 1, length(?)) = ?")
            values += [self.request_id, self.request_id]
        if self.state:
            conditions.append("word = ?")
            values.append(self.state)
        return " AND ".join(conditions), values


@dataclass(frozen=True)
class Purchase:
    """One attempt, what became of it, and how Airflow's task stands.

    :param word: What it is called.
    :param ended_at: When its ending was written: landed, failed, lost.
    :param where: The manifest's address, or where a refused file is kept.
    :param expiring: Most of the time is over for which its vendor keeps it.
    :param cost_usd: What it really cost in US dollars, where its vendor has said so.
    """

    attempt: Attempt
    word: str
    ended_at: datetime | None = None
    where: str | None = None
    task_state: str | None = None
    run_state: str | None = None
    expiring: bool = False
    cost_usd: Decimal | None = None

    @classmethod
    def of_row(cls, row: sqlite3.Row, where: str | None = None) -> Purchase:
        """The purchase in a row of the index."""
        ended = datetime.fromtimestamp(row["ended"], UTC) if row["ended"] is not None else None
        real = None if row["real"] is None else Decimal(row["real"]).scaleb(-6)
        return cls(Attempt.model_validate_json(row["value"]), row["word"], ended, where, cost_usd=real)

    @property
    def identity(self) -> Identity:
        """The buyer."""
        return self.attempt.identity

    @property
    def needs_a_hand(self) -> bool:
        """Is there something for a person to do?"""
        return self.expiring or self.word in (words.UNKNOWN, words.BOUGHT, words.REJECTED)

    @property
    def may_attach(self) -> bool:
        """Could a person say which job it is?"""
        return self.word == words.UNKNOWN

    @property
    def may_forget(self) -> bool:
        """Could a person say that nothing came of it?"""
        return self.word == words.UNKNOWN

    @property
    def may_find(self) -> bool:
        """Could the vendor's history say which job it is?"""
        return self.word == words.UNKNOWN and has_history(self.attempt)

    @property
    def advice(self) -> str:
        """What to do, for people."""
        attempt, vendor = self.attempt, self.attempt.model.partition(":")[0]
        match self.word:
            case words.UNKNOWN:
                ask = f"Find asks {vendor}'s history for its job. Or search" if self.may_find else "Search"
                return (
                    f"Nobody knows whether this was bought. {ask} {vendor}'s console for a job of "
                    f"{attempt.created_at:%Y-%m-%d %H:%M:%S} UTC. If it is there, attach its id and clear the task: it buys "
                    "nothing. If it is not, forget it and clear the task: it buys again."
                )
            case words.BOUGHT:
                return f"It is paid for and has not landed. Clear the task that waits or lands: it buys nothing.{self._kept}"
            case _ if self.word == MAKING and self.expiring:
                return f"It is paid for, and Airflow is still at it. See that the task that waits or lands goes on.{self._kept}"
            case words.REJECTED:
                return (
                    "Its file came whole, was refused, and is kept. Check it, then clear the landing: it is read from "
                    "there and nothing is bought. Delete the kept file to let a Clear buy again."
                )
            case words.LOST:
                return "The vendor no longer has it. Clear the submit to buy it again."
            case words.FAILED:
                return "The vendor ended it without an output. Clear the submit to buy it again."
        return ""

    @property
    def _kept(self) -> str:
        """Until when the vendor keeps it, where that is known."""
        vendor, expires = self.attempt.model.partition(":")[0], (self.attempt.job or {}).get("expires_at")
        return f" {vendor} has promised to keep it until {moment_of(expires)}, and no longer." if expires else ""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that do the same, filled in."""
        if self.word in (words.BOUGHT, words.REJECTED):
            return (clear_failed(self.identity),)
        if self.word != words.UNKNOWN:
            return ()
        who = self.identity.as_arguments()
        find = (f"{COMMAND} find {who}",) if self.may_find else ()
        return (*find, f"{COMMAND} attach {who} <its id>", f"{COMMAND} forget {who}")


@dataclass(frozen=True)
class Damage:
    """A record that cannot be read."""

    name: str
    why: str
    identity: Identity | None

    @property
    def commands(self) -> tuple[str, ...]:
        """What a person can say in its place."""
        if self.identity is None:
            return ()
        who = self.identity.as_arguments()
        return (f"{COMMAND} attach {who} <its id> --model <its model>", f"{COMMAND} forget {who}")


@dataclass(frozen=True)
class EmptyAccount:
    """A connection whose newest purchase was refused for want of credits.

    :param refused: Who was refused since it last bought.
    """

    conn_id: str | None
    vendor: str
    since: datetime
    dag_id: str
    refused: tuple[Identity, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """What lets those buy who have failed."""
        return tuple(clear_each(self.refused))


@dataclass
class Spend:
    """What vendors say that purchases cost, and else their estimates; not a bill.

    :param unpriced: Purchases without a known price, which the sum does not hold.
    :param real: Purchases that are in it with what the vendor says.
    """

    name: str
    usd: Decimal = Decimal(0)
    count: int = 0
    unpriced: int = 0
    real: int = 0

    def add(self, micros: int | None, count: int, unpriced: int, real: int) -> None:
        """Count more."""
        self.usd += Decimal(micros or 0).scaleb(-6)
        self.count += count
        self.unpriced += unpriced
        self.real += real


@dataclass(frozen=True)
class Spending:
    """What was spent, by day, model and connection."""

    days: list[Spend] = field(default_factory=list)
    models: list[Spend] = field(default_factory=list)
    connections: list[Spend] = field(default_factory=list)

    @property
    def total(self) -> Spend:
        """All of it."""
        total = Spend("total")
        for day in self.days:
            total.usd += day.usd
            total.count += day.count
            total.unpriced += day.unpriced
            total.real += day.real
        return total
