from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    OutputMissingError,
    RateLimitedError,
    RequestRejectedError,
    VendorUnavailableError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.polling.decision import GRACE, TROUBLES, PollState, after, believed, lost, timed_out

START = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
BOUGHT = VideoJob(model="pixazo:mochi-v1", request_id="r-1", submitted_at=START)
OUTPUT = (VideoOutput(url="https://media.example/a.mp4"),)

RUNNING = BOUGHT.replace(status=JobStatus.RUNNING, vendor_status="PROCESSING")
QUEUED = BOUGHT.replace(status=JobStatus.QUEUED, vendor_status="QUEUED")
DONE = BOUGHT.replace(status=JobStatus.SUCCEEDED, vendor_status="COMPLETED", outputs=OUTPUT, charged="yes")
EMPTY = DONE.replace(outputs=(), instead_of_outputs="status, output.film")
FAILED = BOUGHT.replace(status=JobStatus.FAILED, vendor_status="FAILED", error="blocked")
ERRED = BOUGHT.replace(status=JobStatus.ERROR, vendor_status="ERROR", error="oops", charged="no")
CANCELLED = BOUGHT.replace(status=JobStatus.CANCELLED, vendor_status="CANCELED")
GONE = BOUGHT.replace(status=JobStatus.EXPIRED, vendor_status="HTTP 404")
ODD = BOUGHT.replace(status=JobStatus.UNKNOWN, vendor_status="HALTED")

LOST = VendorUnavailableError("no answer")
BUSY = RateLimitedError("slow down", retry_after=42.0)
STORMY = RateLimitedError("slow down", retry_after=0.0)
LOCKED = AuthenticationError("denied")
REFUSED = RequestRejectedError("no")
BROKE = InsufficientCreditsError("locked")
AWAY = InvalidRequestError("no connection", field="conn_id", retryable=True)
WRONG = InvalidRequestError("no legacy route")

T0 = 300  # the first look of most rows: past the grace period


def state(**fields):
    return PollState(job=QUEUED, started=START, deadline=START + timedelta(hours=1))._replace(**fields)


def play(*looks, **fields):
    """The last verdict after looks at (seconds since the start, what was seen), and the watch."""
    seen, verdict = state(**fields), None
    for number, (second, what) in enumerate(looks, start=1):
        seen, verdict = after(seen, what, START + timedelta(seconds=second))
        ended = verdict.done is not None or verdict.error is not None
        assert not ended or number == len(looks), f"ended at look {number}: {verdict}"
    return seen, verdict


GOES_ON = "goes on"


def outcome(verdict):
    if verdict.error is not None:
        return type(verdict.error)
    return "done" if verdict.done is not None else GOES_ON


@pytest.mark.parametrize(
    ("looks", "ends"),
    [
        # the vendor's own word
        ([(0, QUEUED)], GOES_ON),
        ([(0, RUNNING)], GOES_ON),
        ([(0, DONE)], "done"),
        ([(0, FAILED)], JobFailedError),
        ([(0, ERRED)], JobErroredError),
        ([(0, CANCELLED)], JobCancelledError),
        # lost answers never end it
        ([(second, LOST) for second in range(0, 3500, 10)], GOES_ON),
        ([(second, BUSY) for second in range(0, 3500, 10)], GOES_ON),
        # one stray refusal is no verdict: three in a row over half a minute
        ([(0, REFUSED)], GOES_ON),
        ([(0, REFUSED), (15, REFUSED)], GOES_ON),
        ([(0, REFUSED), (1, REFUSED), (2, REFUSED), (29, REFUSED)], GOES_ON),
        ([(0, REFUSED), (15, REFUSED), (30, REFUSED)], RequestRejectedError),
        ([(0, REFUSED), (15, LOST), (30, REFUSED), (45, REFUSED)], RequestRejectedError),
        ([(0, REFUSED), (15, RUNNING), (30, REFUSED), (45, REFUSED)], GOES_ON),
        ([(0, REFUSED), (15, DONE)], "done"),
        ([(0, BROKE), (15, BROKE)], GOES_ON),
        ([(0, BROKE), (15, BROKE), (30, BROKE)], InsufficientCreditsError),
        ([(0, BROKE), (15, REFUSED), (30, BROKE)], InsufficientCreditsError),
        ([(0, WRONG)], InvalidRequestError),
        # a connection that Airflow does not give: three in a row over a minute
        ([(0, AWAY), (1, AWAY), (59, AWAY)], GOES_ON),
        ([(0, AWAY), (30, AWAY), (60, AWAY)], InvalidRequestError),
        ([(0, AWAY), (30, RUNNING), (60, AWAY)], GOES_ON),
        # an unknown job: nothing within the grace period, then three in a row over a minute
        ([(second, GONE) for second in range(120)], GOES_ON),
        ([(110, GONE), (119, GONE), (121, GONE), (160, GONE)], GOES_ON),
        ([(T0, GONE), (T0 + 30, GONE), (T0 + 59, GONE)], GOES_ON),
        ([(T0, GONE), (T0 + 90, GONE)], GOES_ON),
        ([(T0, GONE), (T0 + 30, GONE), (T0 + 60, GONE)], JobExpiredError),
        ([(T0, GONE), (T0 + 1, GONE), (T0 + 2, GONE), (T0 + 59, GONE), (T0 + 61, GONE)], JobExpiredError),
        ([(T0, GONE), (T0 + 30, RUNNING), (T0 + 60, GONE), (T0 + 90, GONE)], GOES_ON),
        ([(T0, GONE), (T0 + 30, LOST), (T0 + 60, GONE), (T0 + 90, GONE)], JobExpiredError),
        ([(T0, GONE), (T0 + 30, BUSY), (T0 + 60, GONE), (T0 + 90, BUSY)], GOES_ON),
        ([(T0, GONE), (T0 + 30, EMPTY), (T0 + 60, GONE), (T0 + 90, GONE)], GOES_ON),
        # finished without an output: three looks over half a minute
        ([(0, EMPTY), (15, EMPTY)], GOES_ON),
        ([(0, EMPTY), (10, EMPTY), (29, EMPTY)], GOES_ON),
        ([(0, EMPTY), (15, EMPTY), (30, EMPTY)], OutputMissingError),
        ([(0, EMPTY), (15, EMPTY), (30, DONE)], "done"),
        ([(0, EMPTY), (15, LOST), (30, EMPTY), (45, EMPTY)], OutputMissingError),
        ([(0, EMPTY), (15, RUNNING), (30, EMPTY), (45, EMPTY)], GOES_ON),
        # a word that nobody knows changes nothing: it is carried to the wait's own end
        ([(10 * n, ODD) for n in range(360)], GOES_ON),
        ([(0, ODD), (3600, LOST)], JobUnknownError),
        ([(0, ODD), (3599, RUNNING), (3600, LOST)], JobTimeoutError),
        ([(0, ODD), (30, DONE)], "done"),
        ([(0, ODD), (30, FAILED)], JobFailedError),
        # a refused key: the connection is read again, and it is believed after ten seconds
        ([(0, LOCKED)], GOES_ON),
        ([(0, LOCKED), (5, LOCKED)], GOES_ON),
        ([(0, LOCKED), (1, LOCKED), (2, LOCKED), (9, LOCKED)], GOES_ON),
        ([(0, LOCKED), (5, LOCKED), (10, LOCKED)], AuthenticationError),
        ([(0, LOCKED), (5, LOST), (10, LOCKED), (15, LOCKED)], AuthenticationError),
        ([(0, LOCKED), (5, RUNNING), (10, LOCKED), (15, LOCKED)], GOES_ON),
        ([(0, LOCKED), (1, DONE)], "done"),
        # the deadline: only the vendor's own word counts at it
        ([(3600, RUNNING)], JobTimeoutError),
        ([(3599, RUNNING)], GOES_ON),
        ([(3600, LOST)], JobTimeoutError),
        ([(3600, LOCKED)], JobTimeoutError),
        ([(3600, GONE)], JobTimeoutError),
        ([(3600, REFUSED)], JobTimeoutError),
        ([(3600, ODD)], JobUnknownError),
        ([(3600, EMPTY)], JobTimeoutError),
        ([(9999, DONE)], "done"),
        ([(9999, FAILED)], JobFailedError),
        ([(3530, GONE), (3560, GONE), (3600, GONE)], JobExpiredError),
    ],
)  # fmt: skip
def test_the_table_of_verdicts(looks, ends):
    _, verdict = play(*looks)
    assert outcome(verdict) == ends


@pytest.mark.parametrize(
    ("seen", "pause", "reconnect"),
    [
        (RUNNING, None, False),
        (QUEUED, None, False),
        (LOST, None, False),
        (BUSY, 42.0, False),
        (STORMY, 1.0, False),
        (ODD, None, False),
        (LOCKED, 5.0, True),
        (REFUSED, 15.0, False),
        (BROKE, 15.0, False),
        (GONE, 30.0, False),
        (EMPTY, 15.0, False),
    ],
)
def test_what_is_odd_names_its_own_pause_and_the_rest_is_left_to_the_caller(seen, pause, reconnect):
    _, verdict = play((T0, seen))
    assert (verdict.pause, verdict.reconnect) == (pause, reconnect)


def test_a_404_within_the_grace_period_is_an_ordinary_look():
    _, verdict = play((10, GONE))
    assert (verdict.pause, outcome(verdict)) == (None, GOES_ON)


@pytest.mark.parametrize(("submitted_at", "within"), [(START - timedelta(days=1), False), (START, True), (None, True)])
def test_the_grace_period_counts_from_the_submit_or_from_the_start_of_the_watch(submitted_at, within):
    gone = GONE.replace(submitted_at=submitted_at)
    seen, _ = after(state(), gone, START + GRACE - timedelta(seconds=1))
    assert (seen.trouble is None) is within


def test_a_404_does_not_overwrite_what_is_known_of_the_job():
    seen, _ = play((T0, RUNNING), (T0 + 30, GONE))
    assert seen.job == RUNNING


def test_the_watch_remembers_the_job_as_it_was_last_seen():
    assert play((0, RUNNING), (1, LOST))[0].job == RUNNING
    assert play((0, RUNNING), (1, EMPTY))[0].job == EMPTY
    assert play((0, RUNNING), (1, ODD))[0].job == ODD


def test_each_ending_says_what_happened_what_it_costs_and_what_to_do():
    ends = {
        "JobFailedError": ([(0, FAILED)], "FAILED: blocked", "Whether it was charged is not known.", "vendor's reason"),
        "JobErroredError": ([(0, ERRED)], "ERROR: oops", "Nothing was charged.", "Clear the submit task"),
        "JobCancelledError": ([(0, CANCELLED)], "gives no reason", "not known", "Clear the submit task"),
        "JobExpiredError": ([(T0 + 30 * n, GONE) for n in range(3)], "HTTP 404, 3 times in a row", "not known", "console"),
        "OutputMissingError": ([(15 * n, EMPTY) for n in range(3)], "the answer holds status, output.film", "has charged", "Run the sensor again later"),
        "JobUnknownError": ([(3600, ODD)], "3600 s of waiting; the vendor still reports the status 'HALTED'", "may still be charged", "console"),
        "JobTimeoutError": ([(3600, RUNNING)], "3600 s of waiting; it was last seen running", "may still be charged", "Run the sensor again"),
    }  # fmt: skip
    for kind, (looks, what, money, remedy) in ends.items():
        error = play(*looks)[1].error
        assert type(error).__name__ == kind
        assert error.request_id == "r-1"
        for part in (what, money, remedy, "request_id=r-1", "model=pixazo:mochi-v1"):
            assert part in str(error), kind


def test_a_lost_mochi_at_pixazo_may_be_one_of_the_older_status_call():
    def lost(**fields):
        return str(play(*[(T0 + 30 * n, GONE.replace(**fields)) for n in range(3)])[1].error)

    assert "status_route=legacy" in lost()
    assert "status_route=legacy" not in lost(status_route="legacy")
    assert "status_route=legacy" not in lost(model="segmind:mochi-1")


def test_a_job_that_is_finished_at_the_deadline_is_not_said_to_run():
    error = timed_out(state(job=EMPTY))
    assert "still running" not in str(error)
    assert "has charged" in str(error)


def test_every_trouble_ends_within_the_time_that_its_numbers_say():
    for kind, seen in [("not found", GONE), ("no output", EMPTY), ("refused", REFUSED), ("key refused", LOCKED)]:
        limit, second, looks = TROUBLES[kind], T0, 0
        current = state()
        while True:
            current, verdict = after(current, seen, START + timedelta(seconds=second))
            looks += 1
            if verdict.error:
                break
            second += verdict.pause
        assert looks >= limit.times
        assert second - T0 <= limit.lasting.total_seconds() + limit.pause


_SEEN = st.sampled_from([QUEUED, RUNNING, EMPTY, GONE, ODD, LOST, BUSY, STORMY, LOCKED, REFUSED, BROKE])


@given(st.lists(st.tuples(st.floats(0, 600), _SEEN), max_size=60))
def test_only_the_vendors_own_word_or_a_long_row_ends_a_wait_before_its_deadline(steps):
    current, second = state(), 0.0
    for gap, seen in steps:
        second += gap
        current, verdict = after(current, seen, START + timedelta(seconds=second))
        assert verdict.done is None
        assert verdict.pause is None or verdict.pause >= 0.0
        if verdict.error is not None:
            patient = (
                JobExpiredError,
                OutputMissingError,
                AuthenticationError,
                InsufficientCreditsError,
                RequestRejectedError,
            )
            late = (JobTimeoutError, JobUnknownError)
            assert isinstance(verdict.error, (*patient, *late))
            assert not isinstance(verdict.error, late) or second >= 3600
            return
        assert second < 3600


# Gone for good: one function decides it for the wait, for a Clear and for a landing.

HOUR = timedelta(hours=1)
KEPT = DONE.replace(expires_at=START + HOUR)  # its vendor documents that it forgets a job after an hour


@pytest.mark.parametrize(
    ("job", "after", "gone"),
    [
        # the vendor's own word, past the grace after the submit
        (GONE, timedelta(seconds=1), False),
        (GONE, GRACE - timedelta(seconds=1), False),
        (GONE, GRACE, True),
        (GONE.replace(submitted_at=None), timedelta(0), True),
        # twice a documented retention
        (KEPT, HOUR, False),
        (KEPT, 2 * HOUR - timedelta(seconds=1), False),
        (KEPT, 2 * HOUR, True),
        (KEPT.replace(status=JobStatus.RUNNING), 2 * HOUR, True),
        # time alone says nothing where no retention is documented
        (DONE, timedelta(days=400), False),
        (RUNNING, timedelta(days=400), False),
        (EMPTY, timedelta(days=400), False),
        (DONE.replace(submitted_at=None, expires_at=START), timedelta(days=400), False),
    ],
)
def test_a_job_is_lost_by_the_vendors_word_or_after_twice_its_documented_retention(job, after, gone):
    assert lost(job, START + after) is gone


class Vendor:
    """Answers one thing after another, the last one for ever; its clock moves by the pauses."""

    def __init__(self, *answers, second=T0):
        self.answers, self.asked, self.slept, self.reconnected = list(answers), 0, [], 0
        self.second = second

    def look(self, _job):
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.second += seconds

    def reconnect(self):
        self.reconnected += 1

    def believed(self, job=RUNNING):
        return believed(
            job,
            self.look,
            now=lambda: START + timedelta(seconds=self.second),
            sleep=self.sleep,
            reconnect=self.reconnect,
        )


@pytest.mark.parametrize("seen", [QUEUED, RUNNING, DONE, EMPTY, FAILED, ERRED, ODD])
def test_what_the_vendor_says_of_a_job_that_it_knows_is_believed_at_once(seen):
    vendor = Vendor(seen)
    assert (vendor.believed(), vendor.asked, vendor.slept) == (seen, 1, [])


def test_one_404_outside_of_a_wait_is_asked_again_and_does_not_lose_the_job():
    vendor = Vendor(GONE, DONE)
    assert (vendor.believed(), vendor.asked) == (DONE, 2)


def test_a_job_that_the_vendor_goes_on_not_knowing_is_lost_after_a_minute():
    vendor = Vendor(GONE)
    assert vendor.believed().status is JobStatus.EXPIRED
    assert sum(vendor.slept) >= 60
    assert all(vendor.slept)


def test_a_job_that_the_vendor_does_not_know_a_moment_after_its_submit_is_as_it_was_known():
    vendor = Vendor(GONE, second=30)
    assert (vendor.believed(), vendor.asked) == (RUNNING, 1)


def test_an_attached_job_without_a_time_is_asked_for_with_the_same_patience():
    vendor = Vendor(GONE.replace(submitted_at=None))
    assert vendor.believed(BOUGHT.replace(submitted_at=None)).status is JobStatus.EXPIRED
    assert vendor.asked == 3


@pytest.mark.parametrize("error", [LOST, BUSY])
def test_no_answer_outside_of_a_wait_is_airflows_to_ask_again(error):
    vendor = Vendor(error)
    with pytest.raises(type(error)):
        vendor.believed()
    assert vendor.slept == []


@pytest.mark.parametrize(("error", "seconds"), [(REFUSED, 30), (BROKE, 30), (LOCKED, 10)])
def test_a_refusal_outside_of_a_wait_is_believed_when_it_is_repeated(error, seconds):
    assert Vendor(error, DONE).believed() is DONE
    vendor = Vendor(error)
    with pytest.raises(type(error)):
        vendor.believed()
    assert sum(vendor.slept) >= seconds
    assert vendor.reconnected == (2 if error is LOCKED else 0)


@pytest.mark.parametrize("trouble", [WRONG, AWAY])
def test_no_trouble_with_the_connection_of_a_paid_job_is_final(trouble):
    _, verdict = play(*((second, trouble) for second in ([0] if trouble is WRONG else [0, 30, 60])))
    assert verdict.error.retryable
    assert verdict.error.request_id == BOUGHT.request_id
    assert "The job is not affected." in str(verdict.error)


def test_a_connection_that_is_away_is_read_again_after_a_pause():
    _, verdict = play((0, AWAY))
    assert verdict.reconnect
    assert verdict.pause > 0
