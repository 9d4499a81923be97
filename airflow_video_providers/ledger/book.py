"""The ledger as the purchase sees it: attempts of one buyer, in order, over any store."""

from __future__ import annotations

from airflow_video_providers.exceptions import LedgerError
from airflow_video_providers.ledger.records import Attempt, AttemptState, Identity
from airflow_video_providers.ledger.settlements import KIND, Ending, Settlement, Settlements, by_job, ending_of
from airflow_video_providers.ledger.storing import readable

#: More attempts than this by one task instance mean that something else is wrong.
MAX_ATTEMPTS = 1000


class Ledger(Settlements):
    """Typed records over a :class:`Store`.

    Every method raises :class:`~airflow_video_providers.exceptions.LedgerError` where the store fails or
    holds something that is not a record.
    """

    def attempts(self, identity: Identity) -> list[Attempt]:
        """Every attempt of one buyer, oldest first."""
        found: list[Attempt] = []
        with readable("read"):
            while len(found) < MAX_ATTEMPTS:
                value = self.store.read(identity.key(len(found) + 1))
                if value is None:
                    return found
                attempt = Attempt.model_validate(value)
                if attempt.identity != identity:
                    raise LedgerError(f"The ledger's record of {identity} belongs to {attempt.identity}.")
                found.append(attempt)
        raise LedgerError(
            f"{identity} has {MAX_ATTEMPTS} attempts in the ledger: it buys no more.",
            remedy="Find out why it was refused so often, then run it in a new DAG run.",
        )

    def create(self, attempt: Attempt) -> bool:
        """Write an attempt before its paid call; False where another process was faster."""
        with readable("written"):
            return self.store.create(attempt.key, attempt.to_dict())

    def holds(self, attempt: Attempt) -> bool:
        """Is it this very attempt that is stored, and not another process's under the same number?"""
        with readable("read"):
            return self.store.holds(attempt.key, attempt.claim)

    def replace(self, attempt: Attempt) -> None:
        """Write how far an attempt came."""
        with readable("written"):
            self.store.replace(attempt.key, attempt.to_dict())

    def unfinished(self) -> list[Attempt]:
        """Open attempts, and jobs that were bought and never landed, oldest first. Only on a shared store."""
        with readable("read"):
            settled = by_job(Settlement.read(value) for value in self.store.list((KIND,)))
            attempts = [Attempt.model_validate(value) for value in self.store.list(("submits",))]

        def unfinished(attempt: Attempt) -> bool:
            ended = ending_of(settled, attempt.model, attempt.request_id)
            bought = attempt.state is AttemptState.SUBMITTED
            return attempt.open or (bought and (ended is None or ended.ending is not Ending.LANDED))

        return sorted(filter(unfinished, attempts), key=lambda attempt: attempt.created_at)
