"""An invoice beside a ledger with lost answers, voids and clears, from the command line."""

from __future__ import annotations

import re
import shlex

import pytest

from airflow_video_providers.integration.ledger_cli import main
from tests.support.accounts import BILL, answered

ARGUMENTS = ["--vendor", "pixazo"]


@pytest.fixture
def bill(tmp_path_factory):
    folder = tmp_path_factory.mktemp("invoice")

    def write(lines, header="request_id,amount"):
        file = folder / "invoice.csv"
        rows = lines.items() if isinstance(lines, dict) else lines
        file.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
        return str(file)

    return write


def test_an_honest_invoice_is_explained_to_the_cent(full_ledger, bill, capsys):
    assert main(["reconcile", bill(BILL), *ARGUMENTS]) == 0
    out = capsys.readouterr().out
    assert "6 agree, 0 differ, 0 only on the invoice, 0 only in the ledger, 2 unknown outcomes not billed." in out
    assert "The invoice says $2.40, the ledger about $2.40: difference +0 cents." in out


def test_what_only_one_side_knows_and_what_was_not_due_is_said_with_the_difference(full_ledger, bill, capsys):
    billed = {name: usd for name, usd in BILL.items() if name != "j-before-clear"}
    billed |= {"j-void": "0.40", "j-error": "0.40", "j-landed": "0.45", "lost": "0.40", "stranger": "3"}
    assert main(["reconcile", bill(billed), *ARGUMENTS]) == 1
    out = capsys.readouterr().out
    assert re.search(
        r"^differs: line \d+, \$0.45; ledger: landed, estimate \$0.40, .*request_id=j-landed: \+5 cents$",
        out,
        re.MULTILINE,
    )
    assert re.search(
        r"^billed, not charged by the ledger: .*failed without charge.*j-void: \+40 cents$", out, re.MULTILINE
    )
    assert re.search(
        r"^billed, not charged by the ledger: .*failed without charge.*j-error: \+40 cents$", out, re.MULTILINE
    )
    assert re.search(r"^only the ledger: landed, about \$0.40, .*request_id=j-before-clear$", out, re.MULTILINE)
    assert re.search(r"^only the invoice: line \d+, request_id=stranger, \$3$", out, re.MULTILINE)
    assert "difference +385 cents" in out


def test_the_answer_that_was_lost_is_found_on_the_invoice_and_attached_as_it_says(full_ledger, bill, capsys):
    assert main(["reconcile", bill(BILL | {"lost": "0.40"}), *ARGUMENTS]) == 1
    said = re.search(r"`(attach [^`]+ lost)`", capsys.readouterr().out)[1]
    assert main(shlex.split(said)) == 0
    assert main(["reconcile", bill(BILL | {"lost": "0.40"}), *ARGUMENTS]) == 0


def test_json_has_the_same_in_full(full_ledger, bill, capsys):
    status, found = answered(capsys, "reconcile", bill(BILL | {"lost": "0.40"}), *ARGUMENTS)
    assert (status, found["agrees"], found["difference_cents"]) == (1, False, "40.00")
    assert found["only_invoice"][0]["may_answer"][0]["map_index"] == 2
    assert {match["kind"] for match in found["matches"]} == {"agrees"}


def test_without_ids_times_and_amounts_decide(full_ledger, bill, capsys):
    hours = [
        12,
        13,
        15,
        16,
        20,
        14,
    ]  # landed, running, after void, before clear, failed and charged, and the lost answer
    lines = [(f"{hour}:05 20/11/2026", "$0.40") for hour in hours]
    arguments = [
        "--time-column",
        "When",
        "--amount-column",
        "Cost",
        "--time-format",
        "%H:%M %d/%m/%Y",
        "--to",
        "2026-11-20",
    ]
    assert main(["reconcile", bill(lines, "When,Cost"), *ARGUMENTS, *arguments]) == 1
    out = capsys.readouterr().out
    assert "5 agree, 1 differ, 0 only on the invoice, 0 only in the ledger, 1 unknown outcomes not billed." in out
    assert "billed, outcome was unknown: line 7" in out
    assert "difference +40 cents" in out


def test_the_account_is_chosen_by_connection_or_vendor(full_ledger, bill, capsys):
    assert main(["reconcile", bill({"j-no-price": "0.27"}), "--conn-id", "segmind_default"]) == 1
    out = capsys.readouterr().out
    assert "no estimate: line 2, $0.27; ledger: bought, no estimate" in out
    assert "the ledger about $0, and 1 of unknown price: difference +27 cents." in out


def test_a_damaged_record_and_a_hostile_invoice_fail_with_words(full_ledger, bill, capsys):
    assert main(["reconcile", bill([("a", "1,5")])]) == 1
    assert "line 2, has 3 cells" in capsys.readouterr().err
    assert main(["reconcile", bill(BILL), "--minutes", "-1"]) == 1
    assert "--minutes" in capsys.readouterr().err
    next(full_ledger.rglob("submit/3/1.json")).write_text("")
    assert main(["reconcile", bill(BILL), *ARGUMENTS]) == 1
    assert "damaged" in capsys.readouterr().err


def test_an_invoice_does_nothing_to_a_terminal(full_ledger, bill, capsys):
    main(["reconcile", bill({"a\x1b[2J\u202e": "1"})])
    assert "\x1b" not in capsys.readouterr().out


def test_it_writes_nothing_into_the_ledger(full_ledger, bill):
    before = {file: file.read_bytes() for file in full_ledger.rglob("*") if file.is_file()}
    main(["reconcile", bill(BILL | {"lost": "0.40"})])
    main(["spend"])
    assert {file: file.read_bytes() for file in full_ledger.rglob("*") if file.is_file()} == before
