"""An id that a callback named: what of it is believed, and how an attempt takes it.

Nothing that a call says is believed but that somebody should ask the vendor. An id answers an attempt where the vendor,
asked with the key, has that job, of the same model, made after the attempt's intent, and no other attempt holds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError, VendorUnavailableError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.named import ALL_ARE_NAMED
from airflow_video_providers.core.purchase.patience import persist
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.wording import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from logging import Logger

    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt, Run
    from airflow_video_providers.core.vendors.base import Identified

#: How far the vendor's clock may be behind ours when it says that a job was made before the attempt.
ALLOWANCE = timedelta(minutes=2)
#: Pauses before the vendor is asked again where it does not answer, or does not know the job yet, in seconds.
PAUSES = (2.0, 5.0, 10.0, 15.0)


class Identification:
    """Answers attempts by what callbacks have named.

    :param ledger: The ledger, on a store that can be listed.
    :param ask: Asks the vendor which job an id belongs to, with the attempt's own connection.
    :param max_tries: ``ti.max_tries`` of the task that runs, with its ``run``: what is found here is no Clear's. None, from
        outside of a task: the next try takes the job as it is.
    :param patient: Ask a vendor again that does not answer, or does not know the job yet.
    """

    def __init__(
        self,
        ledger: Ledger,
        ask: Callable[[VideoJob], Identified],
        *,
        log: Logger,
        sleep: Callable[[float], None],
        max_tries: int | None = None,
        run: Run | None = None,
        patient: bool = True,
    ) -> None:
        self._ledger = ledger
        self._ask = ask
        self._pauses = PAUSES if patient else ()
        self._log = log
        self._sleep = sleep
        self._max_tries = max_tries
        self._run = run

    def answer(self, attempt: Attempt, ids: Sequence[str]) -> Attempt | None:
        """The attempt with its job, written into the ledger; None where nothing of what was named is believed.

        :raises SubmissionOutcomeUnknownError: two ids were named.
        :raises VendorUnavailableError: the vendor could not be asked; a retry asks again and buys nothing.
        :raises LedgerError: the ledger could not be read or written.
        """
        if len(named := sorted(set(ids))) > 1:
            raise _two(attempt, named)
        if not named or (job := self._believed(attempt, named[0])) is None:
            return None
        known = next(one for one in self._ledger.attempts(attempt.identity) if one.number == attempt.number)
        if not (known.open or known.state is AttemptState.FORGOTTEN):
            return known  # a person was faster, perhaps with another job: this one stays free
        if not self._ledger.take(attempt, job.request_id):
            self._log.warning("Job %s is another attempt's already: it does not answer this one.", job.request_id)
            return None
        answered = known.bought(job).replace(max_tries=self._max_tries).within(self._run)
        persist(
            lambda: self._ledger.replace(answered),
            f"The job request_id={job.request_id}, which a callback named,",
            sleep=self._sleep,
            log=self._log,
        )
        self._log.info(
            "The submit of %s UTC, whose answer was lost, has bought job %s: a callback named it, and the vendor has it. "
            "Nothing is bought again.",
            f"{attempt.created_at:%Y-%m-%d %H:%M:%S}", job.request_id,
        )  # fmt: skip
        return answered

    def _believed(self, attempt: Attempt, request_id: str) -> VideoJob | None:
        asked = VideoJob(model=attempt.model, request_id=request_id, conn_id=attempt.conn_id)
        found = self._identified(asked)
        why = None
        if found.job.status is JobStatus.EXPIRED:
            why = "the vendor does not know it"
        elif not found.same_model:
            why = "the vendor does not say that it is of the same model"
        elif found.created_at is None or found.created_at < attempt.created_at - ALLOWANCE:
            why = "the vendor does not say that it was made after this submit"
        elif (holder := self._holder(attempt, request_id)) is not None:
            why = f"{holder.identity} holds it (attempt {holder.number})"
        if why is not None:
            self._log.warning("A callback named job %s for this submit, and that is not believed: %s.", request_id, why)
            return None
        return found.job.replace(
            outputs=(),
            submitted_at=found.created_at,
            request_sha256=attempt.request_sha256,
            estimated_cost_usd=attempt.estimated_cost_usd,
            cost_basis=attempt.cost_basis,
            callback_until=attempt.callback_until,
        )

    def _identified(self, asked: VideoJob) -> Identified:
        pauses = iter(self._pauses)
        while True:
            pause = next(pauses, None)
            try:
                found = self._ask(asked)
            except VendorUnavailableError:
                if pause is None:
                    raise
            else:
                if found.job.status is not JobStatus.EXPIRED or pause is None:
                    return found
            self._sleep(pause)

    def _holder(self, attempt: Attempt, request_id: str) -> Attempt | None:
        """Who holds the job, of all that is written; an attempt that is not old leaves that to one look-up."""
        if attempt.v >= ALL_ARE_NAMED:
            return None
        vendor = attempt.model.partition(":")[0]
        for other in self._ledger.overview().attempts:
            same = other.request_id == request_id and other.model.partition(":")[0] == vendor
            if same and other.key != attempt.key:
                return other
        return None


def _two(attempt: Attempt, named: Sequence[str]) -> SubmissionOutcomeUnknownError:
    who = attempt.identity.as_arguments()
    return SubmissionOutcomeUnknownError(
        f"Callbacks have named {len(named)} jobs for one submit, of {attempt.created_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{' and '.join(named)}.",
        money="It may have been charged, perhaps for each of them, and nothing is sent.",
        remedy=(
            "Look for both in the vendor's console: a gateway may have sent the submit twice, or somebody has read the "
            f"callback's address in a log. Then attach the one that is this submit's: `{COMMAND} attach {who} <its id>`, and "
            "clear the task."
        ),
        model=attempt.model,
    )
