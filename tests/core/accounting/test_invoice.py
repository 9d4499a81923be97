"""Invoices: what is read, and what is refused with its line."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_video_providers.core.accounting import invoice
from airflow_video_providers.core.accounting.invoice import Columns, read_invoice
from airflow_video_providers.core.errors import InvalidRequestError


@pytest.fixture
def read(tmp_path):
    def read(content, **columns):
        file = tmp_path / "invoice.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_invoice(file, Columns(**columns))

    return read


PLAIN = "request_id,amount\na,0.225\nb,0.40\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        "\n\n" + PLAIN + "\n,\n",
        'Request_ID,"Amount",note\na,$0.225,"with, a comma\nand a line"\nb,USD 0.40,\n',
        "amount,x,request_id\n0.225 USD,,a\n$ 0.40,,b\n",
    ],
)
def test_every_way_to_write_the_same_invoice_is_read_alike(read, content):
    assert [(line.request_id, line.usd) for line in read(content).lines] == [
        ("a", Decimal("0.225")),
        ("b", Decimal("0.40")),
    ]


@pytest.mark.parametrize(
    ("cell", "decimal", "usd"),
    [
        ("1,234.56", None, "1234.56"), ("1 234.56", None, "1234.56"), ("1'234", None, "1234"), ("-0.40", None, "-0.40"),
        ("(0.40)", None, "-0.40"), ("$-0.40", None, "-0.40"), ("-$0.40", None, "-0.40"), ("0.40-", None, "-0.40"),
        ("\u22120.40", None, "-0.40"), ("0,225", ",", "0.225"), ("1.234,5", ",", "1234.5"), ("1,234", ".", "1234"),
        ("1.234", None, "1.234"), ("1.234", ",", "1234"), ("0", None, "0"), ("US$0.4", None, "0.4"), ("1\u00a0234,5", ",", "1234.5"),
    ],
)  # fmt: skip
def test_amounts_are_read_as_they_are_meant(read, cell, decimal, usd):
    (line,) = read(f'request_id\tamount\na\t"{cell}"\n', decimal=decimal).lines
    assert line.usd == Decimal(usd)


@pytest.mark.parametrize("cell", ["0,225", "1,234", "12,5"])
def test_a_comma_that_could_mean_two_things_is_refused_with_the_option_that_says_which(read, cell):
    with pytest.raises(InvalidRequestError, match=r"line 2.*--decimal ,"):
        read(f"request_id;amount\na;{cell}\n")


@pytest.mark.parametrize(
    "cell", ["", "much", "0.4 €", "EUR 1", "1.2.3", "--1", "-(1)", "(1", "1)", "1e3", "nan", "0x1", "1_000", "1 2", "12,34.5", "٣",
             "9" * 40, "0." + "1" * 40, "=1+1", "+-1"],
)  # fmt: skip
def test_what_is_no_amount_of_dollars_is_refused_with_its_line(read, cell):
    with pytest.raises(InvalidRequestError, match=r"line 3.*has the amount"):
        read(f"request_id\tamount\na\t1\nb\t{cell}\n")


HOSTILE = [
    (b"", "is empty"), (b"  \n", "is empty"), (b"request_id,amount\n", "no lines"), (b"\xff\xfa,amount", "no text in UTF-8"),
    (b"request_id,amount\na,1\0\n", "NUL"), (b"id,price\na,1\n", "has the columns 'id', 'price'"),
    (b"request_id,amount,amount\na,1,2\n", "2 columns called 'amount'"), (b"request_id,amount\na,1,2\n", "line 2, has 3 cells"),
    (b"request_id,amount\na\n", "line 2, has 1 cells"), (b'request_id,amount\n"a,1\n', "no CSV"), (b'request_id,amount\n"a"b,1\n', "no CSV"),
    (b"request_id,amount\n" + b"a" * 200_000 + b",1\n", "no CSV"), (b"amount\n1\n", "how it is to be matched"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "why"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_refused_with_the_reason(read, content, why):
    with pytest.raises(InvalidRequestError, match=why) as refused:
        read(content)
    assert "Nothing was compared." in str(refused.value)
    assert refused.value.allowed
    assert len(str(refused.value)) < 600


def test_what_is_too_large_or_no_file_is_not_read(read, tmp_path, monkeypatch):
    monkeypatch.setattr(invoice, "LARGEST_FILE", 10)
    with pytest.raises(InvalidRequestError, match="at most 0 MB"):
        read(PLAIN)
    monkeypatch.undo()
    monkeypatch.setattr(invoice, "MOST_LINES", 1)
    with pytest.raises(InvalidRequestError, match="more than 1 lines"):
        read(PLAIN)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing", "."):
        with pytest.raises(InvalidRequestError, match="is no file"):
            read_invoice(tmp_path / name, Columns())


@pytest.mark.parametrize(
    ("cell", "columns", "at"),
    [
        ("2026-11-20T12:00:00Z", {}, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20 12:00:00", {}, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T13:00:00+01:00", {}, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("20.11.2026 13:00", {"time_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"}, datetime(2026, 11, 20, 12, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_times_are_read_with_their_zone(read, cell, columns, at):
    found = read(f"when;amount\n{cell};1\n", time="when", **columns)
    assert (found.by_id, found.lines[0].at) == (False, at)


@pytest.mark.parametrize(
    ("cell", "columns", "hours"),
    [
        ("2026-11-20", {}, 24),
        ("20261120", {}, 24),
        ("2026-11-20T00:00:00", {}, None),
        ("20261120T00", {}, None),
        ("25.10.2026", {"time_format": "%d.%m.%Y", "timezone": "Europe/Berlin"}, 25),
        ("20.11.2026 00:00", {"time_format": "%d.%m.%Y %H:%M"}, None),
        ("20.11.2026 12 AM", {"time_format": "%d.%m.%Y %I %p"}, None),
    ],
)
def test_a_day_without_a_time_says_when_it_ends(read, cell, columns, hours):
    (line,) = read(f"when;amount\n{cell};1\n", time="when", **columns).lines
    assert line.until == (None if hours is None else line.at + timedelta(hours=hours))


@pytest.mark.parametrize("cell", ["", "yesterday", "0001-01-01", "9999-12-31T23:59:59-12:00", "1764158400"])
def test_a_line_without_a_usable_time_is_refused(read, cell):
    with pytest.raises(InvalidRequestError, match="line 2, has the time"):
        read(f"when;amount\n{cell};1\n", time="when")


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"delimiter": ";;"}, "--delimiter"), ({"delimiter": '"'}, "--delimiter"), ({"timezone": "Moon"}, "--timezone"),
     ({"timezone": "../../etc/passwd"}, "--timezone"), ({"amount": "price"}, "--amount-column")],
)  # fmt: skip
def test_an_option_that_does_not_fit_is_named(read, columns, said):
    with pytest.raises(InvalidRequestError, match=said):
        read(PLAIN, **columns)
