"""An audit: purchases, tries, ids, charges, estimates and manifests with their digests, in one JSON file.

The file's text is the only one that its content has, to the last byte, and holds the sha256 of all the rest: one changed
byte shows. A digest is no signature: who can write the file can make another. So its digest is printed when it is made,
to be kept elsewhere, and :func:`read_audit` compares it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_video_providers import __version__
from airflow_video_providers.core.accounting.landed_files import Landed, problem_of
from airflow_video_providers.core.accounting.spend import total
from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from airflow_video_providers.core.accounting.entries import Entry, Period
    from airflow_video_providers.core.accounting.landed_files import Storages
    from airflow_video_providers.core.purchase.ledger import Flaw

VERSION = 1
KIND = "audit of video purchases"
#: An audit of some hundred thousand purchases.
LARGEST = 512 * 1024 * 1024
_AT_ONCE = 8


def make_audit(
    entries: Sequence[Entry],
    flaws: Iterable[Flaw],
    *,
    within: Period,
    ledger: str,
    now: datetime,
    storages: Storages,
    files: bool = True,
) -> dict[str, Any]:
    """The audit of the attempts of a period.

    :param ledger: Which ledger it is, in words.
    :param files: Read every landed file and compare its bytes, too; without it, manifests alone.
    """
    chosen = [entry for entry in entries if entry.attempt.created_at in within]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        manifests = list(threads.map(lambda entry: _manifest(entry, storages, files=files), chosen))
    purchases: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for entry, manifest in zip(chosen, manifests, strict=True):
        attempt = entry.attempt
        buyer = (attempt.dag_id, attempt.run_id, attempt.task_id, attempt.map_index, attempt.purchase)
        purchases[buyer].append(_attempt(entry, manifest))
    names = ("dag_id", "run_id", "task_id", "map_index", "purchase")
    content = {
        "kind": KIND,
        "v": VERSION,
        "package": f"airflow-video-providers {__version__}",
        "made_at": now.isoformat(),
        "from": within.since.isoformat() if within.since else None,
        "to": within.until.isoformat() if within.until else None,
        "ledger": ledger,
        "purchases": [
            {**dict(zip(names, buyer, strict=True)), "attempts": attempts} for buyer, attempts in purchases.items()
        ],
        "damaged": [{"name": flaw.name, "why": flaw.why} for flaw in flaws],
        "totals": total(chosen).to_dict(),
    }
    return {**content, "sha256": _digest(content)}


def encode(audit: dict[str, Any]) -> bytes:
    """The audit as its file holds it: the only text of this content."""
    return (json.dumps(audit, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def read_audit(path: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """The audit in a file.

    :param sha256: The digest that was printed when it was made.
    :raises InvalidRequestError: it is none, or a byte of it has changed.
    """
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise _refusal(f"{path} is no audit: no file, or one of more than {LARGEST // 1024**2} MB")
        data = path.read_bytes()
        audit = json.loads(data)
        claimed = audit.pop("sha256") if isinstance(audit, dict) else None
    except OSError as failed:
        raise _refusal(f"{path} cannot be read ({type(failed).__name__})") from failed
    except (ValueError, RecursionError, KeyError):
        raise _refusal(f"{path} was changed since it was made, or is no audit: it is no JSON of one") from None
    if not isinstance(audit, dict) or audit.get("kind") != KIND:
        raise _refusal(f"{path} was changed since it was made, or is no audit")
    if audit.get("v") != VERSION:
        raise _refusal(f"{path} was made by another release of this package: {audit.get('package')!s:.60}")
    if claimed != _digest(audit) or encode({**audit, "sha256": claimed}) != data:
        raise _refusal(f"{path} was changed since it was made")
    if not _well_formed(audit):
        raise _refusal(f"{path} is no audit: it has other parts than one")
    if sha256 is not None and sha256.strip().lower() != claimed:
        raise _refusal(f"{path} is another audit: its sha256 is {claimed}, and {sha256!r:.80} was expected")
    return audit


def problems_in(audit: dict[str, Any]) -> list[str]:
    """What the audit itself found wrong when it was made."""
    found = [f"{damaged['name']} {damaged['why']}" for damaged in audit["damaged"]]
    for purchase, attempt in attempts_of(audit):
        found += [
            f"{_who(purchase, attempt)}: {problem}" for problem in attempt.get("manifest", {}).get("problems", [])
        ]
    return found


def attempts_of(audit: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """All attempts of an audit with their purchase."""
    return [(purchase, attempt) for purchase in audit["purchases"] for attempt in purchase["attempts"]]


def check_storage(audit: dict[str, Any], storages: Storages) -> tuple[list[str], int, int]:
    """Compare what the audit says of the storage with what it holds now.

    :returns: What is wrong, and how many manifests and files were compared.
    """
    landed = [
        (purchase, attempt) for purchase, attempt in attempts_of(audit) if attempt.get("manifest", {}).get("sha256")
    ]

    def check(one: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
        purchase, attempt = one
        manifest = attempt["manifest"]
        problems: list[str] = []

        def note(find: Callable[[], str | None]) -> None:
            try:
                problem = find()
            except VideoProviderError as error:
                problem = problem_of(error)
            if problem:
                problems.append(f"{_who(purchase, attempt)}: {problem}")

        note(lambda: _changed(storages.read_manifest(manifest["uri"]), manifest["sha256"]))
        for file in manifest["files"]:
            note(lambda file=file: storages.check_file(file))  # type: ignore[misc]
        return problems

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = [problem for problems in threads.map(check, landed) for problem in problems]
    return found, len(landed), sum(len(attempt["manifest"]["files"]) for _, attempt in landed)


def _changed(found: Landed, sha256: str) -> str | None:
    if found.sha256 is None:
        return f"{found.uri}: {found.problems[0]}"
    return None if found.sha256 == sha256 else f"{found.uri} was changed since the audit"


def _manifest(entry: Entry, storages: Storages, *, files: bool) -> dict[str, Any] | None:
    """What the storage holds of an attempt's job, and what is wrong with it; None where nothing has landed."""
    if entry.state != "landed":
        return None
    ending, attempt = entry.ending, entry.attempt
    if ending is None or not ending.manifest_uri:
        return {"uri": None, "sha256": None, "files": [], "problems": ["the ledger does not know where it landed"]}
    try:
        found = storages.read_manifest(ending.manifest_uri)
        problems = list(found.problems)
        if found.record:
            names = {"model": attempt.model, "request_id": attempt.request_id, "request_sha256": attempt.request_sha256}
            problems += [
                f"the manifest's {name} is not that of the purchase"
                for name, value in names.items()
                if value is not None and found.record.get(name, value) != value
            ]
        if ending.manifest_sha256 not in (None, found.sha256) and found.sha256 is not None:
            problems.append("the manifest is not the one that was written when the video landed")
        if files:
            problems += [problem for file in found.files if (problem := storages.check_file(file))]
    except VideoProviderError as error:
        return {"uri": ending.manifest_uri, "sha256": None, "files": [], "problems": [problem_of(error)]}
    return {"uri": found.uri, "sha256": found.sha256, "files": list(found.files), "problems": problems}


def _attempt(entry: Entry, manifest: dict[str, Any] | None) -> dict[str, Any]:
    attempt, ending = entry.attempt, entry.ending
    known = {
        "number": attempt.number,
        "try_number": attempt.try_number,
        "created_at": attempt.created_at.isoformat(),
        "state": entry.state,
        "counts": entry.counts,
        "charged": entry.reported,
        "attached_again": entry.again or None,
        "model": attempt.model,
        "conn_id": attempt.conn_id,
        "request_id": attempt.request_id,
        "request_sha256": attempt.request_sha256,
        "estimated_cost_usd": None if attempt.estimated_cost_usd is None else str(attempt.estimated_cost_usd),
        "cost_usd": None if entry.cost is None else str(entry.cost),
        "cost_basis": attempt.cost_basis,
        "reason": attempt.reason,
        "kept_at": ending.kept_at if ending else None,
        "manifest": manifest,
    }
    needed = ("request_id", "estimated_cost_usd")
    return {name: value for name, value in known.items() if value is not None or name in needed}


def _who(purchase: dict[str, Any], attempt: dict[str, Any]) -> str:
    index = f"[{purchase['map_index']}]" if purchase["map_index"] >= 0 else ""
    return f"{purchase['dag_id']}.{purchase['task_id']}{index} in {purchase['run_id']}, attempt {attempt['number']}"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(encode(content)).hexdigest()


def _well_formed(audit: dict[str, Any]) -> bool:
    """Has it the parts that are read? Its digest alone does not say so: anybody can make one."""
    texts, sizes = list[Any](), list[Any]()
    try:
        texts += [part for damaged in audit["damaged"] for part in (damaged["name"], damaged["why"])]
        for purchase, attempt in attempts_of(audit):
            texts += [_who(purchase, attempt)]
            manifest = attempt.get("manifest")
            if manifest is not None:
                texts += [*manifest["problems"], *([manifest["uri"], manifest["sha256"]] if manifest["sha256"] else [])]
                texts += [part for file in manifest["files"] for part in (file["uri"], file["sha256"])]
                sizes += [file["bytes"] for file in manifest["files"]]
    except (KeyError, TypeError, AttributeError):
        return False
    return all(isinstance(text, str) for text in texts) and all(type(size) is int for size in sizes)


def _refusal(what: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what}.",
        money="Nothing was compared.",
        remedy="Take the file that the command wrote, unchanged.",
        field="--verify",
    )
