"""What the tab "Video" says of a task instance: by what it pushed, and by the ledger where there is one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.integration import ledger_listing as words
from airflow_video_providers.links.video import documentation_of
from airflow_video_providers.plugin.console import xcoms
from airflow_video_providers.plugin.console.media import Shown, shown
from airflow_video_providers.plugin.console.purchases import MAKING, Purchase
from airflow_video_providers.plugin.console.render import age, airflow_task, clean, moment, moment_of, usd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from airflow_video_providers.core.purchase.records import Identity
    from airflow_video_providers.plugin.console.clip_files import Files
    from airflow_video_providers.plugin.console.ledgers import Ledgers
    from airflow_video_providers.plugin.console.reading import Reading
    from airflow_video_providers.plugin.console.xcoms import Task

#: States of a task in which something may still come of it without a hand.
_ACTIVE = frozenset({"running", "deferred", "up_for_reschedule", "up_for_retry", "queued", "scheduled", "restarting"})
_WILL_APPEAR = {
    "SubmitVideoOperator": "Nothing is bought yet. When this task has run, the model, the request_id and the price stand here, "
    "and the clip as soon as a task of this run has landed it.",
    "VideoJobSensor": "This wait knows no finished job yet. When it does, the job stands here, and the clip as soon as a task "
    "of this run has landed it.",
    "DownloadVideoOperator": "Nothing has landed yet. When this task has run, the clip plays here.",
    "GenerateVideoOperator": "Nothing is bought yet. While the job is made its state stands here; then the clip plays here.",
}


@dataclass
class View:
    """The page.

    :param trouble: Why the ledger says nothing.
    :param unread: What of the ledger is not read yet.
    """

    word: str | None = None
    sentence: str = ""
    took: str | None = None
    trouble: str | None = None
    unread: str | None = None
    clips: list[Shown] = field(default_factory=list)
    landed_by: str | None = None
    hand: list[Purchase] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    attempts: list[Purchase] = field(default_factory=list)
    making: bool = False


def task_view(who: Identity, files: Files, ledgers: Ledgers, *, secure: bool) -> View:
    """What there is to say of one task instance."""
    task = xcoms.task_of(who)
    if task is None:
        return View(sentence="Airflow knows no such task instance.")
    view, reading = View(), None
    try:
        _, reading = ledgers.open()
        view.unread = reading.unread
    except LedgerError as error:
        view.trouble = (
            f"The ledger cannot be read from here, so this page knows only what the task has pushed. {error.what}"
        )
    purchase = _purchase(task, reading, view)
    job = task.job
    landing = task if task.manifest else _landing(task, job, purchase)
    if landing is not None and landing.manifest:
        view.manifest = landing.manifest
        view.clips = shown(files, landing.identity, landing.manifest, secure=secure)
        view.landed_by = airflow_task(landing.identity) if landing is not task else None
    if not (task.ours or purchase or view.manifest):
        view.sentence, view.trouble = "This task makes no video.", None
        return view
    _say_state(view, task, job, purchase, reading)
    _facts(view, job, purchase)
    return view


def _purchase(task: Task, reading: Reading | None, view: View) -> Purchase | None:
    if reading is None:
        return None
    view.attempts = reading.of_task(task.identity)
    if view.attempts:
        view.hand = [one for one in view.attempts if one.needs_a_hand]
        return view.attempts[0]
    known = task.job or task.manifest
    model, request_id = (
        (known.model, known.request_id) if task.job else ((known or {}).get("model"), (known or {}).get("request_id"))  # type: ignore[union-attr]
    )
    return reading.of_job(task.identity.dag_id, str(model), str(request_id)) if model and request_id else None


def _landing(task: Task, job: VideoJob | None, purchase: Purchase | None) -> Task | None:
    who = task.identity
    if job is not None:
        return xcoms.landing_of(who.dag_id, who.run_id, job.model, job.request_id)
    if purchase is not None and purchase.attempt.request_id:
        return xcoms.landing_of(who.dag_id, who.run_id, purchase.attempt.model, purchase.attempt.request_id)
    return None


def _say_state(
    view: View, task: Task, job: VideoJob | None, purchase: Purchase | None, reading: Reading | None
) -> None:
    bought = job.submitted_at if job else None
    if bought is None and purchase is not None and purchase.attempt.request_id:
        bought = purchase.attempt.created_at
    state = f"Airflow's task is {task.state or 'not scheduled yet'}" + (
        f" since {moment(task.since)}." if task.state else "."
    )
    if view.manifest:
        view.word, view.sentence = (
            words.LANDED,
            f"Landed at {moment_of(view.manifest.get('landed_at', 'a time not known'))}. {state}",
        )
    elif purchase is not None and purchase.word not in (MAKING, words.IN_FLIGHT, words.BOUGHT, words.LANDED):
        view.word, view.sentence = purchase.word, state
    elif job is not None and job.status.terminal and job.status is not JobStatus.SUCCEEDED:
        view.word, view.sentence = words.FAILED, state
    elif bought is None and not (job or task.request_id):
        view.word = words.IN_FLIGHT if purchase is not None and purchase.word == words.IN_FLIGHT else None
        view.sentence = f"{_WILL_APPEAR.get(task.operator or '', 'Nothing has landed yet.')} {state}"
        if task.elsewhere:
            view.sentence = (
                f"What the task pushed is kept by an XCom backend of your own, which this page does not read. {state}"
            )
    else:
        view.making = task.state in _ACTIVE or (purchase is not None and purchase.word == MAKING)
        view.word = MAKING if view.making else words.BOUGHT
        since = age(bought)
        said = f" The vendor's last word was {job.vendor_status or job.status.value!r}." if job else ""
        view.sentence = (
            f"Bought at {moment(bought)}"
            + (f", {words.spoken(since)} ago." if since is not None else ".")
            + f"{said} {state}"
        )
    model = job.model if job else purchase.attempt.model if purchase else None
    if not view.manifest and reading is not None and model and (took := reading.took(model)):
        view.took = (
            f"Jobs of {model} landed after {words.spoken(took[0])} in the middle, nine of ten within {words.spoken(took[1])} "
            f"(the last {took[2]} that landed)."
        )


def _facts(view: View, job: VideoJob | None, purchase: Purchase | None) -> None:
    manifest, attempt = view.manifest or {}, purchase.attempt if purchase else None
    kept = job or (None if attempt is None or attempt.job is None else _job_of(attempt.job))
    model = (kept.model if kept else None) or manifest.get("model") or (attempt.model if attempt else None)
    estimate = kept.estimated_cost_usd if kept else attempt.estimated_cost_usd if attempt else None
    basis = (kept.cost_basis if kept else None) or (attempt.cost_basis if attempt else None)
    known = {
        "Model": model,
        "request_id": (kept.request_id if kept else None) or manifest.get("request_id") or (attempt.request_id if attempt else None),
        "Connection": (kept.conn_id if kept else None) or manifest.get("conn_id") or (attempt.conn_id if attempt else None),
        "Price, estimated": _estimate(manifest, estimate, basis),
        "Price, real": _real_price(kept, purchase, manifest),
        "Credits left": (kept.remaining_credits if kept else None) or manifest.get("remaining_credits"),
        "The vendor said": _said(kept),
        "What happened": attempt.reason if attempt else None,
        "Submitted": (moment_of(manifest["submitted_at"]) if manifest.get("submitted_at") else None) or (moment(kept.submitted_at) if kept and kept.submitted_at else None),
        "Completed": (moment_of(manifest["completed_at"]) if manifest.get("completed_at") else None) or (moment(kept.completed_at) if kept and kept.completed_at else None),
        "The vendor keeps it until": moment(kept.expires_at) if kept and kept.expires_at and not manifest else None,
        "A refused file is kept at": purchase.where if purchase and purchase.word == words.REJECTED else None,
        "Verified": manifest.get("verified"),
    }  # fmt: skip
    view.facts = [(name, clean(value)) for name, value in known.items() if value]
    parameters = manifest.get("parameters") or (kept.parameters if kept else None) or {}
    extra = manifest.get("extra")
    view.parameters = (
        {**parameters, **(extra if isinstance(extra, dict) else {})} if isinstance(parameters, dict) else {}
    )
    with suppress(InvalidRequestError):
        if model:
            view.links = [("The model's documentation", documentation_of(str(model)))]


def _estimate(manifest: dict[str, Any], estimate: Decimal | None, basis: str | None) -> str:
    if manifest.get("estimated_cost_usd"):
        return f"${clean(manifest['estimated_cost_usd'])} ({clean(manifest.get('cost_basis'))})"
    return usd(estimate) + (f" ({basis})" if basis else "")


def _real_price(job: VideoJob | None, purchase: Purchase | None, manifest: Mapping[str, Any]) -> str:
    for real in (getattr(job, "cost_usd", None), manifest.get("cost_usd"), getattr(purchase, "cost_usd", None)):
        if real is not None:
            return f"${clean(real)}"
    state = purchase.attempt.state if purchase else None
    if state in (AttemptState.REJECTED, AttemptState.VOID, AttemptState.FORGOTTEN) or (job and job.charged == "no"):
        return "nothing: it was not charged"
    charged = {"yes": "it was charged", "unknown": "whether it was charged is not known yet"}
    return f"the vendor names none; {charged[job.charged] if job else charged['unknown']}"


def _said(job: VideoJob | None) -> str | None:
    if job is None:
        return None
    return ": ".join(part for part in (job.vendor_status or job.status.value, job.error) if part)


def _job_of(record: dict[str, Any]) -> VideoJob | None:

    with suppress(ValueError):
        return VideoJob.from_dict(record)
    return None
