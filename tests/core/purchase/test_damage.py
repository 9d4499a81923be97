"""Records that are missing, cut, foreign or no files at all: nothing is bought, the rest is listed, a person answers."""

from __future__ import annotations

import errno
import json
import os
import stat
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.purchase.resolve import attach, forget
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from tests.core.purchase.test_limits import reserve
from tests.support.ledger import MODEL

DAMAGE = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda _: b"",
    "blank": lambda _: b" \n",
    "foreign": lambda _: b'{"name": "package.json", "version": "1.0"}',
    "a list": lambda _: b"[1]",
    "deep": lambda _: b"[" * 100_000,
    "deep and closed": lambda _: b'{"job":' * 3000 + b"1" + b"}" * 3000,
    "no UTF-8": lambda _: b"\xff\xfe\x00",
    "too large": lambda _: b'{"x": "' + b"x" * 2_000_000 + b'"}',
    "a price beyond all": lambda text: changed(text, estimated_cost_usd="9e999999"),
    "a price that is infinite": lambda text: text.replace(b'"claim"', b'"estimated_cost_usd": 9e999999, "claim"'),
    "a price of NaN": lambda text: text.replace(b'"claim"', b'"estimated_cost_usd": NaN, "claim"'),
    "a number beyond all": lambda text: text.replace(b'"number": 1', b'"number": ' + b"9" * 5000),
    "a long number": lambda text: changed(text, number=10**30),
    "a purchase of zero": lambda text: changed(text, purchase=0),
    "a date without a zone": lambda text: changed(text, created_at="2026-01-01T00:00:00"),
    "wrong types": lambda text: changed(text, state=["submitted"], request_id=7),
    "an unknown state": lambda text: changed(text, state="thought about"),
    "somebody else's": lambda text: changed(text, dag_id="other"),
}


def changed(text, **fields):
    return json.dumps(json.loads(text) | fields).encode()


@pytest.fixture
def directory(tmp_path):
    return LocalDirectory(tmp_path)


@pytest.fixture
def task(directory, vendor, make_task):
    return make_task(Ledger(directory), vendor)


@pytest.fixture
def record(task, tmp_path):
    """The record of a task instance that has bought."""
    task.run()
    (path,) = tmp_path.rglob("1.json")
    return path


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_stops_its_own_submit_and_names_itself_and_the_ways_out(task, vendor, record, kind):
    record.write_bytes(DAMAGE[kind](record.read_bytes()))
    with pytest.raises(LedgerError) as caught:
        task.run()
    assert "submits/d/scheduled__2026-01-01T00:00:00+00:00/submit/-1/1" in str(caught.value).replace("=3A", ":")
    assert "ledger attach d scheduled__2026-01-01T00:00:00+00:00 submit <its id>" in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert len(vendor.charges) == 1


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "somebody else's"])
def test_the_rest_is_listed_and_the_damaged_one_is_named(task, vendor, record, make_task, kind):
    make_task(task.ledger, vendor, 3).run()
    record.write_bytes(DAMAGE[kind](record.read_bytes()))
    found = task.ledger.overview()
    assert [attempt.map_index for attempt in found.attempts] == [3]
    assert [(flaw.name, flaw.key) for flaw in found.flaws] == [(str(record), task.identity.key(1))]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_person_may_attach_the_job_in_place_of_a_damaged_record(task, vendor, record, kind):
    record.write_bytes(DAMAGE[kind](record.read_bytes()))
    attach(task.ledger, task.identity, VideoJob(model=MODEL, request_id="job-1"), now=vendor_time())
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1


def test_a_person_may_forget_a_damaged_record(task, vendor, record):
    record.write_text("")
    assert [attempt.state for attempt in forget(task.ledger, task.identity)] == [AttemptState.FORGOTTEN]
    assert task.run().request_id == "job-2"


def test_a_damaged_settlement_is_named_and_the_rest_is_listed(task, record, tmp_path):
    task.ledger.mark_landed(VideoJob(model=MODEL, request_id="x"))
    next((tmp_path / "landed").iterdir()).write_text('{"request_id": [], "v": 9e999999}')
    (tmp_path / "landed" / "notes.json").write_text("{}")
    found = task.ledger.overview()
    assert len(found.attempts) == 1
    assert len(found.flaws) == 2


def test_a_record_that_goes_between_listing_and_reading_is_not_there(task, record, directory, mocker):
    real = os.lstat

    def lstat(path, *rest):
        if str(path) == str(record):
            raise FileNotFoundError(errno.ENOENT, "gone", str(path))
        return real(path, *rest)

    mocker.patch("airflow_video_providers.core.purchase.stores.local_directory.os.lstat", lstat)
    assert (task.ledger.overview().attempts, task.ledger.overview().flaws) == ([], [])


# --- what is no file ---------------------------------------------------------------------------------------------


def as_fifo(path, _):
    os.mkfifo(path)


def as_link(path, tmp_path):
    (tmp_path / "elsewhere").write_text("{}")
    path.symlink_to(tmp_path / "elsewhere")


def as_device(path, _):
    path.symlink_to("/dev/zero")


def as_directory(path, _):
    path.mkdir()


@pytest.mark.parametrize("make", [as_fifo, as_link, as_device, as_directory])
def test_only_regular_files_are_opened(task, vendor, record, tmp_path, make):
    record.unlink()
    make(record, tmp_path)
    with pytest.raises(LedgerError, match="is no regular file"):
        task.run()
    found = task.ledger.overview()
    assert [flaw.why for flaw in found.flaws] == ["is no regular file"]
    assert len(vendor.charges) == 1


@pytest.mark.parametrize("make", [as_fifo, as_link, as_device])
def test_an_answer_takes_the_place_of_what_is_no_file_and_follows_no_link(task, record, tmp_path, make):
    record.unlink()
    make(record, tmp_path)
    attach(task.ledger, task.identity, VideoJob(model=MODEL, request_id="job-1"), now=vendor_time())
    assert stat.S_ISREG(record.lstat().st_mode)
    assert not (tmp_path / "elsewhere").exists() or (tmp_path / "elsewhere").read_text() == "{}"
    assert task.run().request_id == "job-1"


# --- holes -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["directory", "any store"])
def three(request, ledger, vendor, make_task, task):
    """Two refused attempts, and a third that has bought."""
    buyer = task if request.param == "directory" else make_task(ledger, vendor)
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            buyer.run(InvalidRequestError("No."))
    buyer.run()
    return buyer


def remove(buyer, number, accessor, tmp_path):
    for path in tmp_path.rglob(f"{number}.json"):
        path.unlink()
    for name in [name for name in accessor.rows if name.startswith(f"video_ledger.submits.{number}")]:
        del accessor.rows[name]


@pytest.mark.parametrize("gone", [(1,), (2,), (1, 2)])
def test_a_hole_in_the_attempts_is_refused_with_the_missing_number(three, vendor, accessor, tmp_path, gone):
    for number in gone:
        remove(three, number, accessor, tmp_path)
    with pytest.raises(LedgerError, match=f"Attempt {gone[0]} of .* is missing") as caught:
        three.run()
    assert "Nothing was sent" in str(caught.value)
    assert len(vendor.charges) == 1


def test_a_person_answers_a_hole(three, vendor, accessor, tmp_path):
    remove(three, 2, accessor, tmp_path)
    forget(three.ledger, three.identity)
    assert three.run().request_id == "job-1"
    assert len(vendor.charges) == 1


@pytest.mark.parametrize("gone", ["000001", "000002"])
def test_a_hole_in_the_runs_budget_is_refused_with_the_missing_number(directory, tmp_path, gone):
    for who in "abc":
        reserve(directory, who, "0.3")
    next(tmp_path.rglob(f"{gone}.json")).unlink()
    with pytest.raises(LedgerError, match=f"Entry {int(gone)} of 3 of the budget of d/r is missing"):
        reserve(directory, "d", "0.1")


@pytest.mark.parametrize("usd", ["9e999999", "NaN", "-1", "much", None, [1], 1e400])
def test_an_entry_of_the_budget_that_is_no_amount_is_refused(directory, tmp_path, usd):
    reserve(directory, "a")
    path = next(tmp_path.rglob("000001.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"usd": usd}))
    with pytest.raises(LedgerError, match="000001"):
        reserve(directory, "b")


def test_a_foreign_file_beside_the_budget_disturbs_nothing(directory, tmp_path):
    reserve(directory, "a")
    next(tmp_path.rglob("000001.json")).with_name("notes.json").write_text("{")
    reserve(directory, "b")
    assert Reservations.of_run(directory, "d", "r").reserved() == Decimal("0.8")


# --- file systems ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
@pytest.mark.parametrize("everything", [False, True])
def test_a_file_system_that_cannot_sync_is_used_without(task, vendor, mocker, code, everything):
    real = os.fsync

    def fsync(handle):
        if everything or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, "not supported")
        real(handle)

    mocker.patch("os.fsync", fsync)
    assert task.run().request_id == "job-1"
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1


def test_a_sync_that_fails_for_real_after_the_intent_stood_is_no_lost_race(task, vendor, mocker):
    real = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode) and not failed:
            failed.append(handle)
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    failed = []
    mocker.patch("os.fsync", fsync)
    assert task.run().request_id == "job-1"
    assert failed


def test_a_full_disk_leaves_nothing_behind_and_nothing_is_sent(task, vendor, tmp_path, mocker):
    real = os.fsync

    def fsync(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    mocker.patch("os.fsync", fsync)
    with pytest.raises(LedgerError, match="No space left") as caught:
        task.run()
    assert caught.value.retryable
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    mocker.stopall()
    assert task.run().request_id == "job-1"


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077], indirect=True)
def test_modes_are_what_the_umask_leaves_so_that_a_group_may_share_the_directory(task, tmp_path, umask):
    tmp_path.chmod(0o2775)
    task.run()
    task.ledger.mark_landed(VideoJob(model=MODEL, request_id="job-1"))
    for path in tmp_path.rglob("*"):
        mode = path.stat().st_mode
        assert stat.S_IMODE(mode) & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask
        assert path.is_file() or mode & stat.S_ISGID


def vendor_time():
    from datetime import UTC, datetime

    return datetime(2026, 1, 3, tzinfo=UTC)
