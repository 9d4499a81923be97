"""Mail: written once, bounded, read by its names, gone when nobody needs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.callbacks.token import Claim
from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.polling.mailbox import EVERY, Mailbox, MailReader, attempt_mark, job_mark
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from tests.support.virtual import run_virtually

NOW = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
WHO = Identity("dag", "run", "submit")


def claim(number=1, **changes):
    return Claim(
        **{"vendor": "pixazo", "conn_id": "mine", "identity": WHO, "number": number, "expires": NOW + timedelta(days=7)}
        | changes
    )


@pytest.fixture
def store(tmp_path):
    return LocalDirectory(tmp_path)


@pytest.fixture
def mailbox(store):
    return Mailbox(store, "mine")


def test_a_call_is_kept_once_however_often_it_comes(mailbox, store):
    assert mailbox.put(claim(), "r-1", terminal=True) == "kept"
    assert mailbox.put(claim(), "r-1", terminal=True) == "known"
    assert Mailbox(store, "mine").put(claim(), "r-1", terminal=True) == "known"
    (mail,) = mailbox.listed()
    assert (mail.attempt, mail.job, mail.terminal) == (attempt_mark(WHO.key(1)), job_mark("pixazo", "r-1"), True)


def test_a_word_before_the_end_is_a_piece_of_its_own(mailbox):
    assert mailbox.put(claim(), "r-1", terminal=False) == "kept"
    assert mailbox.put(claim(), "r-1", terminal=True) == "kept"
    assert sorted(mail.terminal for mail in mailbox.listed()) == [False, True]
    assert mailbox.ids_for(WHO.key(1)) == ["r-1"]


def test_an_attempt_has_room_for_two_ids_and_no_more(mailbox):
    outcomes = [mailbox.put(claim(), f"r-{number}", terminal=True) for number in range(50)]
    assert outcomes == ["kept", "kept", *["full"] * 48]
    assert sorted(mailbox.ids_for(WHO.key(1))) == ["r-0", "r-1"]


def test_ids_belong_to_their_attempt(mailbox):
    mailbox.put(claim(1), "r-1", terminal=True)
    mailbox.put(claim(2), "r-2", terminal=True)
    assert mailbox.ids_for(WHO.key(2)) == ["r-2"]
    assert mailbox.ids_for(Identity("dag", "run", "other").key(1)) == []


def test_connections_do_not_see_each_others_mail(mailbox, store):
    mailbox.put(claim(), "r-1", terminal=True)
    assert Mailbox(store, "theirs").listed() == []


def test_mail_goes_with_its_job_or_with_its_time(mailbox):
    mailbox.put(claim(1), "r-1", terminal=False)
    mailbox.put(claim(1), "r-1", terminal=True)
    mailbox.put(claim(2), "r-2", terminal=True)
    mailbox.put(claim(3, expires=NOW), "r-3", terminal=True)
    assert mailbox.drop("pixazo", "r-1") == 2
    assert mailbox.drop_expired(NOW) == 1
    assert [mail.job for mail in mailbox.listed()] == [job_mark("pixazo", "r-2")]


def test_what_is_no_mail_is_not_read(mailbox, store):
    store.create(("callbacks", "mine", "something else"), {"claim": "x"})
    assert mailbox.listed() == []


class Listing:
    """A mailbox of the test, and how often it was listed."""

    def __init__(self):
        self.mail, self.times, self.failing = set(), 0, False

    def listed(self):
        self.times += 1
        if self.failing:
            raise LedgerError("away")
        return list(self.mail)


def reading(main, **options):
    """Run a test against a reader of its mailbox."""

    async def run():
        listing = Listing()

        async def opened():
            return listing

        reader = MailReader(opened, wall=lambda: NOW.timestamp(), **options)
        return await main(reader, listing)

    return run_virtually(run())


@pytest.fixture
def mail(mailbox):
    mailbox.put(claim(), "r-1", terminal=True)
    return mailbox.listed()[0]


def test_many_who_wait_share_one_listing(mail, monkeypatch):
    monkeypatch.setattr(asyncio, "to_thread", now)

    async def main(reader, listing):
        seen = []
        waiting = [reader.expect(job_mark("pixazo", f"r-{n}"), seen.append) for n in range(500)]
        await asyncio.sleep(10 * EVERY + 0.1)
        assert listing.times == 11
        listing.mail = {mail}
        await asyncio.sleep(EVERY)
        assert seen == [mail]
        await asyncio.sleep(5 * EVERY)
        assert seen == [mail], "told once"
        for one in waiting:
            one.close()
        before = listing.times
        await asyncio.sleep(100)
        assert listing.times == before, "nobody waits, nobody lists"

    reading(main)


def test_mail_that_was_there_first_is_told_at_once(mail, monkeypatch):
    monkeypatch.setattr(asyncio, "to_thread", now)

    async def main(reader, listing):
        listing.mail = {mail}
        first = reader.expect("somebody", lambda _: None)
        await asyncio.sleep(1)
        seen = []
        reader.expect(mail.job, seen.append)
        reader.expect(mail.attempt, seen.append)
        assert seen == [mail, mail]
        first.close()

    reading(main)


def test_a_mailbox_that_cannot_be_read_is_reported_once_and_read_again(mail, monkeypatch, caplog):
    monkeypatch.setattr(asyncio, "to_thread", now)
    troubles = []

    async def main(reader, listing):
        reader.on_trouble = lambda: troubles.append(1)
        listing.failing = True
        seen = []
        reader.expect(mail.job, seen.append)
        await asyncio.sleep(120)
        assert listing.times < 10
        listing.failing, listing.mail = False, {mail}
        await asyncio.sleep(61)
        assert seen == [mail]

    reading(main)
    assert troubles == [1]
    assert len([record for record in caplog.records if "cannot be read" in record.getMessage()]) == 1


async def now(function, *arguments):
    """A thread's work, in no time: a virtual clock does not wait for threads."""
    return function(*arguments)
