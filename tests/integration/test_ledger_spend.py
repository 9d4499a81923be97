"""What was spent, from the command line, on both ledgers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_video_providers.core.accounting.spend import Sum
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.settlements import Settlement
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration import ledger_listing
from airflow_video_providers.integration.commands import accounts
from airflow_video_providers.integration.ledger_cli import main
from tests.support.accounts import answered, job


def test_each_attempt_is_counted_once_as_what_it_came_to(full_ledger, capsys):
    status, found = answered(capsys, "spend")
    assert status == 0
    rows = {row["model"]: row for row in found["rows"]}
    assert rows["pixazo:mochi-v1"]["charged"] == {
        "count": 6,
        "usd": "2.40",
        "without_price": 0,
    }
    assert rows["pixazo:mochi-v1"]["unknown"] == {
        "count": 2,
        "usd": "0.80",
        "without_price": 0,
    }
    assert rows["pixazo:mochi-v1"]["not_charged"] == {"count": 4}
    assert rows["segmind:mochi-1"]["charged"] == {
        "count": 1,
        "usd": "0",
        "without_price": 1,
    }
    assert found["total"]["charged"] == {"count": 7, "usd": "2.40", "without_price": 1}


@pytest.mark.parametrize(
    ("by", "names"),
    [("dag", ["films"]), ("day", ["2026-11-20", "2026-11-22"]), ("connection", ["pixazo_default", "segmind_default"])],
)
def test_the_sum_is_the_same_by_whatever_it_is_split(full_ledger, capsys, by, names):
    _, found = answered(capsys, "spend", "--by", by)
    assert [row[by] for row in found["rows"]] == names
    assert sum(row["charged"]["count"] for row in found["rows"]) == 7


def test_a_period_takes_the_attempts_that_it_holds(full_ledger, capsys):
    assert answered(capsys, "spend", "--from", "2026-11-21")[1]["total"]["charged"]["count"] == 1
    assert answered(capsys, "spend", "--to", "2026-11-20")[1]["total"]["charged"]["count"] == 6
    assert main(["spend", "--from", "today"]) == 1
    assert "--from" in capsys.readouterr().err


def test_text_is_a_line_per_row_and_one_for_all(full_ledger, capsys):
    assert main(["spend"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "pixazo:mochi-v1"
    assert "charged 6, about $2.40; unknown 2, about $0.80; not charged 4" in lines[0]
    assert "charged 1, about $0 and 1 of unknown price" in lines[1]
    assert lines[2].startswith("all ")


def test_what_the_vendor_says_that_a_job_cost_counts_instead_of_the_estimate_and_the_sum_says_so(full_ledger, capsys):
    ledger = Ledger(LocalDirectory(full_ledger))
    ledger.mark_landed(job("j-landed").replace(cost_usd=Decimal("0.25")), "file:///v/manifest.json")
    ledger.mark_failed(job("j-running", JobStatus.FAILED).replace(cost_usd=Decimal("0.05")))
    _, found = answered(capsys, "spend", "--by", "connection")
    (mine,) = (row for row in found["rows"] if row["connection"] == "pixazo_default")
    assert mine["charged"] == {
        "count": 6, "usd": "1.90", "without_price": 0, "as_the_vendor_says": {"count": 2, "usd": "0.30"},
    }  # fmt: skip
    assert main(["spend"]) == 0
    assert "charged 6, about $1.90, $0.30 of it for 2 as the vendor says; unknown 2" in capsys.readouterr().out
    assert main(["list", "--all"]) == 0
    assert "cost $0.25 (about $0.40)" in capsys.readouterr().out


def test_a_landing_that_finds_the_video_landed_keeps_the_cost_that_was_noted(full_ledger):
    ledger, landed = Ledger(LocalDirectory(full_ledger)), job("j-landed")
    ledger.mark_landed(landed.replace(cost_usd=Decimal("0.25")), "file:///v/manifest.json")
    ledger.mark_landed(landed, "file:///v/manifest.json", before=True)
    assert ledger.settlement(landed).cost == Decimal("0.25")


@pytest.mark.parametrize("odd", ["", "NaN", "-1", "1e99", "much"])
def test_a_cost_in_a_record_that_makes_no_sense_is_none(odd):
    assert Settlement.read({"request_id": "j", "ending": "landed", "cost_usd": odd}).cost is None


def test_a_sum_that_is_all_the_vendors_word_is_no_estimate():
    sum_ = Sum(count=2, usd=Decimal("0.30"), real=2, real_usd=Decimal("0.30"))
    assert str(sum_) == "2, $0.30 as the vendor says"


def test_a_damaged_record_is_named_and_the_sum_is_not_passed_off_as_whole(full_ledger, capsys):
    next(full_ledger.rglob("submit/0/1.json")).write_text("{")
    status, found = answered(capsys, "spend")
    assert (status, found["damaged"]) == (1, 1)
    main(["spend"])
    said = capsys.readouterr().err
    assert "submit/0/1.json" in said
    assert "1 damaged records: what they bought is in no sum." in said


def test_where_there_is_no_ledger_it_says_so(monkeypatch, mocker, capsys):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", raising=False)
    mocker.patch.dict("sys.modules", {"airflow.models.task_state_store": None})
    assert main(["spend"]) == 1
    assert "ledger_path" in capsys.readouterr().err


def test_every_state_that_the_list_knows_has_its_place_in_the_sums():
    words = {
        word
        for name, word in vars(ledger_listing).items()
        if name.isupper() and name[0] != "_" and isinstance(word, str)
    }
    assert words == accounts._COUNTS.keys() | {ledger_listing.FAILED}, (
        "a failure goes by what the vendor said of the charge"
    )
