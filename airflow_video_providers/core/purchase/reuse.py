"""Which landed video answers a request that is made again: for ``reuse="same_request"``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.records import Key, digest
from airflow_video_providers.core.purchase.stores.base import readable
from airflow_video_providers.core.vendors.parameters import without_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.purchase.ledger import Ledger

#: Under which it is kept what has landed for which request.
KIND = "reusable"


def note_reusable(ledger: Ledger, job: VideoJob, manifest: Mapping[str, Any]) -> None:
    """Write that this job's video has landed, under its model and its request's digest.

    Nothing is written where tasks do not share the ledger, nor for a job whose request is not known.

    :param manifest: As the landing returns it.
    :raises LedgerError: the store fails.
    """
    if not ledger.store.shared or job.request_sha256 is None or job.reused_from is not None:
        return
    output, task = manifest["outputs"][0], manifest.get("task", {})
    root = len(output["uri"]) - len(output["key"])
    origin = {
        "manifest_uri": manifest["manifest_uri"],
        "output_path": output["path"][: -len(output["key"]) - 1],
        "manifest_key": manifest["manifest_uri"][root:],
        **{name: str(task[name]) for name in ("dag_id", "run_id", "task_id", "map_index") if name in task},
    }
    with readable("written"):
        ledger.store.replace(
            _key(job.model, job.request_sha256),
            {"job": without_texts(job.replace(outputs=())).to_dict(), "reused_from": origin},
        )


def same_request(ledger: Ledger, model: str, request_sha256: str) -> VideoJob | None:
    """The finished job whose landed video answers this request, with ``reused_from``; None where none is known.

    :raises LedgerError: the store fails.
    """
    with readable("read"):
        found = ledger.store.read(_key(model, request_sha256))
        if found is None:
            return None
        job = VideoJob.from_dict({**found["job"], "reused_from": found["reused_from"]})
    if (job.model, job.request_sha256) != (model, request_sha256):
        return None
    return job.replace(charged="no", estimated_cost_usd=Decimal(0), cost_basis="reused: nothing was bought")


def _key(model: str, request_sha256: str) -> Key:
    return (KIND, digest([model, request_sha256])[:32])
