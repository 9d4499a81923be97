"""Jobs, the wallet and the ledger. A job's state is a pure function of the simulated time."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import random
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .clock import iso_millis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .clip import ClipSpec
    from .faults import Fault
    from .options import Options, Range


def digest(body: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(key: str) -> str:
    """Tells keys apart without showing them."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def uuid7(moment: float) -> str:
    """A time-ordered UUID (RFC 9562), as Pixazo's ids hold one."""
    value = int(moment * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


@dataclass
class Job:
    """One accepted submit.

    :param submitted: Simulated time of the submit.
    :param outcome: ``COMPLETED``, ``FAILED`` or ``ERROR``, reached at :attr:`finished`.
    :param price: What it costs when it is charged, and ``price_basis`` where that number comes from.
    :param body: The request, as :func:`~airflow_video_providers.testing.simulator.bounded.shortened` leaves it.
    :param faults: What strikes this job's later calls.
    :param aborted: Its deadline was over before it had started.
    :param file_seconds: For how long its files can be fetched after its end; None: for ever.
    :param number: Its place among all jobs.
    """

    vendor: str
    model: str
    request_id: str
    key: str
    body: dict[str, Any]
    body_sha256: str
    submitted: float
    queue_seconds: float
    run_seconds: float
    price: Decimal
    price_basis: str
    clip: ClipSpec
    outputs: int = 1
    outcome: str = "COMPLETED"
    error: str | None = None
    charged_if: tuple[str, ...] = ("COMPLETED",)
    faults: list[Fault] = field(default_factory=list)
    polls: int = 0
    media_issued: list[float] = field(default_factory=list)
    media_revoked: dict[int, int] = field(default_factory=dict)
    media_changed: bool = False
    aborted: bool = False
    file_seconds: int | None = None
    number: int = -1

    @property
    def started(self) -> float:
        """When it leaves the queue."""
        return self.submitted + self.queue_seconds

    @property
    def finished(self) -> float:
        """When its outcome is reached."""
        return self.started + self.run_seconds

    @property
    def charged(self) -> bool:
        """Is it charged once it is finished?"""
        return self.outcome in self.charged_if

    def state(self, now: float) -> str:
        """``QUEUED``, ``PROCESSING`` or the outcome."""
        if now >= self.finished:
            return self.outcome
        return "PROCESSING" if now >= self.started else "QUEUED"


class Store:
    """All jobs, and what each vendor's wallet holds."""

    def __init__(self, options: Options, vendors: Sequence[str] = ()) -> None:
        self.vendors = vendors
        #: Paid calls that arrived, whatever came of them
        self.submits = 0
        self.jobs: dict[str, Job] = {}
        self.order: list[Job] = []
        self._changed: dict[int, Job] = {}
        self._running: list[tuple[float, int]] = []
        self.wallets: dict[str, Decimal] = {}
        self._reserved = dict.fromkeys(vendors, Decimal(0))
        self.options = options
        self.fill(options.credits)

    def fill(self, credits_each: float) -> None:
        """Put this much into each wallet, whatever was in it."""
        self.wallets = {vendor: Decimal(str(credits_each)) for vendor in self.vendors}

    def add(self, job: Job) -> None:
        """Accept a job."""
        self.jobs.setdefault(job.request_id, job)
        job.number = len(self.order)
        self.order.append(job)
        self.touch(job)
        heapq.heappush(self._running, (job.finished, len(self.order) - 1))
        if job.charged:
            self._reserved[job.vendor] += job.price

    def cancel(self, job: Job, now: float) -> None:
        """End a job that is not finished, now or later; it costs nothing."""
        if job.charged:
            self._reserved[job.vendor] -= job.price
        job.outcome, job.error = "CANCELLED", "The request was cancelled."
        job.queue_seconds = min(job.queue_seconds, now - job.submitted)
        job.run_seconds = max(0.0, now - job.started)
        self.touch(job)

    def touch(self, job: Job) -> None:
        """A call has changed something about a job."""
        self._changed[job.number] = job

    def take_changed(self) -> list[tuple[int, Job]]:
        """The jobs that were touched since the last time."""
        changed, self._changed = self._changed, {}
        return list(changed.items())

    def resume(self, now: float, wallets: dict[str, Decimal]) -> None:
        """Go on from a store that was stopped: what had finished by ``now`` was paid from these wallets."""
        self.settle(now)
        self.wallets |= wallets

    def latency(self, ranges: tuple[Range, Range]) -> tuple[float, float]:
        """Queue and run time of the next job, decided by the seed and the job's number alone."""
        dice = random.Random(self.options.seed * 1_000_003 + len(self.order))  # noqa: S311  repeatable on purpose
        queue, run = ranges
        return dice.uniform(*queue), dice.uniform(*run)

    def settle(self, now: float) -> None:
        """Charge what has finished."""
        while self._running and self._running[0][0] <= now:
            job = self.order[heapq.heappop(self._running)[1]]
            if job.charged:
                self.wallets[job.vendor] -= job.price
                self._reserved[job.vendor] -= job.price

    def credits(self, vendor: str, now: float) -> Decimal:
        """What a wallet holds now."""
        self.settle(now)
        return self.wallets[vendor]

    def can_pay(self, vendor: str, price: Decimal, now: float) -> bool:
        """Is there enough left when everything that runs has been paid?"""
        return self.credits(vendor, now) - self._reserved[vendor] >= price

    def last_of(self, vendor: str) -> Job | None:
        """The vendor's newest job."""
        return next((job for job in reversed(self.order) if job.vendor == vendor), None)

    def ledger(self, now: float) -> dict[str, Any]:
        """Paid calls that arrived, those that were accepted, charges, duplicates and wallets, as plain JSON."""
        self.settle(now)
        rows = [_row(job, now) for job in self.order]
        charges = [job for job in self.order if now >= job.finished and job.charged]
        return {
            "submits": self.submits,
            "accepted": len(rows),
            "charges": len(charges),
            "charged": {vendor: _total(job for job in charges if job.vendor == vendor) for vendor in self.vendors},
            "credits": {vendor: float(left) for vendor, left in self.wallets.items()},
            "duplicates": self._duplicates(),
            "jobs": rows,
        }

    def _duplicates(self) -> list[dict[str, Any]]:
        seen: dict[tuple[str, str, str, str], list[str]] = {}
        for job in self.order:
            seen.setdefault((job.vendor, job.model, job.key, job.body_sha256), []).append(job.request_id)
        return [
            {"vendor": vendor, "model": model, "key": key, "body_sha256": body, "request_ids": ids}
            for (vendor, model, key, body), ids in seen.items()
            if len(ids) > 1
        ]


def _total(jobs: Iterable[Job]) -> float:
    return float(sum((job.price for job in jobs), Decimal(0)))


def _row(job: Job, now: float) -> dict[str, Any]:
    done = now >= job.finished
    return {
        "vendor": job.vendor,
        "model": job.model,
        "request_id": job.request_id,
        "prompt": job.body.get("prompt"),
        "state": job.state(now),
        "submitted_at": iso_millis(job.submitted),
        "finished_at": iso_millis(job.finished) if done else None,
        "charged": float(job.price) if done and job.charged else 0.0,
        "price_basis": job.price_basis,
        "key": job.key,
        "body_sha256": job.body_sha256,
        "polls": job.polls,
    }
