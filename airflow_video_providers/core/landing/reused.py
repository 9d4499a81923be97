"""A video that landed before, for another task's equal request: where its files are, and whether they are still there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing import manifest as manifests
from airflow_video_providers.core.storage.base import conflict
from airflow_video_providers.core.storage.open import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.storage.base import Store


@dataclass(frozen=True)
class Reused:
    """The files of an earlier landing.

    :param outputs: Of its manifest.
    """

    store: Store
    outputs: list[dict[str, Any]]

    def read(self, index: int) -> Iterator[bytes]:
        """The bytes of an output."""
        return self.store.read(self.outputs[index]["key"])


def find_reused(job: VideoJob) -> Reused | None:
    """Where the video of a reused job landed; None where its manifest or one of its files is gone.

    :raises InvalidRequestError: the record names no path.
    :raises DownloadError: the storage cannot be asked.
    """
    origin = job.reused_from or {}
    if not {"output_path", "manifest_key"} <= origin.keys():
        return None
    store = open_store(origin["output_path"])
    size = store.size(origin["manifest_key"])
    if size is None or size > manifests.MAX_BYTES:
        return None
    try:
        found = json.loads(b"".join(store.read(origin["manifest_key"])))
        outputs: list[dict[str, Any]] = [
            {
                "key": str(one["key"]),
                "bytes": int(one["bytes"]),
                "sha256": str(one["sha256"]),
                "role": str(one.get("role", OutputRole.VIDEO)),
                "content_type": str(one["content_type"]),
            }
            for one in found["outputs"]
        ]
        ours = (found["model"], found["request_id"]) == (job.model, job.request_id)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = bool(outputs) and all(store.size(one["key"]) == one["bytes"] for one in outputs)
    return Reused(store, outputs) if ours and whole else None


def changed(job: VideoJob, reused: Reused) -> VideoProviderError:
    """The error for a file that is as long as its manifest says and holds something else."""
    return conflict(
        f"{reused.store.uri} holds another file than its manifest says",
        "Restore the file, or clear the submit too and run it without reuse, which buys anew.",
    ).replace(
        charged="no",
        money=f"Nothing was bought here: job {job.request_id} was paid for when it landed there, and that file is not it "
        "any more.",
        vendor=job.model.partition(":")[0],
        model=job.model,
        request_id=job.request_id,
    )
