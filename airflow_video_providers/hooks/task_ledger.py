"""The ledger of purchases, for a hook in a task: what operators have by themselves, and a hook is given.

::

    hook = PixazoHook(ledger=task_ledger())
"""

from __future__ import annotations

import math
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_video_providers.core.errors import (
    InvalidRequestError,
    LandingError,
    SubmissionOutcomeUnknownError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.purchase.decision import Choices, Try

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from logging import Logger

    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.decision import OnClear, OnUnknownOutcome
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.order import NoOrder, Order, Receiver
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.vendors.base import Identified
    from airflow_video_providers.hooks.orders import OrderingHook


@dataclass(frozen=True)
class TaskLedger:
    """The ledger as one task instance writes into it: one purchase for each task instance.

    :param ledger: None where there is none; then only a first try may buy.
    :param this: The try that buys.
    :param chosen: What a Clear and an unknown outcome mean.
    :param process: What the try is called that runs in this process: it gets one job.
    :param resolve_within: Seconds for which a submit whose answer was lost waits, in this process, for the vendor's call.
    """

    ledger: Ledger | None
    this: Try
    chosen: Choices = field(default_factory=Choices)
    process: str = field(default_factory=lambda: uuid.uuid4().hex)
    resolve_within: float = 900.0

    #: Which tries of this process have their job, and its id.
    _served: ClassVar[dict[str, str]] = {}
    #: Which of them are about to get it: in another thread, or for another coroutine.
    _under_way: ClassVar[set[str]] = set()
    _deciding: ClassVar[threading.Lock] = threading.Lock()

    def submit(self, hook: OrderingHook, make: Callable[[], Order]) -> VideoJob:
        """The job that this task instance bought, now or in an earlier try.

        :param make: Makes the order; what is bought already is returned even where that fails now.
        :raises InvalidRequestError: nothing may be bought, or this try has its job, or is getting it. Nothing was sent.
        :raises LedgerError: the ledger could not be read or written; nothing was sent.
        :raises SubmissionOutcomeUnknownError: an earlier try, or this one, may have bought.
        """
        with self._alone():
            job = self._bought_or_named(hook, make)
            self._served[self.process] = job.request_id
            return job

    def _bought_or_named(self, hook: OrderingHook, make: Callable[[], Order]) -> VideoJob:
        from airflow_video_providers.core.clock import utcnow
        from airflow_video_providers.integration.lost_answers import AwaitsCallback, wait_here, warn_of_wait

        log, event = hook.plain_log(), None
        while True:
            try:
                return self._bought(hook, make, event)
            except AwaitsCallback as wait:
                waiting = wait
            until = waiting.attempt.resolve_until or utcnow()
            warn_of_wait(waiting.attempt, until, log)
            event = wait_here(waiting, until, log=log, sleep=hook.sleep)

    def _bought(self, hook: OrderingHook, make: Callable[[], Order], event: dict[str, Any] | None) -> VideoJob:
        from airflow_video_providers.core.clock import utcnow
        from airflow_video_providers.core.polling.decision import believed
        from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
        from airflow_video_providers.hooks.lost_answers import answer_from_history, answer_lost, may_answer_later
        from airflow_video_providers.integration.lost_answers import answer_from_mail, await_instead

        def ask(attempt: Attempt) -> Callable[[VideoJob], Identified]:
            same = (attempt.conn_id, attempt.model.partition(":")[0]) == (hook.conn_id, hook.vendor_class.id)
            return (hook if same else hook.for_model(attempt.model, attempt.conn_id)).identify

        hook.settings  # noqa: B018 # whatever is wrong with it must show before an intent is stored
        log = hook.plain_log()
        from_mail = partial(answer_from_mail, self.ledger, self.this, ask, log=log, sleep=hook.sleep, event=event)
        answer_lost(from_mail, self.ledger, self.this, log, hook.for_model)
        order, sent = self._order(hook, make), False

        def ready(order: Order) -> Order:
            hook.refuse_if_off()
            hook.get_conn().open()
            return hook.lent(order)  # signing comes before the intent: what cannot be lent costs nothing

        def send(order: Order) -> VideoJob:
            nonlocal sent
            sent = True
            job = hook.send(order)
            hook.counted(order.noted_in(job))
            return job

        outside = Outside(
            log=log,
            poll=lambda job: believed(job, hook.status, now=utcnow, sleep=hook.sleep, reconnect=hook.reconnect),
            ready=ready,
            keeps=self._not_landed,
            sleep=hook.sleep,
        )
        try:
            return submit_once(order, self.ledger, send, this=self.this, outside=outside, chosen=self.chosen)
        except SubmissionOutcomeUnknownError as unknown:
            if not sent or not answer_from_history(self.ledger, self.this, log, hook.for_model):
                later = may_answer_later(unknown, self.ledger, self.this, hook.for_model)
                raise await_instead(later, self.ledger, self.this) from unknown.__cause__
            return submit_once(order, self.ledger, send, this=self.this, outside=outside, chosen=self.chosen)

    def receiver(self, hook: OrderingHook) -> Receiver | None:
        """Our receiver of callbacks, where there is one and this ledger can keep what a call names.

        :raises InvalidRequestError: the configuration names one that cannot be called. Nothing was sent.
        """
        from airflow_video_providers.integration.callbacks import receiver_for

        if self.ledger is None or not self.ledger.store.shared:
            return None
        return receiver_for(hook.vendor_class, hook.settings, self.resolve_within)

    def note_landed(self, job: VideoJob, manifest: Mapping[str, Any], log: Logger) -> None:
        """Take the job off the list of what was bought and never landed; a Clear may now buy again."""
        from airflow_video_providers.core.purchase.endings import note_landed
        from airflow_video_providers.integration.callbacks import drop_mail

        drop_mail(job, log)
        self._report(lambda ledger: note_landed(ledger, job, manifest), f"{job.request_id} has landed", log)

    def note_finished(self, job: VideoJob, log: Logger) -> None:
        """Write what the finished job has really cost; the ledger is not asked where its vendor does not say."""
        from airflow_video_providers.core.purchase.endings import note_finished

        if job.cost_usd is not None:
            self._report(lambda ledger: note_finished(ledger, job), f"{job.request_id} cost ${job.cost_usd}", log)

    def note_ending(self, error: VideoProviderError, job: VideoJob, log: Logger) -> None:
        """Write how a job ended that nothing will come of any more."""
        from airflow_video_providers.core.purchase.endings import FINAL, note_ending

        if isinstance(error, FINAL):
            self._report(lambda ledger: note_ending(ledger, error, job), f"of {job.request_id} comes nothing more", log)

    def _order(self, hook: OrderingHook, make: Callable[[], Order]) -> Order | NoOrder:
        from airflow_video_providers.core.purchase.order import NoOrder

        try:
            return make()
        except (InvalidRequestError, LandingError) as wrong:
            attempts = [] if self.ledger is None else self.ledger.attempts(self.this.identity)
            models = [attempt.model for attempt in attempts if attempt.request_id]
            if not models:
                raise
            return NoOrder(models[-1], hook.conn_id, wrong)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One submit of this try at a time, and none after one that got its job; one that failed may be repeated."""
        with self._deciding:
            self._refuse_second()
            self._under_way.add(self.process)
        try:
            yield
        finally:
            self._under_way.discard(self.process)

    def _refuse_second(self) -> None:
        request_id = self._served.get(self.process)
        if request_id is None and self.process not in self._under_way:
            return
        done = f"has bought the job {request_id}" if request_id else "is just buying a job"
        raise InvalidRequestError(
            f"{self.this.identity} {done} through its ledger, which knows one purchase for each task instance.",
            money="Nothing was sent for this request.",
            remedy="Map the task over its requests (.expand), so that each purchase has a task instance of its own.",
            request_id=request_id,
            field="ledger",
        )

    def _not_landed(self, job: VideoJob) -> bool:
        return self.ledger is not None and job.status is JobStatus.SUCCEEDED and not self.ledger.settled(job)

    def _report(self, write: Callable[[Ledger], object], what: str, log: Logger) -> None:
        """No trouble with the ledger changes how the call ends."""
        if self.ledger is None:
            return
        try:
            write(self.ledger)
        except VideoProviderError as error:
            log.warning("The ledger did not take that %s: %s", what, error.what)


def task_ledger(
    context: Context | None = None,
    *,
    on_clear: OnClear | None = None,
    on_unknown_outcome: OnUnknownOutcome = "fail",
    resolve_within: timedelta | float = 900,
) -> TaskLedger:
    """The ledger of the running task: ``[video_providers] ledger_path``, or Airflow 3.3's state store.

    :param context: The task's context; by default that of the task that runs.
    :param on_clear: What a user's Clear does with a job that has landed: ``"resubmit"`` buys again, ``"reattach"``
        returns it. By default ``[video_providers] on_clear``.
    :param on_unknown_outcome: ``"fail"``, or ``"resubmit"``: buy at most once more, which may pay twice.
    :param resolve_within: Seconds, or a timedelta, for which a submit whose answer was lost waits for the vendor's call
        where callbacks are switched on: in this process, from the time of the submit. 15 minutes by default.
    :raises InvalidRequestError: no task runs here, or ``resolve_within``, or ``on_clear`` of the configuration, is wrong.
    :raises LedgerError: the configured directory cannot be opened.
    """
    from airflow_video_providers.integration.ledger_config import default_on_clear, open_ledger
    from airflow_video_providers.integration.this_try import this_try

    running = context if context is not None else _running()
    chosen = Choices(on_clear or default_on_clear(), on_unknown_outcome)
    seconds = resolve_within.total_seconds() if isinstance(resolve_within, timedelta) else resolve_within
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise InvalidRequestError(
            f"resolve_within is {resolve_within!r:.60}.", field="resolve_within", allowed="a number of seconds from 0"
        )
    return TaskLedger(open_ledger(running), this_try(running), chosen, str(running["ti"].id), seconds)


def _running() -> Context:
    from airflow.providers.common.compat.sdk import get_current_context

    try:
        return get_current_context()
    except Exception as error:
        raise InvalidRequestError(
            "No task runs here, so there is no task instance whose purchases a ledger could record.",
            remedy="Call task_ledger() inside of a task, or pass the task's context.",
            field="context",
        ) from error
