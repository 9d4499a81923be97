"""How bought jobs ended, in the eyes of the ledger: landed, lost, kept for a second opinion, or failed; and what they cost.

One record per job, under its model and its id: two vendors may issue the same id. Records of an older version
have a name made of the id alone and no model; they are read for any job with that id.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.records import MOST_USD, Key, digest
from airflow_video_providers.core.purchase.stores.base import readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.purchase.stores.base import Store

#: Under which all of these records are kept.
KIND = "landed"


class Ending(StrEnum):
    """What became of a bought job."""

    #: Its output is in storage.
    LANDED = "landed"
    #: Its output is gone for good: a Clear may buy again.
    LOST = "lost"
    #: Its file came whole, was refused by our reading, and is kept: neither landed nor lost.
    REJECTED = "rejected"
    #: The vendor ended it without an output.
    FAILED = "failed"
    #: The vendor has finished it and said what it cost. What becomes of its output is not known yet: no end for a Clear.
    FINISHED = "finished"


@dataclass(frozen=True)
class Settlement:
    """How one job ended.

    :param model: None in a record of an old version.
    :param kept_at: Where a refused file is kept.
    :param reason: Why it was refused: a short word of ours.
    :param charged: Whether the job was charged, as far as the vendor said: ``"yes"``, ``"no"`` or ``"unknown"``.
    :param cost_usd: What the job really cost in US dollars, as a decimal number, where the vendor has said so.
    :param manifest_sha256: Digest of the manifest as it was stored when the job landed, by which a forged one is known.
    """

    request_id: str
    ending: Ending
    model: str | None = None
    manifest_uri: str | None = None
    kept_at: str | None = None
    reason: str | None = None
    charged: str | None = None
    manifest_sha256: str | None = None
    cost_usd: str | None = None

    @property
    def cost(self) -> Decimal | None:
        """What the job really cost in US dollars; None where nobody has said."""
        return usd_in(self.cost_usd)

    @classmethod
    def read(cls, value: dict[str, Any]) -> Self:
        """The record as any version wrote it.

        :raises ValueError: it is no such record.
        """
        texts = {name: value.get(name) for name in cls.__dataclass_fields__ if name not in ("request_id", "ending")}
        request_id, ending = value.get("request_id"), value.get("ending") or ("lost" if value.get("lost") else "landed")
        if not isinstance(request_id, str) or not all(text is None or isinstance(text, str) for text in texts.values()):
            raise ValueError("it is not a record of how a job ended")
        return cls(request_id=request_id, ending=Ending(ending), **texts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, without what holds nothing."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        return fields | {"ending": self.ending.value} | ({"lost": True} if self.ending is Ending.LOST else {})


class Settlements:
    """What the ledger knows of how jobs ended, over any store.

    Every method raises :class:`~airflow_video_providers.core.errors.LedgerError` where the store fails.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def mark_finished(self, job: VideoJob) -> None:
        """Write what the finished job has cost, where its vendor has said so; how it ends is written over it."""
        if job.cost_usd is None:
            return
        known = self.settlement(job)
        if known is None or (known.ending is Ending.FINISHED and known.cost != job.cost_usd):
            self._settle(job, Ending.FINISHED)

    def mark_landed(
        self,
        job: VideoJob,
        manifest_uri: str | None = None,
        *,
        manifest_sha256: str | None = None,
        before: bool = False,
    ) -> None:
        """Write that the job's output is in storage. A Clear may buy again.

        :param manifest_sha256: Digest of the manifest as it is stored.
        :param before: It had landed before, and nothing was written now: the digest and the cost that were noted then stand.
        """
        if before:
            with suppress(LedgerError):  # a damaged one is written over
                known = self.settlement(job)
                if known is not None and known.manifest_uri == manifest_uri:
                    manifest_sha256 = known.manifest_sha256 or manifest_sha256
                    job = _with_cost(job, known)
        self._settle(job, Ending.LANDED, manifest_uri=manifest_uri, manifest_sha256=manifest_sha256)

    def mark_lost(self, job: VideoJob) -> None:
        """Write that the job's output is gone for good: a Clear of the task that lands it may buy again.

        What has landed, or is kept as a refused file, is not lost: then nothing is written.
        """
        known = self.settlement(job)
        if known is None or known.ending not in (Ending.LANDED, Ending.REJECTED):
            self._settle(_with_cost(job, known), Ending.LOST)

    def mark_failed(self, job: VideoJob) -> None:
        """Write that the vendor ended the job without an output, and whether ``job.charged``."""
        known = self.settlement(job)
        if known is None or known.ending is Ending.FINISHED:
            self._settle(_with_cost(job, known), Ending.FAILED, charged=job.charged, reason=job.status.value)

    def mark_refused_file(self, job: VideoJob, address: str, reason: str) -> None:
        """Write that the job's file came whole, was refused by our reading, and is kept at ``address``.

        The job is then neither landed nor lost: while the mark stands a Clear keeps the job and buys nothing,
        also when the vendor no longer knows it. A landing writes over it; so does :meth:`drop_refused_file`.

        :param address: Where the file is kept, without a secret.
        :param reason: A short word of ours, never a vendor's text.
        """
        known = self.settlement(job)
        if known is None or known.ending is not Ending.LANDED:
            self._settle(_with_cost(job, known), Ending.REJECTED, kept_at=address, reason=reason)

    def refused_file(self, job: VideoJob) -> Settlement | None:
        """The mark of :meth:`mark_refused_file` while it stands: its ``kept_at`` and ``reason``; otherwise None."""
        known = self.settlement(job)
        return known if known is not None and known.ending is Ending.REJECTED else None

    def drop_refused_file(self, job: VideoJob) -> None:
        """Write that a person removed the kept file, which is the word that a Clear may buy again."""
        if (known := self.refused_file(job)) is not None:
            self._settle(_with_cost(job, known), Ending.LOST)

    def settled(self, job: VideoJob) -> bool:
        """Has the job landed, or was its output lost? A file that is kept is neither."""
        known = self.settlement(job)
        return known is not None and known.ending in (Ending.LANDED, Ending.LOST)

    def settlement(self, job: VideoJob) -> Settlement | None:
        """How the job ended, as far as the ledger knows."""
        with readable("read"):
            value = self.store.read(settled_key(job.model, job.request_id)) or self.store.read(
                settled_key(None, job.request_id)
            )
            return None if value is None else Settlement.read(value)

    def _settle(self, job: VideoJob, ending: Ending, **more: Any) -> None:
        charged = None if job.charged == "unknown" else job.charged
        cost = None if job.cost_usd is None else str(job.cost_usd)
        settlement = Settlement(
            job.request_id, ending, model=job.model, **{"charged": charged, "cost_usd": cost, **more}
        )
        with readable("written"):
            self.store.replace(settled_key(job.model, job.request_id), settlement.to_dict())


def settled_key(model: str | None, request_id: str) -> Key:
    """Where it is kept how a job ended. Request ids are opaque, so the name is a digest.

    :param model: None for the name that an old version gave.
    """
    return (KIND, digest(request_id if model is None else [model, request_id])[:32])


def by_job(found: Iterable[Settlement]) -> dict[tuple[str | None, str], Settlement]:
    """Settlements by model and id; those of old versions by id alone.

    On Airflow's state store each task has its own of one job: that it is finished says less than how it ended.
    """
    known: dict[tuple[str | None, str], Settlement] = {}
    for one in found:
        other = known.get((one.model, one.request_id))
        known[one.model, one.request_id] = one if other is None else _of_both(other, one)
    return known


def _of_both(first: Settlement, second: Settlement) -> Settlement:
    ended, other = (first, second) if second.ending is Ending.FINISHED else (second, first)
    return ended if ended.cost is not None else replace(ended, cost_usd=other.cost_usd)


def cost_of(attempt: Attempt, ending: Settlement | None) -> Decimal | None:
    """What an attempt's job really cost in US dollars: as it ended, else as it was attached; None where nobody has said."""
    known = None if ending is None else ending.cost
    return usd_in((attempt.job or {}).get("cost_usd")) if known is None else known


def _with_cost(job: VideoJob, known: Settlement | None) -> VideoJob:
    """The job, with the cost that was noted where it says none."""
    return job if known is None or job.cost_usd is not None else job.replace(cost_usd=known.cost)


def usd_in(text: object) -> Decimal | None:
    """An amount of US dollars as a record holds it; None where it is none."""
    try:
        cost = Decimal("" if text is None else str(text))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and 0 <= cost <= MOST_USD else None


def ending_of(
    settled: dict[tuple[str | None, str], Settlement], model: str, request_id: str | None
) -> Settlement | None:
    """How a job ended, of what :func:`by_job` has sorted."""
    if request_id is None:
        return None
    return settled.get((model, request_id)) or settled.get((None, request_id))
