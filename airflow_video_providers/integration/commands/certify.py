"""``video-certify``: one real clip, bought as a task buys it, and what the vendor answered, as a transcript."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from airflow_video_providers import __version__
from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.find import find_job
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.purchase.settlements import Ending
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.hooks.task_ledger import TaskLedger
from airflow_video_providers.integration.commands.certify_plan import Plan, plan_of
from airflow_video_providers.integration.commands.certify_schema import Schema
from airflow_video_providers.integration.commands.opened import the_ledger
from airflow_video_providers.integration.ledger_config import ledger_path
from airflow_video_providers.integration.ledger_listing import printable
from airflow_video_providers.testing.certification.check import check
from airflow_video_providers.testing.certification.recorder import Recorder
from airflow_video_providers.testing.certification.redaction import Reduction
from airflow_video_providers.testing.certification.transcript import Exchange, Transcript

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.order import Order

#: What the ledger calls the buyer; no DAG has this name by chance.
DAG_ID = "video-certify"
_ENDED = (Ending.LANDED, Ending.LOST, Ending.FAILED)
_OF_A_FILE = ("role", "content_type", "bytes", "sha256", "width", "height", "duration_s")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Say what would be bought; with ``--yes`` buy it. Or compare a transcript."""
    if args.offline:
        return compare(Transcript.read(args.offline), out)
    plan = plan_of(args)
    try:
        if not args.yes:
            out.write(plan.text())
            return 0
        return _certify(plan, out)
    finally:
        plan.hook.close()


def compare(transcript: Transcript, out: TextIO) -> int:
    """Print what differs from the documents and the simulator; 1 where something does."""
    found = check(transcript)
    out.writelines(f"{printable(str(one))}\n" for one in found.differences)
    out.writelines(f"not compared: {printable(note)}\n" for note in found.notes)
    many = len(found.differences)
    what = "nothing differs" if not many else f"{many} thing{'s' if many > 1 else ''} differ{'s' if many == 1 else ''}"
    out.write(f"{transcript.model}, {transcript.certified_on}: {what} from the documented pairs and the simulator.\n")
    return 1 if many else 0


def _certify(plan: Plan, out: TextIO) -> int:
    certification = Certification(plan, _shared_ledger(), plan.earlier())
    failure: VideoProviderError | None = None
    try:
        certification.run()
    except VideoProviderError as error:
        failure = error
    finally:  # what a vendor answered is worth most where it is not what was expected, and where a person has had enough
        transcript = certification.write(failure)
    out.write(f"Transcript: {plan.transcript}\n")
    status = compare(transcript, out)
    if failure is not None:
        raise failure
    out.write(f"Landed: {plan.output}\n")
    return status


def _shared_ledger() -> Ledger:
    """The configured ledger: without one, a second run would not know what the first has bought.

    :raises InvalidRequestError: none is configured. Nothing was sent.
    """
    if not ledger_path():
        raise InvalidRequestError(
            "A purchase is recorded before it is made, and no ledger_path is set.",
            remedy="Set AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH to the one that the tasks have, or for this alone to a folder that "
            "is kept; then run it again.",
            field="ledger_path",
        )
    return the_ledger()


@dataclass
class Certification:
    """One run: a clip that was bought and has not landed is taken up, and nothing else is bought then."""

    plan: Plan
    ledger: Ledger
    before: list[Exchange]
    job: VideoJob | None = None
    manifest: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.hook = self.plan.hook
        self.recorder = Recorder(self.hook.vendor(self.hook.settings), self.plan.request)
        self.hook.heard = self.recorder
        self.schema = Schema(self.plan)
        self.hook.close()  # a client that was made before hears nothing

    def run(self) -> None:
        """Buy, wait and land.

        :raises VideoProviderError: as the verbs do; what was bought is in the ledger, and the next run takes it up.
        """
        this = self._try()
        self.schema.ask()
        self.hook.ledger = TaskLedger(self.ledger, this)
        self.job = self.hook.ledger.submit(self.hook, self._order)
        self.write(None)
        self.recorder.verb = "status"
        with suppress(VideoProviderError):  # its first state may be short; how it stands is the wait's matter
            self.hook.status(self.job)
        self._ask_history()
        self.recorder.verb = "status"
        kind = self.hook.vendor_class  # polled closely: each of its states is to be seen
        self.job = self.hook.wait(self.job, poll_interval=kind.documented_poll_seconds or kind.poll_seconds[0])
        self._ask_history()
        self.manifest = self.hook.land(self.job, self.plan.output)

    def _order(self) -> Order:
        plan = self.plan
        self.schema.refuse_stale()
        return make_order(self.hook.get_conn().vendor, plan.request, {}, self.hook.settings, max_cost_usd=plan.max_usd)

    def _try(self) -> Try:
        """This run as a try of one task instance: a retry while a clip of it is to be landed, a Clear afterwards."""
        identity = Identity(DAG_ID, str(self.hook.conn_id), self.plan.request.id)
        attempts = self.ledger.attempts(identity)
        ended = sum(
            (known := self.ledger.settlement(_bought(one.model, one.request_id))) is not None and known.ending in _ENDED
            for one in attempts
            if one.state is AttemptState.SUBMITTED and one.request_id is not None
        )
        if self.hook.vendor_class.history_kept is not None:
            for attempt in attempts:
                if attempt.open:
                    self.recorder.verb = "history"
                    find_job(attempt, self.ledger, self.hook.get_conn().history, max_tries=ended)
            self.recorder.verb = "submit"
        return Try(identity, max_tries=ended, try_number=len(attempts) + 1)

    def _ask_history(self) -> None:
        """Does the vendor's history show the job? What ``find`` stands on; free of charge."""
        if self.hook.vendor_class.history_kept is None or self.job is None:
            return
        self.recorder.verb = "history"
        now, hour = datetime.now(UTC), timedelta(hours=1)
        with suppress(VideoProviderError):  # its answer is in the transcript
            self.hook.get_conn().history(self.job.model, now - hour, now + hour)

    def write(self, failure: VideoProviderError | None) -> Transcript:
        """Write what has been heard so far."""
        plan, hook = self.plan, self.hook
        vendor = hook.vendor(hook.settings)
        ids = (
            [self.job.request_id]
            if self.job is not None
            else [failure.request_id]
            if failure and failure.request_id
            else []
        )
        reduction = Reduction(hook.settings.api_key, [vendor.url, *vendor.urls.values()], ids)
        heard = self.recorder.exchanges(reduction, ids[0] if ids else None)
        exchanges = [*self.before, *(one for one in heard if one not in self.before)]
        transcript = Transcript(
            vendor=vendor.id,
            model=plan.request.id,
            address=reduction.text(vendor.url),
            status_route=vendor.status_route,
            certified_on=f"{datetime.now(UTC):%Y-%m-%d}",
            package=__version__,
            request=reduction.value(plan.request.body()),
            exchanges=exchanges,
            complete=self.manifest is not None and any(one.verb == "submit" for one in exchanges),
            job=reduction.value(_of_job(self.job)),
            files=[] if self.manifest is None else [_of_file(one) for one in self.manifest["outputs"]],
            pinned=self.schema.record(reduction),
            trouble=None if failure is None else reduction.text(f"{type(failure).__name__}: {failure.what}"),
        )
        try:
            Path(plan.transcript).write_text(transcript.text(), encoding="utf-8")
        except OSError as error:
            raise InvalidRequestError(
                f"The transcript cannot be written to {shown(plan.transcript)} ({type(error).__name__}).",
                remedy="Make room there and run it again: what was bought is taken up.",
                field="--transcript",
            ) from error
        return transcript


def _bought(model: str, request_id: str | None) -> VideoJob:
    from airflow_video_providers.core.jobs import VideoJob

    return VideoJob(model=model, request_id=str(request_id))


def _of_job(job: VideoJob | None) -> dict[str, Any]:
    if job is None:
        return {}
    known = {
        "status": str(job.status),
        "vendor_status": job.vendor_status,
        "charged": job.charged,
        "error": job.error,
        "estimated_cost_usd": job.estimated_cost_usd,
        "cost_usd": job.cost_usd,
    }
    return {name: value if isinstance(value, str) else str(value) for name, value in known.items() if value is not None}


def _of_file(output: Mapping[str, Any]) -> dict[str, Any]:
    return {name: output[name] for name in _OF_A_FILE if output.get(name) is not None}
