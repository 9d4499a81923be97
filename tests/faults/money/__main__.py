"""``python -m tests.faults.money``"""

from __future__ import annotations

import argparse
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.money.cases import CASES
from tests.faults.money.lane import RETRIES, Lane, Purchase
from tests.faults.money.table import render, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.money.cases import Case

TABLE = Path(__file__).with_name("table.md")
PEERS_TABLE = Path(__file__).with_name("peers.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 1 if a purchase cost more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.money", description=main.__doc__)
    parser.add_argument("--jobs", type=int, default=20, help="purchases per row (20)")
    parser.add_argument("--lanes", type=int, default=2, help="how many rows run at once (2)")
    parser.add_argument("--only", default="", help="rows whose fault or place contains this text")
    parser.add_argument("--write", action="store_true", help="write the tables that the docs show")
    parser.add_argument("--peers", action="store_true", help="the same faults through other clients, too")
    args = parser.parse_args(arguments)
    cases = [case for case in CASES if args.only in f"{case.fault} {case.phase}"]
    results = measure(cases, jobs=args.jobs, lanes=args.lanes)
    text = render(results)
    print(f"\n{text}\n{summary(results)}")
    for line in (bad := wrong(results)):
        print(f"WRONG  {line}", file=sys.stderr)
    if args.write and not bad and len(cases) == len(CASES):
        TABLE.write_text(text)
    if args.peers:
        from tests.faults.money.peers import LEGEND, compare

        text = compare()
        print(f"\n{text}\n{LEGEND}")
        if args.write:
            PEERS_TABLE.write_text(text)
    return 1 if bad else 0


def measure(cases: Sequence[Case], *, jobs: int, lanes: int) -> dict[Case, list[Purchase]]:
    """Run every case this often."""
    with ExitStack() as stack:
        free: queue.Queue[Lane] = queue.Queue()
        for _ in range(lanes):
            free.put(stack.enter_context(Lane()))

        def row(index: int) -> list[Purchase]:
            case, lane = cases[index], free.get()
            try:
                found = [lane.buy(case, number) for number in range(index * jobs, (index + 1) * jobs)]
            finally:
                free.put(lane)
            print(f"{case.fault}, {case.phase}: {found[0].state}", flush=True)
            return found

        with ThreadPoolExecutor(lanes) as pool:
            return dict(zip(cases, pool.map(row, range(len(cases))), strict=True))


def summary(results: dict[Case, list[Purchase]]) -> str:
    """The totals."""
    everything = [purchase for purchases in results.values() for purchase in purchases]
    return (
        f"Numbers are per purchase; {len(everything)} purchases, {sum(p.tries for p in everything)} tries "
        f"(retries={RETRIES}), {sum(p.posts for p in everything)} paid POSTs, {sum(p.jobs for p in everything)} jobs, "
        f"{sum(p.charges for p in everything)} charges."
    )


if __name__ == "__main__":
    sys.exit(main())
