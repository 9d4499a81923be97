"""Which job answers a submit whose answer was lost, by what the vendor's own history shows.

The vendor shows what it was sent. That is compared with the digest of the body that the attempt recorded before it sent,
never with a request rendered anew. Exactly one match over all pages of a window around the attempt, known to no other record, with no
other open attempt of the same digest in that window, and no job in it whose body cannot be compared: anything else leaves the
outcome unknown. No match never means that nothing was bought: histories lag.

The vendor is asked first and the ledger is read after it: whoever made a job that the vendor shows had written its intent
before, so that no job of a task that buys at the same moment passes for nobody's.

Where a task cannot see the others, on Airflow's state store, that is done only for a body that no other submit can have sent:
one that holds a seed of ours.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.ledger import Overview
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Run, digest
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.wire import sent_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from datetime import datetime

    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.vendors.history import Shown

#: How far the vendor's clock may be from ours.
CLOCKS = timedelta(minutes=2)
#: From the intent to the last moment at which its paid call may arrive: pauses between tries, and the tries themselves.
SENDING = timedelta(minutes=10)


def window_of(attempt: Attempt) -> tuple[datetime, datetime]:
    """When the vendor may say that the attempt's job was made."""
    return attempt.created_at - CLOCKS, attempt.created_at + SENDING + CLOCKS


def find_job(
    attempt: Attempt,
    ledger: Ledger,
    history: Callable[[str, datetime, datetime], Sequence[Shown]],
    *,
    max_tries: int | None = None,
    run: Run | None = None,
    known: Callable[[], Overview] | None = None,
) -> Attempt | None:
    """The attempt with the job that it bought, written into the ledger; None where it is not certain.

    :param attempt: An open attempt, which :func:`may_be_found`.
    :param history: What the vendor shows of a model in a window, all pages of it. Asks the vendor.
    :param max_tries: ``ti.max_tries`` of the task that asks, with its ``run``: what is found is no Clear's, which would buy
        again. None, from outside of a task: the next try takes the job as it is, whoever cleared the task to get there.
    :param known: Gives all that the ledger holds, read after ``history`` has answered. None: it is read here.
    :raises VendorError: the vendor could not be asked; the outcome is as unknown as before.
    :raises LedgerError: the ledger could not be read or written.
    """
    if not may_be_found(attempt, ledger) or not (attempt.sent_sha256 or attempt.request_sha256):
        return None
    since, until = window_of(attempt)
    shown = [one for one in history(attempt.model, since, until) if since <= one.created_at <= until]
    if (match := _only_match(attempt, shown)) is None:
        return None
    everybody = known() if known is not None else _overview(attempt, ledger)
    if everybody.flaws or _rivals(attempt, everybody.attempts):
        return None
    theirs = {one.request_id for one in everybody.attempts if one.key != attempt.key and _same_vendor(one, attempt)}
    if match.request_id in theirs or _doubtful(attempt, match, shown, theirs):
        return None
    return _answered(attempt, ledger, match, max_tries, run) if _take(attempt, ledger, match.request_id) else None


def _answered(attempt: Attempt, ledger: Ledger, match: Shown, max_tries: int | None, run: Run | None) -> Attempt | None:
    current = next((one for one in ledger.attempts(attempt.identity) if one.number == attempt.number), attempt)
    if not current.open:  # a person, or a callback, was faster
        return current if current.state is AttemptState.SUBMITTED else None
    job = VideoJob(
        model=attempt.model,
        request_id=match.request_id,
        conn_id=attempt.conn_id,
        submitted_at=match.created_at,
        request_sha256=attempt.request_sha256,
        estimated_cost_usd=attempt.estimated_cost_usd,
        cost_basis=attempt.cost_basis,
    )
    answered = current.bought(job).replace(max_tries=max_tries).within(run)
    ledger.replace(answered)
    return answered


def may_be_found(attempt: Attempt, ledger: Ledger) -> bool:
    """Can its job be distinguished from the jobs of others in what the vendor shows?"""
    return attempt.open and (ledger.store.shared or attempt.own_seed is not None)


def _overview(attempt: Attempt, ledger: Ledger) -> Overview:
    return ledger.overview() if ledger.store.shared else Overview(attempts=ledger.attempts(attempt.identity))


def _only_match(attempt: Attempt, shown: Sequence[Shown]) -> Shown | None:
    matching = {one.request_id: one for one in shown if _is_body_of(attempt, one.body)}
    return next(iter(matching.values())) if len(matching) == 1 else None


def _doubtful(attempt: Attempt, match: Shown, shown: Sequence[Shown], theirs: Container[str | None]) -> bool:
    """May another job be this attempt's, or this one another model's?

    One whose body is not shown may be, unless it is known to be somebody else's. Not where the body holds a seed of ours: then what matches is this attempt's, whatever the others are.
    """
    others = [one for one in shown if one.request_id != match.request_id and one.request_id not in theirs]
    return attempt.own_seed is None and (not match.certain or any(one.body is None for one in others))


def _take(attempt: Attempt, ledger: Ledger, request_id: str) -> bool:
    return not ledger.store.shared or ledger.take(attempt, request_id)  # nobody else sent a body with our seed


def _is_body_of(attempt: Attempt, body: object) -> bool:
    if attempt.sent_sha256 is not None:
        return sent_digest(body) == attempt.sent_sha256
    return digest(body) == attempt.request_sha256  # an older version recorded one digest, of what it sent


def _sent_the_same(attempt: Attempt, other: Attempt) -> bool:
    if attempt.model != other.model:
        return _may_be_shown_for_both(attempt, other)
    if None not in (attempt.sent_sha256, other.sent_sha256):
        return attempt.sent_sha256 == other.sent_sha256
    return attempt.request_sha256 == other.request_sha256


def _may_be_shown_for_both(attempt: Attempt, other: Attempt) -> bool:
    """May one job be shown as either's? Each model has a body of its own, so that the requests' fields are compared.

    Those that both set: what only one sets may be what the other's model fills in. Where one has recorded none, nothing says
    that they differ.
    """
    if not _same_vendor(attempt, other) or _history_by_model(attempt.model) or attempt.own_seed != other.own_seed:
        return False
    mine, theirs = attempt.field_digests, other.field_digests
    shared = mine.keys() & theirs.keys()
    if not shared:
        return not mine or not theirs
    return all(mine[name] == theirs[name] for name in shared)


def _history_by_model(model: str) -> bool:
    vendor = catalogue.vendors().get(model.partition(":")[0])
    return vendor is not None and vendor.history_by_model


def _rivals(attempt: Attempt, others: Sequence[Attempt]) -> bool:
    """Is another submit open that sent the same at about the same time? Then a match may be its job."""
    since, until = window_of(attempt)

    def rival(other: Attempt) -> bool:
        begun, ended = window_of(other)
        return (
            other.open
            and other.key != attempt.key
            and _sent_the_same(attempt, other)
            and begun <= until
            and since <= ended
        )

    return any(map(rival, others))


def _same_vendor(one: Attempt, other: Attempt) -> bool:
    return one.model.partition(":")[0] == other.model.partition(":")[0]
