"""What there is to do for a job: is it landed, is a refused file of it kept, or is it to be fetched?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, OutputMissingError
from airflow_video_providers.core.jobs import JobStatus, OutputRole, VideoOutput
from airflow_video_providers.core.landing import commit
from airflow_video_providers.core.landing import manifest as manifests
from airflow_video_providers.core.landing.keys import Keys
from airflow_video_providers.core.landing.quarantine import Kept, Quarantine
from airflow_video_providers.core.landing.reused import Reused, find_reused
from airflow_video_providers.core.landing.spool import sweep
from airflow_video_providers.core.storage.open import open_store

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.storage.base import Store


@dataclass(frozen=True)
class Plan:
    """What was found before anything is fetched.

    :param landed: The record of an earlier landing whose files are there.
    :param quarantine: Where refused files of this job are kept, and ``kept`` what is kept there now.
    :param file: The video itself, where the vendor's answer carried it.
    :param directories: Where each output grows.
    :param reused: Where the video of a reused job has landed.
    """

    job: VideoJob
    store: Store
    keys: Keys
    landed: dict[str, Any] | None
    quarantine: Quarantine
    kept: Kept | None
    file: Path | None
    directories: list[str]
    reused: Reused | None = None

    @property
    def count(self) -> int:
        """How many outputs there are."""
        return len(self.directories)

    def output(self, index: int) -> VideoOutput:
        """What one of them has to be, from wherever that is known; a video where nobody says."""
        for known in (self.landed or {}).get("outputs", ()), self.reused.outputs if self.reused else ():
            if index < len(known):
                entry = known[index]
                return VideoOutput(url="", role=entry.get("role", OutputRole.VIDEO), media_type=entry["content_type"])
        if index < len(self.job.outputs):
            return self.job.outputs[index]
        file = self.kept.files.get(index) if self.kept else None
        return VideoOutput(url="", role=file.role, media_type=file.media_type) if file else VideoOutput(url="")


def make_plan(
    job: VideoJob,
    file: Path | None,
    *,
    output_path: str,
    template: str,
    overwrite: bool,
    encryption: Mapping[str, Any] | None,
    log: logging.Logger,
) -> Plan:
    """Read the job and the storage; asks no vendor.

    :raises InvalidRequestError: if the job is not finished.
    :raises OutputMissingError: if there is nothing to land.
    :raises LandingError: if the storage refuses.
    """
    if job.status is not JobStatus.SUCCEEDED:
        raise InvalidRequestError(
            f"The job is {job.status}, and only a finished one can be landed.",
            remedy="Wait for it with VideoJobSensor.",
            model=job.model, request_id=job.request_id, charged=job.charged, field="job",
        )  # fmt: skip
    store, keys = open_store(output_path, encryption=encryption), Keys(job, template)
    landed, problem = (None, None) if overwrite else commit.recorded(store, keys)
    if problem:
        log.warning("%s", problem)
    quarantine = Quarantine(store, job)
    kept = quarantine.find() if landed is None else None
    if kept is not None and job.outputs and len(job.outputs) != kept.count:
        log.warning("%s holds another number of outputs than the job has, and is left alone.", quarantine.uri)
        kept = None
    reused = find_reused(job) if landed is None and job.reused_from is not None else None
    if landed is None and file is None and kept is None and reused is None and not job.outputs:
        raise OutputMissingError("The job is finished and names no output.", job=job)
    count = len(landed["outputs"]) if landed is not None else len(job.outputs) or (kept.count if kept else 1)
    if reused is not None:
        count = len(reused.outputs)
    directories = [store.spool_directory(keys.output(index, "part")) for index in range(count)]
    for directory in set(directories):
        sweep(directory)
    return Plan(job, store, keys, landed, quarantine, kept, file, directories, reused)


def returned(plan: Plan, record: Mapping[str, Any], *, skipped: bool) -> dict[str, Any]:
    """The record as a task returns it."""
    located = manifests.with_addresses(record, plan.store.uri, plan.store.path)
    if plan.job.reused_from is not None:
        located["reused_from"] = dict(plan.job.reused_from)
    return {**located, "manifest_uri": f"{plan.store.uri}/{plan.keys.manifest}", "skipped": skipped}
