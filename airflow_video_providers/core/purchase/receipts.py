"""The receipt of a job whose ledger refused it when it was bought, written by whoever knows the job later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.purchase.records import Identity

if TYPE_CHECKING:
    from logging import Logger

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.ledger import Ledger


def repair(ledger: Ledger, job: VideoJob, *, own: Identity, log: Logger) -> None:
    """Write what the try that bought ``job`` could not: that its attempt has this request_id. Nothing here buys.

    A person may have answered the attempt meanwhile: then it stays as it is, and the log says so.

    :param own: The task instance that calls, which on a store that is not shared repairs its own receipts only.
    :raises LedgerError: the ledger could not be read or written.
    """
    identity = Identity.of_key(job.receipt_due or ())
    if identity is None or not (ledger.store.shared or identity == own):
        return
    attempt = next((found for found in ledger.attempts(identity) if found.key == job.receipt_due), None)
    if attempt is not None and attempt.open and attempt.model == job.model:
        ledger.replace(attempt.bought(job.replace(receipt_due=None)))
        log.info("The receipt request_id=%s of %s is stored now.", job.request_id, identity)
    elif attempt is None or attempt.request_id != job.request_id:
        log.warning(
            "The receipt request_id=%s of %s cannot be stored: its attempt is %s.",
            job.request_id, identity, "missing" if attempt is None else attempt.state.value,
        )  # fmt: skip
