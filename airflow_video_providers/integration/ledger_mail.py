"""What callbacks have named for attempts that no task waits for any more: checked when somebody lists, forgets or finds."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from airflow_video_providers.core.callbacks.identify import Identification
from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError, VideoProviderError
from airflow_video_providers.core.polling.mailbox import attempt_mark
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.callbacks import open_mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_video_providers.core.polling.mailbox import Mailbox
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt, Key

#: Apart from Airflow's logging, which may write to standard output, where the commands print: warnings go to standard error.
log = logging.Logger("video-ledger", logging.WARNING)  # noqa: LOG001 # meant to stand outside of the tree


def answered_by_mail(
    ledger: Ledger,
    attempts: Iterable[Attempt],
    now: datetime,
    *,
    trouble: Callable[[Attempt, VideoProviderError], object],
) -> dict[Key, Attempt]:
    """Forgotten attempts, and open ones that nobody waits for, whose job a call has named: written as bought, by key.

    The vendor is asked about each id once, and only where there is mail.

    :param trouble: Called with an attempt whose mail could not be checked, and why.
    """
    waiting = defaultdict(list)
    for attempt in attempts:
        until = attempt.callback_until
        if until is not None and now < until and attempt.conn_id and _unwaited(attempt, now):
            waiting[attempt.conn_id].append(attempt)
    answered: dict[Key, Attempt] = {}
    for conn_id, ours in waiting.items():
        try:
            mailbox = open_mailbox(conn_id)
            marks = set() if mailbox is None else {mail.attempt for mail in mailbox.listed()}
        except VideoProviderError as error:
            trouble(ours[0], error)
            continue
        for attempt in ours:
            if mailbox is None or attempt_mark(attempt.key) not in marks:
                continue
            try:
                if (found := _answered(ledger, mailbox, attempt)) is not None:
                    answered[attempt.key] = found
            except VideoProviderError as error:
                trouble(attempt, error)
    return answered


def _unwaited(attempt: Attempt, now: datetime) -> bool:
    until = attempt.resolve_until
    return attempt.state is AttemptState.FORGOTTEN or (attempt.open and until is not None and until <= now)


def _answered(ledger: Ledger, mailbox: Mailbox, attempt: Attempt) -> Attempt | None:
    hook = VideoHook.for_model(attempt.model, attempt.conn_id)
    try:
        return Identification(ledger, hook.identify, log=log, sleep=time.sleep, patient=False).answer(
            attempt, mailbox.ids_for(attempt.key)
        )
    finally:
        hook.close()


def not_forgotten(ledger: Ledger, attempts: Iterable[Attempt], now: datetime) -> Attempt | None:
    """An attempt that is about to be forgotten and has bought after all, written as bought; None where no call says so.

    :raises VideoProviderError: a call has named a job, and it could not be checked.
    """

    def trouble(_: Attempt, error: VideoProviderError) -> None:
        if not isinstance(error, SubmissionOutcomeUnknownError):  # two ids are for the person to judge who forgets
            raise error

    return next(iter(answered_by_mail(ledger, attempts, now, trouble=trouble).values()), None)
