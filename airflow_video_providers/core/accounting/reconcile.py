"""An invoice beside the ledger: what agrees, what differs, what only one side knows."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import product
from typing import TYPE_CHECKING

from airflow_video_providers.core.accounting.entries import Counts, Entry, Period
from airflow_video_providers.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import timedelta

    from airflow_video_providers.core.accounting.invoice import Invoice, Line

AGREES, DIFFERS, TWICE = "agrees", "differs", "billed more than once"
NO_ESTIMATE, WAS_UNKNOWN, NOT_DUE = "no estimate", "billed, outcome was unknown", "billed, not charged by the ledger"


@dataclass(frozen=True)
class Match:
    """A job with the lines that bill it.

    :param kind: How the two fit; :data:`AGREES` and its kin.
    """

    entry: Entry
    lines: tuple[Line, ...]
    kind: str

    @property
    def invoiced(self) -> Decimal:
        """US dollars on the invoice."""
        return sum((line.usd for line in self.lines), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """What the invoice says beyond what the ledger counts: an unknown outcome and an unknown price count nothing."""
        return self.invoiced - _counted(self.entry)


@dataclass(frozen=True)
class Reconciled:
    """The whole comparison.

    :param only_invoice: Lines whose job the ledger does not know, each with the open attempts that it may answer.
    :param only_ledger: Jobs that the ledger counts as charged and no line bills.
    :param open: Unknown outcomes that no line bills.
    """

    matches: list[Match] = field(default_factory=list)
    only_invoice: list[tuple[Line, list[Entry]]] = field(default_factory=list)
    only_ledger: list[Entry] = field(default_factory=list)
    open: list[Entry] = field(default_factory=list)

    @property
    def invoiced(self) -> Decimal:
        """All of the invoice, in US dollars."""
        lines = [match.invoiced for match in self.matches] + [line.usd for line, _ in self.only_invoice]
        return sum(lines, Decimal(0))

    @property
    def counted(self) -> Decimal:
        """What the ledger counts as charged, in US dollars, as far as prices are known."""
        return sum(map(_counted, [*(match.entry for match in self.matches), *self.only_ledger]), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """The invoice less the ledger, in US dollars."""
        return self.invoiced - self.counted

    @property
    def agrees(self) -> bool:
        """Is every cent explained?"""
        return not (self.only_invoice or self.only_ledger) and all(match.kind == AGREES for match in self.matches)


def reconcile(invoice: Invoice, entries: Sequence[Entry], *, within: Period, tolerance: timedelta) -> Reconciled:
    """Compare.

    :param entries: Of the account that the invoice is about. A line may bill any of them.
    :param within: Of which attempts a line is expected. Without bounds, and where lines have times, theirs.
    :param tolerance: How far a line's time may be from the purchase.
    :raises InvalidRequestError: an id on the invoice is that of several jobs, at several vendors.
    """
    counting = [entry for entry in entries if not entry.again]
    if invoice.by_id:
        pairs, left = _match_ids(invoice.lines, counting)
    else:
        pairs, left = _match_times(invoice.lines, counting, tolerance)
    matched = {id(entry) for entry, _ in pairs}
    times = [(line.at, line.until or line.at) for line in invoice.lines if line.at is not None]
    if within == Period() and times:
        within = Period(min(since for since, _ in times) - tolerance, max(until for _, until in times) + tolerance)
    expected = [entry for entry in counting if id(entry) not in matched and entry.attempt.created_at in within]
    waiting = [entry for entry in counting if id(entry) not in matched and entry.attempt.open]
    return Reconciled(
        matches=[Match(entry, tuple(lines), _kind(entry, lines)) for entry, lines in pairs],
        only_invoice=[(line, _answers(line, waiting, tolerance)) for line in left],
        only_ledger=[entry for entry in expected if entry.counts == "charged"],
        open=[entry for entry in expected if entry.counts == "unknown"],
    )


def cents(usd: Decimal) -> str:
    """A difference, in cents and with its sign."""
    return f"{(usd * 100).normalize() + 0:+f} cents"


def _counted(entry: Entry) -> Decimal:
    return entry.usd if entry.counts == "charged" and entry.usd is not None else Decimal(0)


def _kind(entry: Entry, lines: Sequence[Line]) -> str:
    invoiced = sum((line.usd for line in lines), Decimal(0))
    if entry.counts != "charged" and invoiced:
        return WAS_UNKNOWN if entry.counts == "unknown" else NOT_DUE
    if entry.counts == "charged" and entry.usd is None:
        return NO_ESTIMATE
    if _agrees(invoiced, _counted(entry)):  # also where it was billed in parts, or billed twice and refunded
        return AGREES
    return TWICE if len(lines) > 1 else DIFFERS


def _agrees(invoiced: Decimal, estimate: Decimal) -> bool:
    """Is it the estimate, as the invoice rounds it?"""
    exponent = invoiced.as_tuple().exponent
    unit = Decimal(1).scaleb(min(-2, exponent if isinstance(exponent, int) else -2))
    return any(estimate.quantize(unit, rounding) == invoiced for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN))


def _match_ids(lines: Iterable[Line], entries: Iterable[Entry]) -> tuple[list[tuple[Entry, list[Line]]], list[Line]]:
    known: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.attempt.request_id:
            known[entry.attempt.request_id].append(entry)
    billed: dict[str, list[Line]] = defaultdict(list)
    left = []
    for line in lines:
        if line.request_id in known:
            billed[line.request_id].append(line)
        else:
            left.append(line)
    for request_id, found in billed.items():
        models = Counter(entry.attempt.model for entry in known[request_id])
        if len(models) > 1:
            raise InvalidRequestError(
                f"The id {request_id!r:.80} on line {found[0].number} is that of jobs of {', '.join(sorted(models))}.",
                money="Nothing was compared.",
                remedy="Name the account that the invoice is about with --conn-id or --vendor.",
                field="--vendor",
            )
    charged_first = {request_id: sorted(found, key=_charged_first) for request_id, found in known.items()}
    return [(charged_first[request_id][0], found) for request_id, found in billed.items()], left


def _match_times(
    lines: Iterable[Line], entries: Sequence[Entry], tolerance: timedelta
) -> tuple[list[tuple[Entry, list[Line]]], list[Line]]:
    """Each line with the earliest purchase near it that costs as much: what was charged first, then what is unknown,
    then what has no known price, and at last what was not charged. What costs exactly as much comes before what does
    when it is rounded, which may be another line's own."""
    passes: tuple[tuple[Counts, Callable[[Entry], bool]], ...] = (
        ("charged", lambda entry: entry.usd is not None),
        ("unknown", lambda entry: entry.usd is not None),
        ("charged", lambda entry: entry.usd is None),
        ("not charged", lambda entry: entry.usd is not None),
    )
    pairs: list[tuple[Entry, list[Line]]] = []
    taken: set[int] = set()
    left = sorted((line for line in lines if line.at is not None), key=lambda line: (line.at, line.number))
    for (counts, wanted), fits in product(passes, (Decimal.__eq__, _agrees)):
        queues: dict[Decimal | None, deque[Entry]] = defaultdict(deque)
        for entry in entries:  # oldest first
            if entry.counts == counts and wanted(entry) and id(entry) not in taken:
                queues[entry.usd].append(entry)
        still = []
        for line in left:
            entry_found = _earliest(line, queues, tolerance, fits)
            if entry_found is None:
                still.append(line)
            else:
                pairs.append((entry_found, [line]))
                taken.add(id(entry_found))
        left = still
    return pairs, sorted(left, key=lambda line: line.number)


def _earliest(
    line: Line,
    queues: dict[Decimal | None, deque[Entry]],
    tolerance: timedelta,
    fits: Callable[[Decimal, Decimal], bool],
) -> Entry | None:
    """Take the earliest purchase near a line that costs as much. Lines come oldest first, so that what is too old for one
    is too old for all that follow."""
    if line.at is None:
        return None
    heads = []
    for usd, queue in queues.items():
        while queue and queue[0].attempt.created_at < line.at - tolerance:
            queue.popleft()
        near = queue and queue[0].attempt.created_at <= line.at + tolerance
        if near and (usd is None or fits(line.usd, usd)):
            heads.append(queue)
    if not heads:
        return None
    return min(heads, key=lambda queue: queue[0].attempt.created_at).popleft()


def _charged_first(entry: Entry) -> int:
    return ("charged", "unknown", "not charged").index(entry.counts)


def _answers(line: Line, waiting: Sequence[Entry], tolerance: timedelta) -> list[Entry]:
    """Open attempts whose lost answer may have been this line's job: of that price, and near it where it has a time."""
    return [
        entry
        for entry in waiting
        if (entry.usd is None or _agrees(line.usd, entry.usd))
        and (line.at is None or abs(entry.attempt.created_at - line.at) <= tolerance)
    ]
