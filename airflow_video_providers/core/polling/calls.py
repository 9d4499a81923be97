"""What callbacks change for the jobs of one connection: who is polled at once, who waits, and who no longer does."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_video_providers.core.polling.mailbox import job_mark
from airflow_video_providers.core.polling.trust import ON_ITS_WAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_video_providers.core.polling.decision import Verdict
    from airflow_video_providers.core.polling.listener import Listener
    from airflow_video_providers.core.polling.mailbox import Mail, MailReader
    from airflow_video_providers.core.polling.scheduled import ScheduledJob
    from airflow_video_providers.core.polling.scheduler import Scheduler
    from airflow_video_providers.core.polling.timing import Timing
    from airflow_video_providers.core.polling.trust import Trust
    from airflow_video_providers.core.vendors.base import Vendor


class Calls:
    """The vendor's calls about the jobs that wait on one connection.

    :param trust: Whether they are relied on.
    :param listener: Counts them.
    """

    def __init__(
        self,
        vendor: type[Vendor],
        trust: Trust,
        scheduler: Scheduler,
        timing: Timing,
        now: Callable[[], datetime],
        listener: Listener,
    ) -> None:
        self._vendor = vendor.id
        self._bounds = vendor.poll_seconds
        self._trust = trust
        self._scheduler = scheduler
        self._timing = timing
        self._now = now
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._awaiting: set[ScheduledJob] = set()

    @contextmanager
    def about(self, scheduled: ScheduledJob, mail: MailReader | None) -> Iterator[None]:
        """Poll the job as soon as the vendor has called about it, and see whether it does."""
        until = scheduled.state.job.callback_until
        if mail is None or until is None or until <= self._now():
            yield
            return
        scheduled.awaits_call = True
        mail.on_trouble = self._mail_is_away
        self._awaiting.add(scheduled)
        expected = mail.expect(
            job_mark(self._vendor, scheduled.state.job.request_id), lambda news: self._called(scheduled, news)
        )
        try:
            yield
        finally:
            self._awaiting.discard(scheduled)
            if scheduled.call == "none" and scheduled.state.job.status.terminal and not self._trust.earned:
                self._loop.call_later(ON_ITS_WAY, expected.close)  # a poll was faster: the call still earns trust
            else:
                expected.close()

    def _called(self, scheduled: ScheduledJob, news: Mail) -> None:
        if not news.terminal or scheduled.call != "none":
            return
        scheduled.call = "due"
        self._trust.arrived()
        if scheduled.slot is not None:
            self._scheduler.hurry(scheduled.slot)

    def _mail_is_away(self) -> None:
        if self._trust.earned:
            self._trust.lost("the mailbox below ledger_path cannot be read")
            self._poll_as_before()

    def _poll_as_before(self) -> None:
        """Callbacks are not relied on any more: jobs that wait for theirs come due as without them."""
        now = self._loop.time()
        for scheduled in self._awaiting:
            if scheduled.slot is not None and scheduled.call == "none":
                pause = self._timing.next_poll(scheduled.model, now - scheduled.born, self._bounds)
                self._scheduler.hurry(scheduled.slot, now + pause)

    def judge(self, scheduled: ScheduledJob, verdict: Verdict) -> None:
        """A job that was to be called about, and has ended without a call, takes the trust back."""
        ended = verdict.done or (scheduled.state.job if scheduled.state.job.status.terminal else None)
        if ended is None or not scheduled.awaits_call or scheduled.call != "none" or not self._trust.earned:
            return
        if self._trust.missed(ended, self._now()):
            self._listener.trust_lost(scheduled.model)
            self._poll_as_before()

    def relied_on(self, scheduled: ScheduledJob) -> bool:
        """Does this job wait for its call, with rare polls as a net?"""
        unpaced = scheduled.interval is None
        return unpaced and scheduled.awaits_call and scheduled.call == "none" and self._trust.earned
