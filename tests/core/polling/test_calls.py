"""Callbacks in the poller: a job is polled when its vendor calls, trust is earned, and one missing call takes it back."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.polling.mailbox import EVERY, Mail, MailReader, job_mark
from airflow_video_providers.core.polling.trust import ON_ITS_WAY, Trust
from tests.support.virtual import FakeClient, new_job, new_poller, run_virtually, state, wall_clock

SUCCEEDED = JobStatus.SUCCEEDED


class Post:
    """The mailbox of a test: mail that appears at its time."""

    def __init__(self):
        self.due, self.failing, self.listings = [], False, 0
        self.reader = MailReader(self.opened, wall=lambda: 0.0)

    async def opened(self):
        return self

    def listed(self):
        self.listings += 1
        if self.failing:
            raise OSError("away")
        now = asyncio.get_running_loop().time() - 1000.0
        return [mail for at, mail in self.due if at <= now]

    def call(self, at, request_id="r1", *, terminal=True):
        self.due.append((at, Mail(10**10, "0" * 32, job_mark("pixel", request_id), terminal)))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch):
    async def now(function, *arguments):
        return function(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", now)


def a_job(request_id="r1", **fields):
    return new_job(request_id, callback_until=wall_clock() + timedelta(days=7), **fields)


def polls(client, request_id="r1"):
    return [at for at, name in client.looks if name == request_id]


async def trusted(poller):
    poller._calls._trust.arrived()


def run(done_after, calls, *, trust=True, jobs=("r1",), seconds=3600.0):
    """The polls of jobs that end at their times and are called about at others; and the poller's trust at the end."""

    async def main():
        client = FakeClient(done_after=done_after.get)
        poller, post = new_poller(client), Post()
        if trust:
            await trusted(poller)
        for at, request_id in calls:
            post.call(at, request_id)
        await asyncio.gather(*(poller.wait(state(a_job(one), seconds), mail=post.reader) for one in jobs))
        return client, poller._calls._trust.earned

    return run_virtually(main())


def test_a_job_is_polled_once_when_its_vendor_calls():
    client, _ = run({"r1": 100.0}, [(101.0, "r1")])
    (at,) = polls(client)
    assert 101.0 <= at <= 101.0 + EVERY


def test_until_a_call_has_been_seen_jobs_are_polled_as_without_any():
    def looks(calls, mail):
        async def main():
            client = FakeClient(done_after={"r1": 200.0}.get)
            post = Post()
            for call in calls:
                post.call(*call)
            await new_poller(client).wait(state(a_job()), mail=post.reader if mail else None)
            return polls(client)

        return run_virtually(main())

    assert looks([], True) == looks([], False)
    assert len(looks([], True)) > 5


def test_the_first_call_earns_the_trust_for_those_that_come_after():
    client, earned = run({"r1": 60.0, "r2": 500.0}, [(61.0, "r1"), (501.0, "r2")], trust=False, jobs=("r1", "r2"))
    assert earned
    later = [at for at in polls(client, "r2") if at > 80]
    assert len(later) <= 2, "what was due is polled once more; then the call is waited for, with a net"
    assert 501.0 <= later[-1] <= 501.0 + EVERY


def test_a_missing_call_takes_the_trust_back_and_the_log_names_the_likely_cause_once(caplog):
    caplog.set_level(logging.WARNING)
    client, earned = run({f"r{n}": 50.0 for n in range(5)}, [], jobs=[f"r{n}" for n in range(5)])
    assert not earned
    lines = [record.getMessage() for record in caplog.records if "not relied on" in record.getMessage()]
    assert len(lines) == 1
    assert "ingress" in lines[0]
    assert max(at for at, _ in client.looks) < 700


def test_jobs_that_waited_for_their_call_are_polled_soon_when_the_trust_is_lost():
    jobs = {"r1": 10.0, **{f"s{n}": 3000.0 for n in range(3)}}
    client, _ = run(jobs, [], jobs=list(jobs), seconds=4000.0)
    lost_at = polls(client, "r1")[0]
    assert all(min(at for at in polls(client, name)) < lost_at + 30 for name in jobs)


def test_a_call_that_is_still_on_its_way_costs_no_trust():
    trust = Trust("c")
    trust.arrived()

    async def main():
        job = new_job(completed_at=wall_clock())
        assert not trust.missed(job, wall_clock() + timedelta(seconds=ON_ITS_WAY - 1))
        assert trust.earned
        assert trust.missed(job, wall_clock() + timedelta(seconds=ON_ITS_WAY + 1))
        assert not trust.earned

    run_virtually(main())


def test_each_loss_makes_trust_dearer():
    trust, needed = Trust("c"), []
    for _ in range(4):
        count = 0
        while not trust.earned:
            trust.arrived()
            count += 1
        needed.append(count)
        trust.lost("why")
    assert needed == [1, 2, 4, 8]


def test_a_word_before_the_end_does_not_wake():
    async def main():
        client, post = FakeClient(done_after={"r1": 100.0}.get), Post()
        poller = new_poller(client)
        await trusted(poller)
        post.call(10.0, terminal=False)
        post.call(101.0, terminal=True)
        await poller.wait(state(a_job()), mail=post.reader)
        return polls(client)

    assert len(run_virtually(main())) == 1


def test_mail_that_came_before_the_wait_is_polled_for_at_once():
    async def main():
        client, post = FakeClient(done_after={"r1": 0.0}.get), Post()
        post.call(0.0)
        await new_poller(client).wait(state(a_job()), mail=post.reader)
        return polls(client)

    assert run_virtually(main()) == [pytest.approx(0.0, abs=0.1)]


def test_a_call_that_comes_too_soon_is_polled_for_once_and_then_as_usual():
    """The vendor's status may lag behind its call; and whoever has read a token can call at any time."""
    client, _ = run({"r1": 100.0}, [(20.0, "r1")])
    looks = polls(client)
    assert 20.0 <= looks[0] <= 20.0 + EVERY
    assert looks[1] - looks[0] >= 5.0
    assert looks[-1] < 116.0


def test_mail_about_another_job_wakes_nobody():
    client, _ = run({"r1": 100.0}, [(5.0, "another"), (101.0, "r1")])
    assert len(polls(client)) == 1


def test_a_mailbox_that_cannot_be_read_takes_the_trust_back():
    async def main():
        client, post = FakeClient(done_after={"r1": 100.0}.get), Post()
        poller = new_poller(client)
        await trusted(poller)
        post.failing = True
        await poller.wait(state(a_job()), mail=post.reader)
        return polls(client)

    looks = run_virtually(main())
    assert looks[-1] < 116.0, "as without callbacks"


def test_an_authors_own_interval_is_kept_and_a_call_still_wakes():
    async def main():
        client, post = FakeClient(done_after={"r1": 100.0}.get), Post()
        poller = new_poller(client)
        await trusted(poller)
        post.call(101.0)
        await poller.wait(state(a_job()), interval=40.0, mail=post.reader)
        return polls(client)

    assert [round(at) for at in run_virtually(main())][:3] == [0, 40, 80]


def test_a_wait_that_is_over_expects_no_mail_but_what_is_on_its_way():
    async def main():
        client, post = FakeClient(done_after={"r1": 10.0}.get), Post()
        poller = new_poller(client)
        await poller.wait(state(a_job()), mail=post.reader)
        post.call(asyncio.get_running_loop().time() - 1000.0 + 20.0)
        await asyncio.sleep(ON_ITS_WAY + EVERY)
        assert poller._calls._trust.earned, "a poll was faster, and the call has been seen all the same"
        before = post.listings
        await asyncio.sleep(600)
        assert post.listings == before

    run_virtually(main())


def test_a_job_that_nobody_was_asked_to_call_about_is_polled_as_ever():
    async def main():
        client, post = FakeClient(done_after={"r1": 100.0}.get), Post()
        poller = new_poller(client)
        await trusted(poller)
        await poller.wait(state(new_job()), mail=post.reader)
        assert post.listings == 0
        return polls(client)

    assert len(run_virtually(main())) > 3


def test_a_cancelled_wait_that_was_called_about_leaves_the_others_their_slots():
    async def main():
        client, post = FakeClient(done_after={"r1": 500.0, "r2": 60.0}.get), Post()
        poller = new_poller(client, per_minute=60)
        first = asyncio.create_task(poller.wait(state(a_job("r1")), mail=post.reader))
        second = asyncio.create_task(poller.wait(state(a_job("r2")), mail=post.reader))
        post.call(30.0, "r1")
        await asyncio.sleep(31.0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        post.call(61.0, "r2")
        done = await second
        assert done.status is SUCCEEDED
        assert poller._scheduler._gone >= 0

    run_virtually(main())
