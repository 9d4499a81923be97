"""``video-ledger audit``: make the file that proves what was bought, and check it again."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.accounting.audit import check_storage, encode, make_audit, problems_in, read_audit
from airflow_video_providers.core.accounting.entries import period
from airflow_video_providers.core.accounting.landed_files import Storages
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.integration import object_storage  # noqa: F401 # buckets through Airflow's connections
from airflow_video_providers.integration.commands.accounts import read_accounts
from airflow_video_providers.integration.commands.opened import see_the_database
from airflow_video_providers.integration.ledger_listing import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Make an audit, or check one; 1 where anything is not as it should be."""
    if args.storage:
        see_the_database()
    storages = Storages(args.storage or ())
    if args.verify:
        return _verify(args, storages, out)
    if args.sha256:
        raise InvalidRequestError("--sha256 is compared with --verify.", field="--sha256", money="Nothing was read.")
    within = period(args.since, args.until)
    accounts = read_accounts()
    audit = make_audit(
        accounts.entries, accounts.flaws, within=within, ledger=accounts.kind, now=datetime.now(UTC), storages=storages,
        files=not args.manifests_only,
    )  # fmt: skip
    data = encode(audit)
    if args.file is None:
        out.write(data.decode("ascii"))
    else:
        _write(Path(args.file), data)
    problems = problems_in(audit)
    _report(problems)
    sys.stderr.write(f"{sum(len(one['attempts']) for one in audit['purchases'])} attempts, {len(problems)} problems. "
                     f"Keep its sha256 elsewhere: {audit['sha256']}\n")  # fmt: skip
    return 1 if problems else 0


def _verify(args: argparse.Namespace, storages: Storages, out: TextIO) -> int:
    audit = read_audit(Path(args.verify), sha256=args.sha256)
    found, manifests, files = check_storage(audit, storages)
    problems = [*problems_in(audit), *found]
    _report(problems)
    out.write(f"{manifests} manifests and {files} files compared, {len(problems)} problems.\n")
    return 1 if problems else 0


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as failed:
        there = isinstance(failed, FileExistsError)
        raise InvalidRequestError(
            f"{path} {'is there already' if there else f'cannot be written ({type(failed).__name__})'}.",
            money="Nothing was written.",
            remedy="Name another file: an audit is never written over."
            if there
            else "Name a file in a folder that exists.",
            field="--file",
        ) from failed


def _report(problems: Sequence[str]) -> None:
    sys.stderr.writelines(f"{printable(problem)}\n" for problem in problems)
