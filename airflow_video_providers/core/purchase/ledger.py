"""The ledger as the purchase sees it: attempts of one buyer, in order, over any store."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.named import take
from airflow_video_providers.core.purchase.records import SUBMITS, Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.settlements import KIND, Ending, Settlement, Settlements, by_job, ending_of
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, readable
from airflow_video_providers.core.purchase.wording import COMMAND

if TYPE_CHECKING:
    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.stores.base import Found

#: More attempts than this by one task instance mean that something else is wrong.
MAX_ATTEMPTS = 1000
#: How many missing attempts in a row are noticed where a store cannot be listed.
LONGEST_GAP = 2
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flaw:
    """A record that is missing or damaged.

    :param name: Its address in the store.
    :param why: What is wrong with it, to be read behind the name.
    :param key: Its key, where the address says.
    """

    name: str
    why: str
    key: Key | None = None


@dataclass(frozen=True)
class Overview:
    """What a ledger holds: attempts, oldest first, how jobs ended, and what cannot be read."""

    attempts: list[Attempt] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)


class Ledger(Settlements):
    """Typed records over a :class:`Store`.

    Every method raises :class:`~airflow_video_providers.core.errors.LedgerError` where the store fails or
    holds something that is not a record.
    """

    def attempts(self, identity: Identity) -> list[Attempt]:
        """Every attempt of one buyer, oldest first.

        :raises LedgerError: one of them is missing or damaged, too: it may have bought.
        """
        attempts, flaws = self.survey(identity)
        if flaws:
            raise self._flawed(identity, flaws[0])
        return attempts

    def survey(self, identity: Identity) -> tuple[list[Attempt], list[Flaw]]:
        """What there is of one buyer's attempts, and which of their numbers are missing or damaged."""
        attempts: list[Attempt] = []
        flaws: list[Flaw] = []
        with readable("read"):
            known = self._highest(identity) if self.store.shared else 0
            for number in range(1, MAX_ATTEMPTS + 1):
                try:
                    value = self.store.read(identity.key(number))
                    if value is not None:
                        attempts.append(_attempt(value, identity))
                        continue
                    why = "is missing"
                    if number > known and self.store.shared:
                        return attempts, flaws
                    if not self.store.shared and not self._beyond(identity, number):
                        return attempts, flaws
                except DamagedRecordError as damage:
                    why = str(damage)
                except ValueError as wrong:
                    why = f"is no record of an attempt ({_short(wrong)})"
                flaws.append(Flaw("/".join(identity.key(number)), why, identity.key(number)))
        raise LedgerError(
            f"{identity} has {MAX_ATTEMPTS} attempts in the ledger: it buys no more.",
            remedy="Find out why it was refused so often, then run it in a new DAG run.",
        )

    def _highest(self, identity: Identity) -> int:
        """The highest number that stands there, whatever is missing below it."""
        numbers = [int(name) for name in self.store.names(identity.key(1)[:-1]) if _NUMBER.fullmatch(name)]
        return max(numbers, default=0)

    def _beyond(self, identity: Identity, number: int) -> bool:
        """Is there an attempt behind a gap? Asked by name, where a store cannot be listed."""
        return any(self.store.read(identity.key(number + step)) is not None for step in range(1, LONGEST_GAP + 1))

    def _flawed(self, identity: Identity, flaw: Flaw) -> LedgerError:
        number, who = (flaw.key or ("?",))[-1], identity.as_arguments()
        return LedgerError(
            f"Attempt {number} of {identity} in the ledger: {flaw.name} {flaw.why}. It may have bought.",
            money="Nothing was sent.",
            remedy=(
                f"Restore it from a backup or an older version, or say what came of it: `{COMMAND} attach {who} <its id> "
                f"--model <its model>`, "
                f"or, if the vendor shows no job of it, `{COMMAND} forget {who}`. Then run the task again."
            ),
        )

    def create(self, attempt: Attempt) -> bool:
        """Write an attempt before its paid call; False where another process was faster."""
        with readable("written"):
            self._name(attempt)
            return self.store.create(attempt.key, attempt.to_dict())

    def holds(self, attempt: Attempt) -> bool:
        """Is it this very attempt that is stored, and not another process's under the same number?"""
        with readable("read"):
            return self.store.holds(attempt.key, attempt.claim)

    def replace(self, attempt: Attempt) -> None:
        """Write how far an attempt came. That it has an id is written under vendor and id first."""
        with readable("written"):
            try:
                self._name(attempt)
            finally:  # a receipt is written whatever is in its way
                self.store.replace(attempt.key, attempt.to_dict())

    def take(self, attempt: Attempt, request_id: str) -> bool:
        """Write that this attempt has the id; False where another attempt has it. Only on a shared store."""
        with readable("written"):
            return take(attempt, self.store, request_id)

    def _name(self, attempt: Attempt) -> None:
        if attempt.state is not AttemptState.SUBMITTED or attempt.request_id is None or not self.store.shared:
            return
        try:
            known = take(attempt, self.store, attempt.request_id)
        except DamagedRecordError as damage:
            log.warning("Which attempt has job %s cannot be read: %s", attempt.request_id, damage)
            return
        if not known:
            log.error(
                "Job %s is written to attempt %d of %s, and another attempt has it already. Compare both with the vendor's "
                "console: one of them has another job.",
                attempt.request_id, attempt.number, attempt.identity,
            )  # fmt: skip

    def overview(self, *below: str) -> Overview:
        """Everything that the ledger holds. Only on a shared store.

        :param below: A DAG, or a DAG and a run: attempts of these alone.
        """
        found, flaws = Overview(), []
        with readable("read"):
            for record in self.store.list((SUBMITS, *below)):
                try:
                    found.attempts.append(Attempt.model_validate(_value(record)))
                except ValueError as wrong:
                    flaws.append(_flaw(record, wrong))
            for record in self.store.list((KIND,)):
                try:
                    found.settled.append(Settlement.read(_value(record)))
                except ValueError as wrong:
                    flaws.append(_flaw(record, wrong))
        found.attempts.sort(key=lambda attempt: attempt.created_at)
        return replace(found, flaws=flaws)

    def unfinished(self) -> list[Attempt]:
        """Open attempts, and jobs that were bought and never landed, oldest first. Only on a shared store."""
        found = self.overview()
        settled = by_job(found.settled)

        def unfinished(attempt: Attempt) -> bool:
            ended = ending_of(settled, attempt.model, attempt.request_id)
            bought = attempt.state is AttemptState.SUBMITTED
            return attempt.open or (bought and (ended is None or ended.ending is not Ending.LANDED))

        return list(filter(unfinished, found.attempts))


def _attempt(value: dict[str, Any], identity: Identity) -> Attempt:
    attempt = Attempt.model_validate(value)
    if attempt.identity != identity:
        raise ValueError(f"it belongs to {attempt.identity}")
    return attempt


def _value(record: Found) -> dict[str, Any]:
    if record.value is None:
        raise ValueError(record.why)
    return record.value


def _flaw(record: Found, wrong: ValueError) -> Flaw:
    return Flaw(record.name, record.why or f"is no record of this package ({_short(wrong)})", record.key)


def _short(wrong: ValueError) -> str:
    """What is wrong, in one line without pydantic's addresses and values."""
    if isinstance(wrong, ValidationError):
        first = wrong.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(wrong)
