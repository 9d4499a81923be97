"""The limits of work: the same on a slow machine as on a fast one."""

from __future__ import annotations

import pytest

from tests.support import work


@pytest.fixture
def clock(monkeypatch):
    """CPU seconds that pass as a test says."""
    now = [0.0]
    monkeypatch.setattr(work.time, "process_time", lambda: now[0])

    def passes(seconds, told=None):
        now[0] += seconds
        return told

    return passes


def test_what_is_within_its_limit_is_done_once_and_measures_nothing(clock, monkeypatch):
    monkeypatch.setattr(work, "_known_work", None)
    assert work.bounded(1.0, lambda: clock(0.9, "done")) == "done"


def test_a_machine_that_is_slower_may_take_longer(clock, monkeypatch):
    monkeypatch.setattr(work, "_known_work", lambda: clock(10 * work._ORDINARY))
    assert work.bounded(1.0, lambda: clock(9.0, "done")) == "done"


def test_what_takes_too_long_each_time_fails_and_once_does_not(clock, monkeypatch):
    monkeypatch.setattr(work, "_known_work", lambda: clock(work._ORDINARY))
    with pytest.raises(AssertionError, match=r"2\.00 CPU seconds, where 1\.0 are allowed"):
        work.bounded(1.0, lambda: clock(2.0))
    spent = [2.0, 2.0, 0.5]
    assert work.bounded(1.0, lambda: clock(spent.pop(0), "done")) == "done"
