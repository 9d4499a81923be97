"""A file that was paid for, came whole and is refused by our reading is kept, never landed.

It lies at ``{output_path}/_rejected/<request_id>/``, which follows from the job's id alone, so that whoever knows the
job finds it without the vendor and without the ledger: each output as ``<vendor>.<model>.<index>.rejected``, and
beside them a record that is written last. Its name is nobody's final name, and nothing here reaches lineage or assets.

While record and files are there the job is neither landed nor lost. A person who deletes the folder gives the word
that a Clear may buy again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_video_providers import __version__
from airflow_video_providers.core.errors import DownloadError
from airflow_video_providers.core.jobs import JobStatus, OutputRole, VideoJob
from airflow_video_providers.core.landing import commit
from airflow_video_providers.core.landing.keys import safe_part
from airflow_video_providers.core.landing.manifest import source_entry
from airflow_video_providers.core.storage.base import VerifiedFile, sha256_of
from airflow_video_providers.core.storage.open import open_store

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from airflow_video_providers.core.jobs import VideoOutput
    from airflow_video_providers.core.storage.base import Store

FOLDER = "_rejected"
SCHEMA_VERSION = 1
_LONGEST_RECORD = 1 << 20
_MOST_OUTPUTS = 1000


@dataclass(frozen=True)
class KeptFile:
    """One output, refused or its sound sibling.

    :param reason: Why it was refused; None for a sibling.
    :param source: Where it came from, as manifests say it.
    :param role: What it is to the video, and ``media_type`` what the vendor says that it is.
    """

    size: int
    sha256: str
    reason: str | None = None
    source: dict[str, str] | None = None
    role: OutputRole = OutputRole.VIDEO
    media_type: str | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept of a job.

    :param job: The job as it was then: finished, without addresses.
    :param count: How many outputs it has.
    :param files: By index; those of an interrupted landing may be fewer than ``count``.
    :param reason: Why a file was refused, a short word, and ``what`` was said then.
    """

    job: VideoJob
    count: int
    files: dict[int, KeptFile]
    reason: str
    what: str

    @property
    def whole(self) -> bool:
        """Is every output here, so that nobody needs to be asked?"""
        return self.files.keys() == set(range(self.count))


class Quarantine:
    """Where a job's refused files are kept in a store."""

    def __init__(self, store: Store, job: VideoJob) -> None:
        self._store = store
        self._job = job
        self.folder = f"{FOLDER}/{safe_part(job.request_id)}"
        model = job.model.partition(":")[2] or job.model
        self._name = f"{self.folder}/{safe_part(job.vendor)}.{safe_part(model)}"

    @property
    def uri(self) -> str:
        """The folder, as any program names it."""
        return f"{self._store.uri}/{self.folder}"

    @property
    def address(self) -> str:
        """The folder, as :func:`find_kept` finds it again."""
        return f"{self._store.path}/{self.folder}"

    def key(self, index: int) -> str:
        """Where an output is kept."""
        return f"{self._name}.{index}.rejected"

    @property
    def record(self) -> str:
        """Where it is kept what is kept."""
        return f"{self._name}.json"

    def find(self) -> Kept | None:
        """What is kept of the job, None where nothing is: no record that can be read, or not one of its files.

        :raises DownloadError: if the storage does not answer; then nobody knows.
        """
        size = self._store.size(self.record)
        if size is None or size > _LONGEST_RECORD:
            return None
        kept = _read(b"".join(self._store.read(self.record)), self._job)
        if kept is None:
            return None
        there = {index: file for index, file in kept.files.items() if self._store.size(self.key(index)) == file.size}
        return Kept(kept.job, kept.count, there, kept.reason, kept.what) if there else None

    def keep(
        self,
        paths: Mapping[int, str],
        refused: Mapping[int, tuple[str, str]],
        outputs: Sequence[VideoOutput],
        before: Kept | None,
    ) -> None:
        """Keep local files, and write the record last.

        :param paths: The files by index; they may be moved away.
        :param refused: Of those that were refused, the reason and what was said.
        :param outputs: What the job's files are.
        :param before: What is kept already.
        :raises DownloadError: if the storage refuses.
        """
        files = dict(before.files) if before is not None else {}
        for index, path in paths.items():
            verified = VerifiedFile(path, *_measured(path), "application/octet-stream", {})
            url = outputs[index].url
            source = source_entry(url) if url else None
            self._store.spool_directory(self.key(index))
            self._store.put(verified, self.key(index), overwrite=True)
            files[index] = KeptFile(
                verified.size, verified.sha256, refused[index][0] if index in refused else None, source,
                outputs[index].role, outputs[index].media_type,
            )  # fmt: skip
        reason, what = next(iter(refused.values()))
        job = self._job.replace(status=JobStatus.SUCCEEDED, outputs=()).to_dict()
        record = {
            "schema_version": SCHEMA_VERSION,
            "vendor": self._job.vendor,
            "model": self._job.model,
            "request_id": self._job.request_id,
            "reason": reason,
            "what": what[:1000],
            "rejected_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "count": len(outputs),
            "files": [
                {
                    "index": index,
                    "key": self.key(index),
                    "bytes": file.size,
                    "sha256": file.sha256,
                    "role": str(file.role),
                    **({"media_type": file.media_type} if file.media_type else {}),
                    **({"reason": file.reason} if file.reason else {}),
                    **({"source": file.source} if file.source else {}),
                }
                for index, file in sorted(files.items())
            ],
            "job": job,
            "package": {"name": "airflow-video-providers", "version": __version__},
        }
        data = (json.dumps(record, indent=2, ensure_ascii=True) + "\n").encode()
        commit.put(self._store, data, self.record, "application/json", {})

    def clear(self, kept: Kept, log: logging.Logger) -> None:
        """The job has landed: what was kept is not needed any more. Trouble here undoes no landing."""
        try:
            for index in kept.files:
                self._store.remove(self.key(index))
            self._store.remove(self.record)
        except DownloadError as failed:
            log.warning("The job has landed; what was kept of it at %s can be deleted: %s", self.uri, failed.what)


def find_kept(place: str, job: VideoJob) -> Kept | None:
    """What is kept of a job.

    :param place: An ``output_path``, or an address of :attr:`Quarantine.address`.
    :raises InvalidRequestError: if it is no such path.
    :raises DownloadError: if the storage cannot be asked; then nobody knows.
    """
    root, found, _ = place.rpartition(f"/{FOLDER}/")
    return Quarantine(open_store(root if found else place), job).find()


def _measured(path: str) -> tuple[int, str]:
    from airflow_video_providers.core.storage.base import file_pieces

    size = 0

    def counted() -> Any:
        nonlocal size
        for piece in file_pieces(path):
            size += len(piece)
            yield piece

    digest = sha256_of(counted())
    return size, digest


def _read(data: bytes, job: VideoJob) -> Kept | None:
    """A record, None where it is none of ours or another job's. Keys in it are for people: ours follow from the job."""
    try:
        record = json.loads(data)
        known = VideoJob.from_dict(record["job"])
        count = int(record["count"])
        files = {
            int(one["index"]): KeptFile(
                int(one["bytes"]),
                str(one["sha256"]),
                one.get("reason"),
                one.get("source"),
                OutputRole(one.get("role", OutputRole.VIDEO)),
                one.get("media_type"),
            )
            for one in record["files"]
        }
        reason, what = str(record["reason"]), str(record["what"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, ValidationError):
        return None
    ours = (known.model, known.request_id) == (job.model, job.request_id)
    sound = 0 < count <= _MOST_OUTPUTS and all(0 <= index < count for index in files)
    if not ours or not sound or record.get("schema_version") != SCHEMA_VERSION:
        return None
    finished = job.replace(
        status=JobStatus.SUCCEEDED, completed_at=job.completed_at or known.completed_at,
        submitted_at=job.submitted_at or known.submitted_at, expires_at=job.expires_at or known.expires_at,
        charged=known.charged,
    )  # fmt: skip
    return Kept(finished, count, files, reason[:100], what[:1000])
