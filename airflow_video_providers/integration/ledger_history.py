"""Submits without an answer, answered by the vendor's own history when a person asks: for the command and for the pages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError, VideoProviderError
from airflow_video_providers.core.purchase.find import find_job, may_be_found, window_of
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.ledger_bulk import refuse_in_flight
from airflow_video_providers.integration.ledger_mail import answered_by_mail
from airflow_video_providers.integration.state_store_admin import is_state_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_video_providers.core.purchase.ledger import Ledger, Overview
    from airflow_video_providers.core.purchase.records import Attempt, Identity, Key
    from airflow_video_providers.core.vendors.history import Shown
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

    :param ledger: Read whole after the vendors were asked, once for all that :meth:`ask` was given: what else is known of a
        job, and who else may have bought it.
    """

    ledger: Ledger
    _shown: dict[Key, Sequence[Shown] | VideoProviderError] = field(default_factory=dict)
    _known: Overview | None = None
    _hooks: dict[tuple[str, str | None], VideoHook] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks.values():
            hook.close()

    def ask(self, identities: Iterable[Identity]) -> None:
        """Ask the vendors about the open attempts of these, before the ledger is read whole: it has to be the later of the two."""
        self._known = None
        for identity in identities:
            with suppress(LedgerError):  # answer() reads them again, and says so
                for attempt in self.ledger.attempts(identity):
                    if may_be_found(attempt, self.ledger) and has_history(attempt):
                        self._shown[attempt.key] = self._history(attempt)

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
        if any(one.key not in called and one.key not in self._shown for one in waiting):
            self.ask([identity])
        return [Asked(one, called.get(one.key) or self._find(one)) for one in waiting]

    def _find(self, attempt: Attempt) -> Attempt | None:
        def shown(*_: object) -> Sequence[Shown]:
            answer = self._shown[attempt.key]
            if isinstance(answer, VideoProviderError):
                raise answer
            return answer

        return find_job(attempt, self.ledger, shown, known=self._overview)

    def _history(self, attempt: Attempt) -> Sequence[Shown] | VideoProviderError:
        since, until = window_of(attempt)
        try:
            shown = self._hook(attempt).get_conn().history(attempt.model, since, until)
        except VideoProviderError as error:
            return error
        return [
            one for one in shown if since <= one.created_at <= until
        ]  # of a day's bodies those of some minutes are kept

    def _overview(self) -> Overview:
        if self._known is None:
            self._known = self.ledger.overview()
        return self._known

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
