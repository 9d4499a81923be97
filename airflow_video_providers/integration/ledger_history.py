"""Submits without an answer, answered by the vendor's own history when a person asks: for the command and for the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.find import find_job
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.ledger_bulk import refuse_in_flight
from airflow_video_providers.integration.ledger_mail import answered_by_mail
from airflow_video_providers.integration.state_store_admin import is_state_store

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.purchase.ledger import Ledger, Overview
    from airflow_video_providers.core.purchase.records import Attempt, Identity
    from airflow_video_providers.integration.airflow_view import AirflowView


@dataclass(frozen=True)
class Asked:
    """What the history said of one submit.

    :param found: The attempt with its job; None where the outcome stays unknown.
    """

    attempt: Attempt
    found: Attempt | None

    def __str__(self) -> str:
        when = f"The submit of {self.attempt.created_at:%Y-%m-%d %H:%M:%S} UTC"
        if self.found is None:
            return f"{when} stays unknown: not exactly one job fits it alone. It may have been bought all the same."
        return f"{when} has bought job {self.found.request_id}. Clear the task: it takes that job and buys nothing."


@dataclass
class Histories:
    """The histories of the vendors behind the connections that attempts name: one client each, for as long as this lasts.

    :param ledger: Read whole, once: what else is known of a job, and who else may have bought it.
    """

    ledger: Ledger
    _known: Overview | None = None
    _hooks: dict[tuple[str, str | None], VideoHook] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks.values():
            hook.close()

    def answer(self, identity: Identity, view: AirflowView, now: datetime) -> list[Asked]:
        """Ask for each open attempt of a task instance, and write down the one job that fits, or that a call has named.

        :raises InvalidRequestError: nothing is open, one is in flight, its vendor shows no history, or the ledger is
            Airflow's state store and the submit had no seed of ours. Nothing was changed.
        :raises VendorError: the vendor could not be asked; the outcome is as unknown as before.
        :raises LedgerError: the ledger could not be read or written.
        """
        attempts = self.ledger.attempts(identity)
        refuse_in_flight(attempts, view, now)
        waiting = [attempt for attempt in attempts if attempt.open]
        if not waiting:
            raise InvalidRequestError(f"No submit of {identity} is without an answer.", money="Nothing was changed.")
        alone = is_state_store(self.ledger.store)
        called = {} if alone else answered_by_mail(self.ledger, waiting, now, trouble=_raise)
        for attempt in waiting:
            if attempt.key not in called:
                refuse_without_history(attempt)
            if alone and attempt.own_seed is None:
                raise InvalidRequestError(
                    "Airflow's state store shows a task its own attempts only, and who else may hold a job is not known.",
                    money="Nothing was changed.",
                    remedy="Search the vendor's console, then attach or forget; or set [video_providers] ledger_path.",
                    field="ledger_path",
                )
        if self._known is None:
            self._known = self.ledger.overview()
        return [Asked(one, called.get(one.key) or self._find(one, self._known)) for one in waiting]

    def _find(self, attempt: Attempt, known: Overview) -> Attempt | None:
        return find_job(attempt, self.ledger, self._hook(attempt).get_conn().history, known=known)

    def _hook(self, attempt: Attempt) -> VideoHook:
        vendor = attempt.model.partition(":")[0]
        key = (vendor, attempt.conn_id)
        if key not in self._hooks:
            self._hooks[key] = VideoHook.for_model(attempt.model, attempt.conn_id)
        return self._hooks[key]


def has_history(attempt: Attempt) -> bool:
    """Does its vendor show what it was sent?"""
    try:
        return catalogue.vendor_of(attempt.model).history_kept is not None
    except InvalidRequestError:  # a vendor whose package is no longer installed here
        return False


def refuse_without_history(attempt: Attempt) -> None:
    """Say what to do instead.

    :raises InvalidRequestError: the vendor shows no history.
    """
    if not has_history(attempt):
        raise InvalidRequestError(
            f"{attempt.model.partition(':')[0]} shows no history of what it was sent.",
            money="Nothing was changed.",
            remedy="Search its console, then attach or forget.",
            model=attempt.model,
            field="model",
        )


def _raise(_: Attempt, error: VideoProviderError) -> NoReturn:
    raise error
