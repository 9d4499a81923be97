"""Random histories of one task instance: answers, crashes at any store call, overlapping tries, clears, gestures.

Whatever happens: never more charges than purchases that somebody asked for, and never a lost request_id.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airflow_video_providers.core.errors import (
    InvalidRequestError,
    RateLimitedError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.decision import Choices, Try
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.receipts import repair
from airflow_video_providers.core.purchase.records import AttemptState, Identity, Run
from airflow_video_providers.core.purchase.resolve import attach, forget, void_after_error
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.integration.state_store import TaskStateStore
from tests.support.ledger import an_order
from tests.support.versions import needs_state_store

ME = Identity("d", "r", "t")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "pixazo:mochi-v1"

ANSWERS = st.sampled_from(["bought", "bought", "refused", "lost before", "lost after", "killed before", "killed after"])
#: At which store call of a try the store fails or the process dies, before or after the call took effect.
FAULTS = st.none() | st.none() | st.tuples(st.integers(0, 12), st.sampled_from(["fails", "dies"]), st.booleans())


class KilledError(BaseException):
    pass


def _nothing():
    pass


class Rows:
    """The rows of both stores, with one fault per try."""

    def __init__(self):
        self.rows = {}
        self.fault = None
        self.calls = 0
        self.overtake = None
        self.dead = False  # a killed process does nothing more
        self.refusals = 0  # how many writes after the paid call the store refuses
        self.paid = False

    def begin(self, fault):
        self.fault, self.calls, self.dead, self.paid = fault, 0, False, False

    def sleep(self, _seconds):
        pass

    def step(self, operation, *, writes=False):
        if self.dead:
            raise KilledError
        if writes and self.paid and self.refusals:
            self.refusals -= 1
            raise PermissionError("denied")
        at, kind, late = self.fault or (-1, "", False)
        hit = self.calls == at
        self.calls += 1
        if not hit:
            return operation()
        if kind == "overtaken":
            if not late:
                self.overtake()
            result = operation()
            if late:
                self.overtake()
            return result
        if late:
            operation()
        self.dead = kind == "dies"
        raise KilledError if self.dead else OSError("the store did not answer")

    # context["task_state_store"]
    def get(self, name):
        return self.step(lambda: json.loads(self.rows.get(name, "null")))

    def set(self, name, value, *, retention=None):
        assert retention is timedelta.max
        self.step(lambda: self.rows.__setitem__(name, json.dumps(value)), writes=True)


class CreateOnly:
    """What a directory promises."""

    shared = True

    def __init__(self, rows):
        self._rows = rows

    def read(self, key):
        return self._rows.step(lambda: json.loads(self._rows.rows.get(key, "null")))

    def create(self, key, value):
        return self._rows.step(lambda: self._rows.rows.setdefault(key, json.dumps(value)) == json.dumps(value))

    def holds(self, key, claim):
        return (self.read(key) or {}).get("claim") == claim

    def replace(self, key, value):
        self._rows.step(lambda: self._rows.rows.__setitem__(key, json.dumps(value)), writes=True)

    def names(self, prefix):
        below = [key[-1] for key in self._rows.rows if key[:-1] == prefix]
        return self._rows.step(lambda: below)

    def list(self, prefix):
        raise AssertionError("a purchase lists nothing")


class Gate:
    """What stands before an intent: a client that cannot be built, a connection that Airflow does not give."""

    def __init__(self):
        self.shut = 0

    def __call__(self, order):
        if self.shut:
            self.shut -= 1
            raise InvalidRequestError("The environment names a proxy that cannot be used.")
        return order


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text, *values):
        self.lines.append(text % values)

    warning = error = critical = info


class Purchases(RuleBasedStateMachine):
    make_store = CreateOnly

    def __init__(self):
        super().__init__()
        self.rows = Rows()
        self.store = type(self).make_store(self.rows)
        self.log = Log()
        self.gate = Gate()
        self.moment = Run(NOW, NOW, 0)
        self.max_tries = 3
        self.wishes = 1  # the task was asked to run once
        self.clears = 0
        self.jobs = {}
        self.answered = set()  # ids that reached the buyer's process
        self.charged = Counter()  # per purchase
        self.resubmits = set()  # purchases that may be bought once more
        self.voids = Counter()
        self.stored = set()
        self.given = None  # (generation, id) that a try returned, until a person or the vendor changes it
        self.violations = []
        self.posts = 0
        self.due = []  # jobs whose receipt the store refused for good

    def poll(self, job, vendor):
        if vendor == "is away":
            raise VendorUnavailableError("503.")
        seen = self.jobs[job.request_id]
        return seen.replace(status=JobStatus.UNKNOWN) if vendor == "lags" else seen

    def attempts(self):
        kept = self.rows.fault, self.rows.calls, self.rows.dead, self.rows.paid
        self.rows.begin(None)
        try:
            return Ledger(self.store).attempts(ME)
        finally:
            self.rows.fault, self.rows.calls, self.rows.dead, self.rows.paid = kept

    def sell(self, answer, policy, meanwhile):
        self.posts += 1
        self.rows.paid = True
        open_ones = [attempt for attempt in self.attempts() if attempt.state is AttemptState.INTENT]
        if not open_ones:
            self.violations.append("money is spent and no intent is stored")
            raise KilledError
        newest = open_ones[-1]
        if policy == "resubmit":
            self.resubmits.add(newest.purchase)
        meanwhile()
        if answer == "killed before":
            raise KilledError
        if answer == "lost before":
            raise OSError("reset")
        if answer == "refused":
            raise RateLimitedError("429.")
        request_id = f"job-{len(self.jobs) + 1}"
        self.jobs[request_id] = VideoJob(model=MODEL, request_id=request_id, status=JobStatus.RUNNING)
        self.charged[newest.purchase] += 1
        if answer == "killed after":
            raise KilledError
        if answer == "lost after":
            raise SubmissionOutcomeUnknownError("Read timeout.")
        self.answered.add(request_id)
        return self.jobs[request_id]

    def run(self, answer, fault, policy, on_clear, meanwhile=_nothing, vendor="answers"):
        intents = sum(attempt.open for attempt in self.attempts())
        held = {attempt.request_id for attempt in self.attempts()}
        posts, ended = self.posts, None
        self.rows.begin(fault)
        charges = sum(self.charged.values())
        newest = (self.attempts() or [None])[-1]
        still = (
            newest is not None
            and newest.state is AttemptState.SUBMITTED
            and newest.run_started_at == self.moment.started_at
        )
        self.looked_at = newest.request_id if still else object()
        overlapping = meanwhile is not _nothing or (fault and fault[1] == "overtaken")
        try:
            job = submit_once(
                an_order(),
                Ledger(self.store),
                lambda _order: self.sell(answer, policy, meanwhile),
                this=Try(ME, self.max_tries, 1, self.moment),
                chosen=Choices(on_clear, policy),
                outside=Outside(
                    log=self.log,
                    poll=lambda job: self.poll(job, vendor),
                    ready=self.gate,
                    clock=lambda: NOW,
                    sleep=self.rows.sleep,
                ),
            )
        except (VideoProviderError, KilledError) as error:
            ended = error
            return
        finally:
            self.rows.begin(None)
            alone = not overlapping and not isinstance(ended, KilledError)
            if alone and self.posts == posts and sum(attempt.open for attempt in self.attempts()) > intents:
                self.violations.append(f"nothing was sent, and an intent stays open: {ended}")
            if alone and vendor != "answers" and self.posts > posts and any(held) and self.looked_at in held:
                self.violations.append("bought, although the vendor did not say how the job stands")
        if job.receipt_due:
            self.due.append(job)
        given = (self.max_tries, job.request_id)
        retried = self.given is not None and self.given[0] == self.max_tries and not overlapping
        if retried and (self.given != given or sum(self.charged.values()) != charges):
            self.violations.append(f"a retry of {self.given} gave {given}")
        # a retry does not know what no ledger kept: it raises, or with "resubmit" buys the one more that is counted below
        self.given = None if job.receipt_due else given

    @rule(
        answer=ANSWERS,
        fault=FAULTS,
        policy=st.sampled_from(["fail", "fail", "resubmit"]),
        on_clear=st.sampled_from(["resubmit", "reattach"]),
        vendor=st.sampled_from(["answers", "answers", "lags", "is away"]),
    )
    def a_try(self, answer, fault, policy, on_clear, vendor):
        self.run(answer, fault, policy, on_clear, vendor=vendor)

    @rule(tries=st.integers(1, 3))
    def the_client_cannot_be_built_or_the_connection_is_missing_for_a_while(self, tries):
        self.gate.shut = tries

    @rule(answer=ANSWERS, writes=st.sampled_from([1, 3, 100]))
    def the_store_refuses_what_is_learned_for_a_while(self, answer, writes):
        self.rows.refusals = writes
        self.run(answer, None, "fail", "resubmit")
        self.rows.refusals = 0

    @precondition(lambda self: self.due)
    @rule()
    def a_task_that_knows_the_job_repairs_its_receipt(self):
        repair(Ledger(self.store), self.due.pop(), own=ME, log=self.log)

    @rule(outer=ANSWERS, inner=ANSWERS, fault=FAULTS)
    def a_retry_runs_while_a_zombie_is_paying(self, outer, inner, fault):
        self.rows.overtake = _nothing
        self.run(outer, fault, "fail", "resubmit", meanwhile=lambda: self.aside(inner))

    @rule(
        outer=ANSWERS,
        inner=ANSWERS,
        at=st.integers(0, 12),
        late=st.booleans(),
        policy=st.sampled_from(["fail", "resubmit"]),
    )
    def a_try_is_overtaken_by_another(self, outer, inner, at, late, policy):
        self.rows.overtake = lambda: self.aside(inner)
        self.run(outer, (at, "overtaken", late), policy, "resubmit")

    def aside(self, answer):
        """A whole other try, while one is under way."""
        saved = self.rows.fault, self.rows.calls
        self.run(answer, None, "fail", "resubmit")
        self.rows.fault, self.rows.calls = saved

    @rule()
    def a_person_clears_the_task(self):
        self.max_tries += 2
        self.wishes += 1

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), status=st.sampled_from([JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.EXPIRED]))
    def a_job_ends(self, data, status):
        name = data.draw(st.sampled_from(sorted(self.jobs)))
        self.jobs[name] = self.jobs[name].replace(status=status)

    @precondition(lambda self: self.attempts() and self.attempts()[-1].state is AttemptState.SUBMITTED)
    @rule()
    def the_vendor_takes_a_job_back(self):
        newest = self.attempts()[-1]
        job = self.jobs[newest.request_id].replace(status=JobStatus.ERROR, charged="no")
        if void_after_error(Ledger(self.store), ME, job, limit=1):
            self.voids[newest.purchase] += 1
            self.given = None

    @precondition(lambda self: any(a.open for a in self.attempts()))
    @rule()
    def a_person_forgets_the_open_intents(self):
        forget(Ledger(self.store), ME)
        self.wishes += 1
        self.given = None

    @precondition(lambda self: self.attempts() and self.attempts()[-1].open)
    @rule()
    def a_person_attaches_what_the_vendor_shows(self):
        lost = sorted(set(self.jobs) - {a.request_id for a in self.attempts()})
        if lost:
            attach(Ledger(self.store), ME, self.jobs[lost[-1]], now=NOW)
            self.given = None

    @invariant()
    def no_rule_was_broken(self):
        assert self.violations == []

    @invariant()
    def never_more_charges_than_purchases_that_were_asked_for(self):
        forgotten = Counter(a.purchase for a in self.attempts() if a.state is AttemptState.FORGOTTEN)
        for purchase, charges in self.charged.items():
            allowed = 1 + (purchase in self.resubmits) + self.voids[purchase] + forgotten[purchase]
            assert charges <= allowed, (purchase, charges)
        assert max(self.charged, default=0) <= self.wishes

    @invariant()
    def never_a_lost_request_id(self):
        known = {a.request_id for a in self.attempts() if a.request_id}
        assert self.stored <= known, "what was stored once stays"
        self.stored = known
        log = "\n".join(self.log.lines)
        told = set(re.findall(r"request_id=(job-[0-9]+)", log))
        assert self.answered <= known | told

    @invariant()
    def an_answer_that_nobody_got_leaves_a_trace(self):
        attempts = self.attempts()
        known = {a.request_id for a in attempts}
        traces = sum(a.open or a.state is AttemptState.FORGOTTEN for a in attempts)
        attached = sum(a.request_id not in self.answered for a in attempts if a.request_id)
        assert len(set(self.jobs) - known) <= traces + attached


class PurchasesInADirectory(Purchases):
    @rule()
    def a_person_deletes_the_run_and_makes_it_anew(self):
        self.moment = Run(NOW, self.moment.started_at + timedelta(days=1), 0)
        self.wishes += 1
        self.given = None


class PurchasesInTheStateStore(Purchases):
    make_store = TaskStateStore


LIMITS = settings(
    max_examples=3 * settings().max_examples,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCreateOnly = PurchasesInADirectory.TestCase
TestCreateOnly.settings = LIMITS
TestStateStore = needs_state_store(PurchasesInTheStateStore.TestCase)
TestStateStore.settings = LIMITS
