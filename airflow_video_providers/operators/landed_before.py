"""Is a video about to be bought that is there already, or the same one several times?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.landing.reused import find_reused
from airflow_video_providers.core.purchase.keeping import job_of
from airflow_video_providers.core.purchase.order import NoOrder, Order
from airflow_video_providers.core.purchase.reuse import same_request

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.operators.base import BuysVideo


def landed_before(task: BuysVideo, order: Order | NoOrder, ledger: Ledger | None, this: Try) -> VideoJob | None:
    """The job of an equal request whose video has landed and is still there; None without ``reuse``, or to buy.

    What this task itself has bought, or may have bought, and has not landed comes first: it is paid for.

    :raises InvalidRequestError: tasks do not share the ledger, so that nobody can know.
    """
    if task.reuse is None or isinstance(order, NoOrder):
        return None
    if ledger is None or not ledger.store.shared:
        raise InvalidRequestError(
            "reuse='same_request' needs a ledger that all tasks share.",
            remedy="Set [video_providers] ledger_path, or leave reuse out.",
            field="reuse",
            value=task.reuse,
        )
    attempts = ledger.attempts(this.identity)
    own = attempts[-1] if attempts else None
    if own is None or own.costless or own.of_earlier_run(this.run, this.try_number):
        pass
    elif own.open or not ledger.settled(job_of(own)):
        return None
    job = same_request(ledger, order.request.id, order.intent.request_sha256)
    if job is None or job.reused_from is None or find_reused(job) is None:
        return None
    task.log.info("Nothing is bought: the same request has landed before, at %s.", job.reused_from["manifest_uri"])
    return job


def warn_of_equal_takes(order: Order | NoOrder, this: Try, log: Any) -> None:
    """Several takes of one prompt differ by their seeds: a vendor whose default seed is fixed makes equal ones of it."""
    if isinstance(order, NoOrder) or this.identity.map_index < 0:
        return
    if "seed" in (order.kept.get("vendor_defaults") or ()):
        log.warning(
            "This mapped request leaves the seed to the vendor, whose documents say that it is always %s: equal requests "
            "give equal videos, and each is paid for. Give each take a seed of its own.", order.kept["parameters"]["seed"],
        )  # fmt: skip
