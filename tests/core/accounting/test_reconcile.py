"""An invoice beside the ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from airflow_video_providers.core.accounting.entries import Entry, Period, each_job_once, period
from airflow_video_providers.core.accounting.invoice import Columns, Invoice, Line, read_invoice
from airflow_video_providers.core.accounting.reconcile import cents, reconcile
from airflow_video_providers.core.accounting.spend import BY, spent, total
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.records import AttemptState
from tests.support.accounts import DAY, attempt, bought
from tests.support.work import bounded

HALF_HOUR = timedelta(minutes=30)


def entry(index, counts="charged", request_id=None, **more):
    record = bought(index, request_id, **more) if request_id else attempt(index, AttemptState.UNKNOWN, **more)
    return Entry(record, counts, counts)


def line(number, usd, request_id=None, hours=None):
    return Line(number, Decimal(usd), request_id, None if hours is None else DAY + timedelta(hours=hours))


def compared(lines, entries, by_id=True, within=None):
    return reconcile(Invoice(tuple(lines), by_id), entries, within=within or Period(), tolerance=HALF_HOUR)


def test_what_agrees_explains_every_cent():
    found = compared([line(2, "0.40", "a"), line(3, "0.4", "b")], [entry(0, request_id="a"), entry(1, request_id="b")])
    assert found.agrees
    assert (found.difference, cents(found.difference)) == (0, "+0 cents")


def test_each_difference_has_its_kind_and_its_cents_and_they_add_up():
    entries = [
        entry(0, request_id="dearer"),
        entry(1, request_id="twice"),
        entry(2, request_id="priceless", estimated_cost_usd=None),
        entry(3, "not charged", "void"),
        entry(4, "unknown", "failed"),
        entry(5, request_id="unbilled"),
        entry(6, "unknown"),
        entry(7, "not charged", "rejected"),
    ]
    lines = [
        line(2, "0.505", "dearer"), line(3, "0.40", "twice"), line(4, "0.40", "twice"), line(5, "0.3", "priceless"),
        line(6, "0.40", "void"), line(7, "0.40", "failed"), line(8, "0.40", "stranger"), line(9, "0.10"),
    ]  # fmt: skip
    found = compared(lines, entries)
    assert {match.entry.attempt.request_id: (match.kind, cents(match.difference)) for match in found.matches} == {
        "dearer": ("differs", "+10.5 cents"),
        "twice": ("billed more than once", "+40 cents"),
        "priceless": ("no estimate", "+30 cents"),
        "void": ("billed, not charged by the ledger", "+40 cents"),
        "failed": ("billed, outcome was unknown", "+40 cents"),
    }
    assert [one.number for one, _ in found.only_invoice] == [8, 9]
    assert [one.attempt.request_id for one in found.only_ledger] == ["unbilled"]
    assert [one.attempt.map_index for one in found.open] == [6]
    assert not found.agrees
    parts = [match.difference for match in found.matches] + [one.usd for one, _ in found.only_invoice]
    assert found.difference == sum(parts) - Decimal("0.40") == Decimal("1.705")


@pytest.mark.parametrize(
    ("lines", "counts", "kind"),
    [
        (["0.25", "0.15"], "charged", "agrees"),
        (["0.40", "0.40", "-0.40"], "charged", "agrees"),
        (["0.40", "-0.40"], "not charged", "agrees"),
        (["0.40", "0.40"], "charged", "billed more than once"),
        (["0.40", "-0.40"], "charged", "billed more than once"),
    ],
)
def test_parts_and_refunds_are_summed(lines, counts, kind):
    found = compared([line(n, usd, "a") for n, usd in enumerate(lines)], [entry(0, counts, "a")])
    assert [match.kind for match in found.matches] == [kind]


@pytest.mark.parametrize(
    ("invoiced", "estimate", "agrees"),
    [("0.23", "0.225", True), ("0.22", "0.225", True), ("0.225", "0.225", True), ("0.2", "0.225", False), ("0.24", "0.225", False),
     ("0.226", "0.225", False), ("1", "1.00", True), ("1", "1.4", False)],
)  # fmt: skip
def test_an_invoice_may_round_as_it_is_written_and_never_more_than_to_cents(invoiced, estimate, agrees):
    found = compared([line(2, invoiced, "a")], [entry(0, request_id="a", estimated_cost_usd=Decimal(estimate))])
    assert found.agrees is agrees
    assert found.difference == Decimal(invoiced) - Decimal(estimate), "the difference is exact all the same"


def test_an_id_of_two_vendors_is_refused_and_not_guessed():
    entries = [entry(0, request_id="a"), entry(1, request_id="a", model="segmind:mochi-1")]
    with pytest.raises(InvalidRequestError, match=r"pixazo:mochi-v1, segmind:mochi-1.*--conn-id"):
        compared([line(2, "0.40", "a")], entries)


def test_a_lost_answer_is_named_beside_the_line_that_may_be_its_job():
    entries = [entry(0, "unknown"), entry(1, "unknown"), entry(2, "unknown", estimated_cost_usd=Decimal(9))]
    found = compared([line(2, "0.40", "x", hours=1.2)], entries)
    ((_, answers),) = found.only_invoice
    assert [one.attempt.map_index for one in answers] == [1]
    found = compared([line(2, "0.40", "x")], entries)
    assert [one.attempt.map_index for one in found.only_invoice[0][1]] == [0, 1], "without a time, by the amount"


def test_without_ids_lines_are_matched_by_time_and_amount_and_charged_jobs_come_first():
    entries = [
        entry(0, "not charged", "rejected"),
        entry(0, request_id="a", number=2, created_at=DAY + timedelta(minutes=1)),
        entry(1, "unknown"),
        entry(2, request_id="cheap", estimated_cost_usd=Decimal("0.10")),
        entry(3, request_id="priceless", estimated_cost_usd=None),
        entry(4, request_id="unbilled"),
    ]
    lines = [line(n, usd, hours=hours) for n, (usd, hours) in enumerate(
        [("0.40", 0), ("0.40", 1.1), ("0.40", 2), ("7", 3), ("0.10", 2.4), ("0.40", 9)], start=2)]  # fmt: skip
    found = compared(lines, entries, by_id=False)
    assert {match.lines[0].number: (match.entry.attempt.request_id, match.kind) for match in found.matches} == {
        2: ("a", "agrees"), 3: (None, "billed, outcome was unknown"), 5: ("priceless", "no estimate"), 6: ("cheap", "agrees"),
    }  # fmt: skip
    assert [one.number for one, _ in found.only_invoice] == [4, 7]
    assert [one.attempt.request_id for one in found.only_ledger] == ["unbilled"]


def test_many_lines_of_one_minute_find_their_own_and_quickly():
    entries = [
        entry(0, request_id=f"j{n}", map_index=n, created_at=DAY + timedelta(seconds=n / 100)) for n in range(3000)
    ]
    lines = [line(n, "0.40", hours=0.1) for n in range(3000)]
    found = bounded(3.0, lambda: compared(lines, entries, by_id=False))
    assert found.agrees
    assert len(found.matches) == 3000


def test_only_what_lies_in_the_period_is_expected_and_any_may_be_billed():
    entries = [entry(0, request_id="old"), entry(30, request_id="now"), entry(60, request_id="later")]
    found = compared([line(2, "0.40", "old")], entries, within=period("2026-11-21", "2026-11-21"))
    assert [match.kind for match in found.matches] == ["agrees"]
    assert [one.attempt.request_id for one in found.only_ledger] == ["now"]
    found = compared([line(2, "0.40", hours=30)], entries, by_id=False)
    assert found.agrees, "without a period it is that of the lines"


def test_a_day_without_a_time_reaches_to_its_end(tmp_path):
    (tmp_path / "invoice.csv").write_text("request_id,amount,date\nj1,0.40,2026-11-20\n")
    invoice = read_invoice(tmp_path / "invoice.csv", Columns(request_id="request_id", time="date"))
    entries = [
        entry(0, request_id="j1"),
        entry(1, request_id="j2"),
        entry(2, "unknown"),
        entry(13, request_id="next day"),
    ]
    found = reconcile(invoice, entries, within=Period(), tolerance=HALF_HOUR)
    assert not found.agrees
    assert [one.attempt.request_id for one in found.only_ledger] == ["j2"]
    assert [one.attempt.map_index for one in found.open] == [2]


@pytest.mark.parametrize("second", ["0.175", "0.18"])
def test_a_line_leaves_a_purchase_that_costs_as_much_when_rounded_to_the_line_that_names_it_exactly(second):
    entries = [
        entry(0, request_id="a", estimated_cost_usd=Decimal("0.175")),
        entry(0, request_id="b", estimated_cost_usd=Decimal("0.18"), created_at=DAY + timedelta(minutes=1)),
    ]
    lines = [line(2, "0.18", hours=5 / 3600), line(3, second, hours=65 / 3600)]
    found = compared(lines, entries, by_id=False)
    assert found.agrees
    assert len(found.matches) == 2


# --- the ledger's own side ---------------------------------------------------------------------------------------


def test_a_job_that_two_attempts_hold_counts_once_with_the_one_that_knows_a_price():
    entries = each_job_once(
        [entry(0, request_id="a", estimated_cost_usd=None), entry(1, request_id="a"), entry(2, request_id="b")]
    )
    assert [(one.attempt.map_index, one.again) for one in entries] == [(0, True), (1, False), (2, False)]
    assert total(entries).charged.to_dict() == {"count": 2, "usd": "0.80", "without_price": 0}


def test_an_attached_copy_is_billed_by_no_line():
    entries = each_job_once([entry(0, request_id="a"), entry(0, request_id="a", map_index=1)])
    found = compared([line(2, "0.40", hours=0), line(3, "0.40", hours=0)], entries, by_id=False)
    assert [match.kind for match in found.matches] == ["agrees"]
    assert [one.number for one, _ in found.only_invoice] == [3]


def test_sums_are_exact_and_an_unknown_price_is_no_zero():
    cheap = [entry(n, request_id=str(n), estimated_cost_usd=Decimal("0.1")) for n in range(3)]
    sums = spent([*cheap, entry(3, request_id="x", estimated_cost_usd=None), entry(4, "unknown")], "model")[
        "pixazo:mochi-v1"
    ]
    assert sums.charged.to_dict() == {"count": 4, "usd": "0.3", "without_price": 1}
    assert sums.unknown.to_dict() == {"count": 1, "usd": "0.40", "without_price": 0}
    assert "and 1 of unknown price" in str(sums)


@pytest.mark.parametrize(
    ("by", "names"),
    [("model", ["pixazo:mochi-v1"]), ("dag", ["films", "others"]), ("day", ["2026-11-20", "2026-11-21"]),
     ("connection", ["not known", "pixazo_default"])],
)  # fmt: skip
def test_it_can_be_summed_by(by, names):
    entries = [entry(0, request_id="a"), entry(12, request_id="b", dag_id="others", conn_id=None)]
    assert list(spent(entries, by)) == names
    assert set(BY) == {"model", "dag", "day", "connection"}


def test_a_period_takes_its_last_day_whole_and_reads_times_as_utc():
    november = period("2026-11-20", "2026-11-20")
    assert DAY in november
    assert DAY + timedelta(hours=11.999) in november
    assert DAY + timedelta(hours=12) not in november
    assert DAY not in period(None, "2026-11-20T12:00:00")
    assert DAY in period("2026-11-20T13:00:00+01:00", None)
    for wrong in (("soon", None), (None, "2026-13-01"), ("2026-11-21", "2026-11-20"), (None, "9999-12-31")):
        with pytest.raises(InvalidRequestError, match=r"--from|--to"):
            period(*wrong)
