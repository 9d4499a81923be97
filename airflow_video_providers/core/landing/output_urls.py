"""Where a job's outputs are, and what the vendor says when an address serves nothing.

A file host lags behind its vendor: an address that answers 403 or 404 while the vendor says that the job is
finished is *not there yet*. The output is lost only where the vendor itself says so, again and again, or long after
it may have thrown the file away, which :func:`~airflow_video_providers.core.polling.decision.lost` decides for waits as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import (
    DownloadError,
    InvalidRequestError,
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    OutputExpiredError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling import decision

if TYPE_CHECKING:
    from typing import NoReturn

    from airflow_video_providers.core.jobs import VideoOutput

Refresh = Callable[[VideoJob], VideoJob]
Keyed = Callable[[VideoJob, int], tuple[str, Mapping[str, str]] | None]
_GONE = (JobStatus.EXPIRED, JobStatus.FAILED, JobStatus.ERROR, JobStatus.CANCELLED)
_SAYS_GONE = (JobExpiredError, JobFailedError, JobErroredError, JobCancelledError)
#: One stray answer loses nothing: the vendor has to say it so often in a row, over so many seconds.
SAID_TIMES = 3
SAID_FOR = 20.0


def _utcnow() -> datetime:
    return datetime.now(UTC)


class OutputUrls:
    """The outputs' addresses; the vendor is asked for fresh ones for all of them together.

    :param refresh: Asks the vendor about the job; None where nobody can.
    :param keyed: Where an output is fetched that needs the key, and with which headers.
    :param clock: Seconds.
    :param now: The time (UTC).
    """

    def __init__(
        self,
        job: VideoJob,
        refresh: Refresh | None,
        keyed: Keyed | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utcnow,
    ) -> None:
        self._job = job
        self._refresh = refresh
        self._keyed = keyed
        self._clock = clock
        self._now = now
        self._asking = threading.Lock()
        self._fresh = job
        self._asked = 0
        self._gone_times = 0
        self._gone_since = 0.0
        self._gone_word = ""
        self._silence: VideoProviderError | None = None

    def output(self, index: int) -> OutputUrl:
        """One output's address."""
        return OutputUrl(self, index, self._job.outputs[index])

    def with_key(self, index: int) -> tuple[str, tuple[tuple[str, str], ...]] | None:
        """An output's address and the headers with the key, where it needs that: whatever address the job names.

        :raises InvalidRequestError: it needs the key, and nobody here has it.
        """
        found = None if self._keyed is None else self._keyed(self._job, index)
        if found is not None:
            return found[0], tuple(found[1].items())
        if self._job.outputs[index].needs_key:
            raise InvalidRequestError(
                f"Output {index} is fetched with the vendor's key, and nobody here has it.",
                money="The job is paid for.",
                remedy="Land it with a client's or a hook's land, or with DownloadVideoOperator.",
                model=self._job.model, request_id=self._job.request_id, charged=self._job.charged, field="keyed",
            )  # fmt: skip
        return None

    def renewed(self, index: int, asked: int, what: str) -> tuple[str | None, int]:
        """What the vendor says of an output's address now.

        :param asked: How often the vendor had been asked when the address was named: a later answer serves as well.
        :param what: What its address has answered, for the error.
        :return: The address, None where it names none right now; and how often the vendor has been asked.
        :raises OutputExpiredError: if the output is lost.
        """
        with self._asking:
            if self._asked == asked:
                self._ask()
            if (why := self._lost()) is not None:
                raise OutputExpiredError(f"{what}, and {why}", reason="expired")
            outputs = self._fresh.outputs
            return (outputs[index].url if index < len(outputs) else None), self._asked

    def _ask(self) -> None:
        self._asked += 1
        if self._refresh is None:
            return
        self._silence = None
        try:
            self._fresh = self._refresh(self._job)
            gone = self._fresh.status in _GONE
            word = f"that the job is {self._fresh.status}."
        except _SAYS_GONE as ended:
            gone, word = True, ended.what
        except VideoProviderError as failed:  # no answer is no word about the job
            self._silence = failed
            return
        if not gone:
            self._gone_times = 0
            return
        self._gone_since = self._gone_since if self._gone_times else self._clock()
        self._gone_times += 1
        self._gone_word = word

    def _lost(self) -> str | None:
        """Why the output is lost for good, None while it is not: then a user's Clear may buy it again."""
        job = self._job.replace(submitted_at=_utc(self._job.submitted_at), expires_at=_utc(self._job.expires_at))
        insists = self._gone_times >= SAID_TIMES and self._clock() - self._gone_since >= SAID_FOR
        if insists and decision.lost(job.replace(status=JobStatus.EXPIRED), self._now()):
            return f"the vendor says: {self._gone_word}"
        if job.expires_at is not None and decision.lost(job, self._now()):
            return f"the vendor has kept its files until {job.expires_at:%Y-%m-%d %H:%M} UTC, long ago."
        return None

    def not_there(self, what: str, seconds: float) -> NoReturn:
        """End a download whose address served nothing for long; a retry may find it, and a Clear keeps the job.

        :raises DownloadError: always.
        """
        waited = f"{what}, for {seconds:.0f} s"
        if self._silence is not None:
            raise DownloadError(
                f"{waited}, and the vendor could not be asked for a fresh one: {self._silence.what}", reason="refresh"
            ) from self._silence
        if self._refresh is None:
            why = "nobody was named who could ask the vendor"
        elif self._gone_times:
            why = f"the vendor says {self._gone_word.rstrip('.')}, which is not certain yet"
        else:
            status, count = self._fresh.status, len(self._fresh.outputs)
            why = f"the vendor says that the job is {status}, with {count} output(s)"
        raise DownloadError(
            f"{waited}, and {why}: the file is not there yet, or not for this worker.",
            reason="not_there",
            remedy="Run the download again later: the job is paid for and kept, and a Clear does not buy it again. If it "
            "never comes, look for the file in the vendor's console; a file host that refuses programs may want another "
            "User-Agent (download_user_agent).",
        )


class OutputUrl:
    """One output's address, as it stands."""

    def __init__(self, sources: OutputUrls, index: int, output: VideoOutput) -> None:
        self._sources = sources
        self._index = index
        self._asked = 0
        self.output = output
        self.url = output.url
        self.key: tuple[tuple[str, str], ...] = ()
        self._read_key()

    def _read_key(self) -> bool:
        found = self._sources.with_key(self._index)
        if found is not None:
            self.url, self.key = found
        return found is not None

    def renew(self, what: str) -> bool:
        """Ask the vendor for the address as it is now. True: it is another one than before.

        :raises OutputExpiredError: if the output is lost.
        """
        before = self.url
        url, self._asked = self._sources.renewed(self._index, self._asked, self._said(what))
        if not self._read_key():  # else the vendor's own address stays, and the key may be a new one
            self.url = url or before
        return self.url != before

    def not_there(self, what: str, seconds: float) -> NoReturn:
        """It served nothing for long enough.

        :raises DownloadError: always.
        """
        self._sources.not_there(self._said(what), seconds)

    def _said(self, what: str) -> str:
        return f"The address of output {self._index} {what}"


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
