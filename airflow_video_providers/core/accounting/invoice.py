"""A vendor's invoice as CSV: read whole and checked whole, or refused with the line and the reason."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.field_errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_FILE = 32 * 1024 * 1024
MOST_LINES = 200_000
_DELIMITERS = (",", ";", "\t", "|")
#: An amount of US dollars: at most one sign of a refund, the currency before or behind, and then the number.
_AMOUNT = re.compile(
    r"(?P<open>\()?(?P<before>[-+])?(?:USD|US\$|\$)?\s*(?P<after>[-+])?(?P<number>[0-9](?:[0-9.,'’\s]*[0-9])?)\s*(?:USD|US\$|\$)?"
    r"(?P<behind>-)?(?P<close>\))?",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}){1,2}(?:\.[0-9]{1,9})?")
_SPACED = re.compile(r"[0-9]{1,3}(?:[\s'’][0-9]{3}){1,2}(?:\.[0-9]{1,9})?")
#: Years in which an invoice may have been written.
_YEARS = range(2000, 2101)
#: What of a time format reads a time of the day.
_OF_DAY = frozenset("HIMScXTRr")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Columns:
    """How an invoice is read.

    :param request_id: Name of the column with the vendor's job ids; None to find ``request_id``, or to go by time.
    :param amount: Name of the column with US dollars.
    :param time: Name of the column with the time of the charge.
    :param delimiter: What stands between cells; None to find it by the header.
    :param decimal: ``.`` or ``,``; None for ``.``, where an amount that could be read both ways is refused.
    :param time_format: As :meth:`datetime.strptime` takes it; None for ISO 8601.
    :param timezone: Of times that name none.
    """

    request_id: str | None = None
    amount: str = "amount"
    time: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    time_format: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Line:
    """One line of an invoice.

    :param number: Its number in the file, from 1.
    :param request_id: The vendor's id; None where lines are matched by time, or the cell is empty.
    :param until: The end of the day that ``at`` begins, where the file names a day and no time of it.
    """

    number: int
    usd: Decimal
    request_id: str | None = None
    at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Invoice:
    """All lines, and whether they name jobs."""

    lines: tuple[Line, ...]
    by_id: bool


def read_invoice(path: Path, columns: Columns) -> Invoice:
    """Read an invoice.

    :raises InvalidRequestError: the file or a line of it cannot be read for certain: nothing is guessed.
    """
    text = _text(path)
    delimiter, named, rows = _table(text, path, columns)
    id_at, amount_at, time_at = (named.get(name) for name in ("request_id", "amount", "time"))
    if id_at is None and time_at is None:
        raise _refuse(f"{path} says not how it is to be matched", "--id-column", "--id-column, or --time-column")
    zone = _zone(columns.timezone)
    lines: list[Line] = []
    for number, cells, width in rows:
        if len(lines) >= MOST_LINES:
            raise _refuse(f"{path} has more than {MOST_LINES} lines", "INVOICE.csv", "one month at a time")
        if len(cells) != width:
            what = f"{path}, line {number}, has {len(cells)} cells, and the header {width}"
            raise _refuse(what, "--delimiter", f"as many in each line, with {delimiter!r} between them")
        usd = _amount(cells[amount_at or 0], columns.decimal, f"{path}, line {number},")
        request_id = cells[id_at].strip() or None if id_at is not None else None
        at = until = None
        if time_at is not None and (cells[time_at].strip() or id_at is None):
            at, until = _time(cells[time_at], columns, zone, f"{path}, line {number},")
        lines.append(Line(number, usd, request_id, at, until))
    if not lines:
        raise _refuse(f"{path} has a header and no lines", "INVOICE.csv", "an invoice with lines")
    return Invoice(tuple(lines), by_id=id_at is not None)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise _refuse(f"{path} is no file", "INVOICE.csv", "a CSV file")
        if (size := path.stat().st_size) > LARGEST_FILE:
            what = f"{path} has {size // 1024**2} MB"
            raise _refuse(what, "INVOICE.csv", f"at most {LARGEST_FILE // 1024**2} MB: split it by month")
        data = path.read_bytes()
        encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
        text = data.decode(encoding)
    except UnicodeDecodeError as wrong:
        raise _refuse(f"{path} is no text in UTF-8 (byte {wrong.start})", "INVOICE.csv", "CSV saved as UTF-8") from None
    except OSError as failed:
        what = f"{path} cannot be read ({type(failed).__name__})"
        raise _refuse(what, "INVOICE.csv", "a CSV file that this user may read") from failed
    if not text.strip():
        raise _refuse(f"{path} is empty", "INVOICE.csv", "a header and lines")
    if "\0" in text:
        raise _refuse(f"{path} holds NUL bytes and is no CSV", "INVOICE.csv", "CSV saved as UTF-8")
    return text


def _table(text: str, path: Path, columns: Columns) -> tuple[str, dict[str, int], Iterator[tuple[int, list[str], int]]]:
    """The delimiter, where the columns stand, and the lines with their number and the header's width."""
    named = re.match(r"sep=(.)\r?\n", text)  # a spreadsheet's own way to say it
    skipped, body = (1, text[named.end() :]) if named else (0, text)
    if columns.delimiter is not None and (len(columns.delimiter) != 1 or columns.delimiter in '"\r\n'):
        raise _refuse(f"--delimiter is {columns.delimiter!r}", "--delimiter", "one character, such as ;")
    candidates = [columns.delimiter] if columns.delimiter else [named[1]] if named else list(_DELIMITERS)
    best: list[str] = []
    for delimiter in candidates:
        header = next(_rows(body, delimiter, path, skipped), (0, []))[1]
        names = [name.strip().casefold() for name in header]
        if (found := _named(names, columns, path)) is not None:
            lines = ((number, cells, len(names)) for number, cells in list(_rows(body, delimiter, path, skipped))[1:])
            return delimiter, found, lines
        best = max(best, header, key=len)
    wanted = [name for name in (columns.request_id, columns.amount, columns.time) if name is not None]
    raise _refuse(
        f"{path} has the columns {', '.join(map(shown, best[:30]))}; not all of {', '.join(map(repr, wanted))}",
        "--amount-column", "--id-column, --amount-column and --time-column as the header has them",
    )  # fmt: skip


def _named(names: list[str], columns: Columns, path: Path) -> dict[str, int] | None:
    """Where each column stands; None where one is missing."""
    wanted = {"amount": columns.amount, "request_id": columns.request_id, "time": columns.time}
    if columns.request_id is None and columns.time is None:
        wanted["request_id"] = "request_id" if "request_id" in names else None
    found = {}
    for key, name in wanted.items():
        if name is None:
            continue
        if (count := names.count(name.strip().casefold())) > 1:
            raise _refuse(
                f"{path} has {count} columns called {name!r}", "INVOICE.csv", "columns with names of their own"
            )
        if not count:
            return None
        found[key] = names.index(name.strip().casefold())
    return found


def _rows(text: str, delimiter: str, path: Path, skipped: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num + skipped, cells
    except csv.Error as wrong:
        what = f"{path}, line {reader.line_num + skipped}, is no CSV ({wrong})"
        raise _refuse(what, "INVOICE.csv", "quotes that end, and cells of at most 128 KB") from None


def _amount(cell: str, decimal: str | None, where: str) -> Decimal:
    """US dollars. Below zero for a refund, as ``-1.20`` or ``(1.20)``."""
    found = _AMOUNT.fullmatch(cell.strip().replace("\u2212", "-"))
    certain = True
    if found is not None:
        signs = [found["open"], *(sign for sign in (found["before"], found["after"], found["behind"]) if sign)]
        number = found["number"]
        if decimal == ",":
            number = number.translate(str.maketrans(",.", ".,"))
        certain = decimal is not None or "," not in number or "." in number
        readable = _PLAIN.fullmatch(number) or _SPACED.fullmatch(number) or (certain and _GROUPED.fullmatch(number))
        if readable and len([sign for sign in signs if sign]) <= 1 and bool(found["open"]) == bool(found["close"]):
            usd = Decimal(re.sub(r"[^0-9.]", "", number))
            return -usd if {"(", "-"} & set(signs) else usd
    allowed = "US dollars such as 0.225, $1,234.56, or -0.40 for a refund"
    if not certain:
        allowed = "--decimal , where a comma stands before the cents, or --decimal . where it stands between thousands"
    raise _refuse(f"{where} has the amount {shown(cell)}", "--amount-column" if certain else "--decimal", allowed)


def _time(cell: str, columns: Columns, zone: tzinfo, where: str) -> tuple[datetime, datetime | None]:
    """The time, and where it is a day alone, the end of that day."""
    text, at, until = cell.strip(), None, None
    with suppress(ValueError, OverflowError):
        read = datetime.strptime(text, columns.time_format) if columns.time_format else datetime.fromisoformat(text)  # noqa: DTZ007 - the zone comes next
        read = read if read.tzinfo else read.replace(tzinfo=zone)
        at = read.astimezone(UTC)
        if _is_day(text, columns.time_format):
            until = (read + timedelta(days=1)).astimezone(UTC)
    if at is None or at.year not in _YEARS:
        allowed = f"as {columns.time_format}" if columns.time_format else "2026-11-26T09:00:00Z, or --time-format"
        raise _refuse(f"{where} has the time {shown(cell)}", "--time-format", allowed)
    return at, until


def _is_day(text: str, time_format: str | None) -> bool:
    """Does it name no time of the day?"""
    if time_format is None:
        return len(text) <= len("2026-11-26")
    return not set(re.findall(r"%(.)", time_format)) & _OF_DAY


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _refuse(f"--timezone is {name!r:.60}", "--timezone", "a name such as Europe/Berlin") from None


def _refuse(what: str, field: str, allowed: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what}.", money="Nothing was compared.", remedy=f"Give {allowed}.", field=field, allowed=allowed
    )
