"""Counters and timers, through Airflow's own stats: every name, its tags and its meaning stand here.

Cheap where no metrics are configured, and never the reason why a task fails: a job may just have been bought.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.credits import credits_of
from airflow_video_providers.core.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.jobs import VideoJob

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """One metric.

    :param name: Its full name; Airflow puts its own prefix before it.
    :param kind: A counter, a timer in the unit of the backend (milliseconds in StatsD), or a gauge.
    :param meaning: What is counted.
    :param tags: Its tags.
    """

    name: str
    kind: Literal["counter", "timer", "gauge"]
    meaning: str
    tags: tuple[str, ...] = ("vendor", "model")


SUBMITTED = Metric("video_provider.submitted", "counter", "jobs bought; a retry that finds its job is not counted")
ESTIMATED_COST = Metric(
    "video_provider.estimated_cost_microusd",
    "counter",
    "their estimated price in millionths of a US dollar; a job whose price is not known adds nothing",
)
COST = Metric(
    "video_provider.cost_microusd",
    "counter",
    "what jobs really cost in millionths of a US dollar, where a vendor's answer says so: counted where a wait for a job ends; "
    "other jobs add nothing",
)
SUCCEEDED = Metric("video_provider.succeeded", "counter", "waits that ended with a finished job")
WAITED = Metric(
    "video_provider.wait_duration", "timer", "from the submit to the job's end, or to when its end was seen"
)
FAILED = Metric(
    "video_provider.failed",
    "counter",
    "tries of a task that ended with an error of this package, by its class; a skipped one counts too",
    ("vendor", "model", "error"),
)
POLLS = Metric("video_provider.polls", "counter", "polls of a job")
THROTTLED = Metric("video_provider.throttled", "counter", "polls that the vendor answered with 429")
BYTES_LANDED = Metric("video_provider.bytes_landed", "counter", "bytes stored; what was landed before adds nothing")

BALANCE = Metric(
    "video_provider.remaining_credits",
    "gauge",
    "what the account has left, in the vendor's unit, where the vendor says so: by the answers to submits and about finished "
    "jobs, and before each submit where `min_remaining_credits` is set",
    ("vendor", "connection"),
)
_VENDOR = ("vendor",)
RECEIVED = Metric(
    "video_provider.callbacks.received", "counter", "calls of vendors that the receiver has kept", _VENDOR
)
DUPLICATES = Metric("video_provider.callbacks.duplicates", "counter", "calls that said what was known already", _VENDOR)
REFUSED = Metric("video_provider.callbacks.refused", "counter", "calls that the receiver has refused", ())
WOKEN = Metric("video_provider.callbacks.woken", "counter", "jobs that were polled because the vendor has called")
RESOLVED = Metric(
    "video_provider.callbacks.resolved", "counter", "submits without an answer whose job a call has named"
)
TRUST_LOST = Metric(
    "video_provider.callbacks.trust_lost", "counter", "jobs that had ended without a call, while calls were relied on"
)

METRICS = (
    SUBMITTED, ESTIMATED_COST, COST, SUCCEEDED, WAITED, FAILED, POLLS, THROTTLED, BYTES_LANDED,
    RECEIVED, DUPLICATES, REFUSED, WOKEN, RESOLVED, TRUST_LOST, BALANCE,
)  # fmt: skip


def prepare() -> None:
    """Load what a first metric needs, from a thread: Airflow then reads its list of metrics, a tenth of a second of CPU."""
    _count(POLLS, 0, {})


def submitted(job: VideoJob) -> None:
    """A job was bought."""
    tags = _tags(job.model)
    _count(SUBMITTED, 1, tags)
    if job.estimated_cost_usd is not None:
        _count(ESTIMATED_COST, round(job.estimated_cost_usd * 1_000_000), tags)
    _balance_in(job)


def cost(job: VideoJob) -> None:
    """A job has ended, and cost so much where its vendor says it."""
    if job.cost_usd is not None:
        _count(COST, round(job.cost_usd * 1_000_000), _tags(job.model))


def cost_of_failed(error: VideoProviderError) -> None:
    """A wait ended with this error: where it is the job's own end, that may have cost something, too."""
    if isinstance(error, JobError) and error.job is not None and error.job.status.terminal:
        cost(error.job)


def succeeded(job: VideoJob) -> None:
    """A wait ended with a finished job."""
    tags = _tags(job.model)
    _count(SUCCEEDED, 1, tags)
    cost(job)
    _balance_in(job)
    if job.submitted_at is not None:
        waited = (job.completed_at or datetime.now(UTC)) - job.submitted_at
        _send(WAITED, lambda stats: stats.timing(WAITED.name, max(waited, timedelta(0)), tags=tags))


def balance(vendor: str, conn_id: str, left: Decimal) -> None:
    """An account has so much left."""
    _send(BALANCE, lambda stats: stats.gauge(BALANCE.name, float(left), tags={"vendor": vendor, "connection": conn_id}))


def _balance_in(job: VideoJob) -> None:
    left = credits_of(job.remaining_credits)
    if left is not None and job.conn_id is not None:
        balance(job.vendor, job.conn_id, left)


def failed(error: VideoProviderError) -> None:
    """A try ended with this error."""
    model = error.model or f"{error.vendor or 'none'}:none"
    _count(FAILED, 1, {**_tags(model), "error": type(error).__name__})
    cost_of_failed(error)


def polled(model: str) -> None:
    """A job of this model was polled."""
    _count(POLLS, 1, _tags(model))


def throttled(model: str) -> None:
    """A poll of a job of this model was answered with 429."""
    _count(THROTTLED, 1, _tags(model))


def received(vendor: str, *, again: bool) -> None:
    """The receiver has taken a call."""
    _count(DUPLICATES if again else RECEIVED, 1, {"vendor": vendor})


def refused() -> None:
    """The receiver has refused a call."""
    _count(REFUSED, 1, {})


def woken(model: str) -> None:
    """A job of this model is polled because the vendor has called."""
    _count(WOKEN, 1, _tags(model))


def resolved(model: str) -> None:
    """A call has named the job of a submit without an answer."""
    _count(RESOLVED, 1, _tags(model))


def trust_lost(model: str) -> None:
    """A job of this model had ended without a call."""
    _count(TRUST_LOST, 1, _tags(model))


def landed(manifest: Mapping[str, Any]) -> None:
    """A job was landed, as its manifest says."""
    if not manifest["skipped"]:
        _count(BYTES_LANDED, sum(output["bytes"] for output in manifest["outputs"]), _tags(manifest["model"]))


def _tags(model: str) -> dict[str, str]:
    vendor, _, name = model.partition(":")
    return {"vendor": vendor, "model": name}


def _count(metric: Metric, count: int, tags: dict[str, str]) -> None:
    _send(metric, lambda stats: stats.incr(metric.name, count, tags=tags))


def _send(metric: Metric, send: Callable[[Any], object]) -> None:
    try:
        send(_stats())
    except Exception:  # whatever is wrong with the backend, the task is worth more
        log.debug("The metric %s could not be sent.", metric.name, exc_info=True)


@cache  # the import alone takes longer than a count
def _stats() -> Any:
    from airflow.providers.common.compat.sdk import Stats

    return Stats
