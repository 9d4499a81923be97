"""Land a finished video: plan, fetch, commit. The manifest is written last."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.errors import DownloadError, InvalidRequestError
from airflow_video_providers.core.landing import commit, expectations
from airflow_video_providers.core.landing import manifest as manifests
from airflow_video_providers.core.landing.address import host_names
from airflow_video_providers.core.landing.download_outputs import OutputsDownload
from airflow_video_providers.core.landing.fetch import Fetched, Fetcher
from airflow_video_providers.core.landing.keys import DEFAULT_KEY_TEMPLATE, check_key_template
from airflow_video_providers.core.landing.media_info import DEFAULT_MEDIA_TYPES
from airflow_video_providers.core.landing.output_urls import Keyed, OutputUrls, Refresh
from airflow_video_providers.core.landing.plan import Plan, make_plan, returned
from airflow_video_providers.core.landing.spool import Spool
from airflow_video_providers.core.landing.threads import Stop, in_threads
from airflow_video_providers.core.landing.user_agent import USER_AGENT, check_user_agent
from airflow_video_providers.core.landing.verify import checked_media_types
from airflow_video_providers.core.polling.decision import RETENTION_WARNING
from airflow_video_providers.core.storage.base import check_encryption, conflict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from airflow_video_providers.core.jobs import VideoJob

Verify = Literal["container", "decode"]
Expect = Literal["report", "strict"]
DEFAULT_MAX_BYTES = 4 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Landing:
    """How and where videos are landed. Building one checks what needs neither network nor job.

    :param output_path: Where to: ``"s3://conn_id@bucket/prefix"``, ``"gs://..."``, ``"abfs://..."``,
        ``"file:///data"``, ``"/data"``, or any other fsspec scheme. Without a connection id the machine's own
        credentials are used.
    :param overwrite: Fetch again and replace what is there. By default nothing stored is ever replaced: what is
        landed already costs no request, and something else under the same name is an error.
    :param verify: ``"container"``: whole to its last box. ``"decode"``: every frame decodes too (extra ``media``).
    :param expect: ``"report"``: where a file is not what the request asked for (duration, resolution, ratio, audio), that
        stands in the manifest and in the log. ``"strict"``: such a file is refused before it has its final name, and kept
        as other refused files are: it is paid for. What is landed already stays where it is.
    :param media_types: The accepted types, of ``video/mp4``, ``video/webm``, ``video/quicktime`` and
        ``video/x-matroska``; what the bytes are decides, not what the server calls them.
    :param key_template: The layout below ``output_path``, see
        :func:`~airflow_video_providers.core.landing.keys.check_key_template`.
    :param poster: Land a JPEG of one frame beside each clip (extra ``media``).
    :param max_bytes: No output may be larger; 4 GiB by default.
    :param encryption: What is sent to S3 with each upload: ``ServerSideEncryption``, ``SSEKMSKeyId``,
        ``SSEKMSEncryptionContext``, ``BucketKeyEnabled``. Other storages encrypt as their owner has set them up.
    :param allow_private_hosts: Host names that may resolve to private addresses and may speak plain http.
    :param refresh: Asked with the job where an output's address serves nothing; returns the job as it is now, with
        fresh addresses where there are any.
    :param keyed: Asked with the job and an output's place for the address and the headers of one that needs the vendor's key
        (``keyed_output`` of a client); None for one whose address is enough.
    :param patience: Seconds for which an address may serve nothing while the vendor says that the job is finished,
        before that is an error, which a retry may cure; 5 minutes by default.
    :param user_agent: What file hosts are sent as User-Agent, for one that refuses programs. By default this package's name.
    :param source_paths: Keep the path of an output's address in the manifest too. By default only its host is kept: some
        vendors' files are public, and whoever reads the manifest could fetch them.
    :param keep_rejected: Keep a file that came whole and is refused by our reading (container, decoder, missing extra)
        below ``_rejected/<request_id>/`` in ``output_path``, with the reason; the next landing reads it there before
        anybody asks the vendor. Default True: the file is paid for, and vendors forget it within hours.
    :param task: ``dag_id``, ``run_id``, ``task_id``, ``map_index`` and ``logical_date`` for the manifest.
    :param extra_manifest: Anything else the manifest shall hold, such as a seed or, by choice, the prompt.
    :param threads: Outputs that are downloaded at the same time.
    :param timeout: Seconds for all downloads together; 1 hour by default.
    :param stop: Ends the downloads from another thread, with a retryable error.
    :param log: Where progress is logged; by default the package's logger.
    :raises InvalidRequestError: if an option is wrong. Nothing is charged for that.
    """

    output_path: str
    overwrite: bool = False
    verify: Verify = "container"
    expect: Expect = "report"
    media_types: Collection[str] = DEFAULT_MEDIA_TYPES
    key_template: str | None = None
    poster: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    encryption: Mapping[str, Any] | None = None
    allow_private_hosts: Collection[str] = ()
    refresh: Refresh | None = None
    keyed: Keyed | None = None
    patience: float | None = None
    user_agent: str | None = None
    source_paths: bool = False
    keep_rejected: bool = True
    task: Mapping[str, Any] | None = None
    extra_manifest: Mapping[str, Any] | None = None
    threads: int = 8
    timeout: float = 3600.0
    stop: Stop | None = None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger(__name__))

    def __post_init__(self) -> None:
        check_key_template(self._template)
        check_encryption(self.encryption, None)
        checked_media_types(self.media_types)
        check_user_agent(self.user_agent)
        if self.verify not in ("container", "decode"):
            raise InvalidRequestError(
                f"verify is {self.verify!r}.", field="verify", value=self.verify, allowed="container, decode"
            )

        if self.expect not in ("report", "strict"):
            raise InvalidRequestError(
                f"expect is {self.expect!r}.", field="expect", value=self.expect, allowed="report, strict"
            )

    @property
    def _template(self) -> str:
        return self.key_template or DEFAULT_KEY_TEMPLATE

    def run(self, job: VideoJob, *, file: Path | None = None) -> dict[str, Any]:
        """Land one job; what :func:`land` does.

        :param file: The video itself, where the vendor's answer carried it and it has no address.
        """
        try:
            return self._run(job, file)
        except DownloadError as failed:
            raise failed.replace(vendor=job.vendor, model=job.model, request_id=job.request_id) from failed.__cause__

    def _run(self, job: VideoJob, file: Path | None) -> dict[str, Any]:
        began = time.monotonic()
        plan = make_plan(
            job, file, output_path=self.output_path, template=self._template, overwrite=self.overwrite,
            encryption=self.encryption, log=self.log,
        )  # fmt: skip
        if plan.landed is not None and self._satisfies(plan.landed):
            self.log.info("Landed before: %s/%s. Nothing is fetched.", plan.store.uri, plan.keys.manifest)
            self._hold_against(plan.landed.get("differences", []))
            return returned(plan, plan.landed, skipped=True)
        used = plan.job.retention_used(datetime.now(UTC))
        if used is not None and used >= RETENTION_WARNING and plan.job.expires_at is not None and plan.file is None:
            self.log.warning(
                "Landing job %s late: the vendor's documents promise it until %s UTC. Give landings a higher "
                "priority_weight than submits.", plan.job.request_id, f"{plan.job.expires_at:%H:%M}",
            )  # fmt: skip
        with ExitStack() as open_files:
            clips = self._fetch(plan, open_files, began)
            record = self._commit(plan, clips, began)
        if plan.kept is not None:
            plan.quarantine.clear(plan.kept, self.log)
        return returned(plan, record, skipped=False)

    def _fetch(self, plan: Plan, open_files: ExitStack, began: float) -> list[commit.Clip]:
        """Fetch every output into a local file and verify it; a refused one is kept before its error is raised."""
        fetcher = Fetcher(
            allowed=host_names(self.allow_private_hosts),
            media_types=self.media_types,
            max_bytes=self.max_bytes,
            deadline=began + self.timeout,
            connections=self.threads,
            patience=self.patience,
            user_agent=self.user_agent or USER_AGENT,
            log=self.log,
        )
        open_files.callback(fetcher.close)
        if self.stop is not None:
            self.stop.calls(fetcher.stop)
        spools = [open_files.enter_context(Spool(where, plan.store.spool_mode())) for where in plan.directories]
        outputs = OutputsDownload(
            plan, fetcher, OutputUrls(plan.job, self.refresh, self.keyed), spools, keep=self.keep_rejected, log=self.log
        )
        outputs.require(decoder=self.poster or self.verify == "decode")

        def describe(index: int, fetched: Fetched) -> commit.Clip:
            decode, poster, paths = self.verify == "decode", self.poster, self.source_paths
            clip = commit.make_clip(
                index, plan.keys, spools[index], fetched, plan.output(index), decode=decode, poster=poster, paths=paths
            )
            if "source" not in clip.entry and plan.kept is not None and index in plan.kept.files:
                clip.entry |= {"source": plan.kept.files[index].source} if plan.kept.files[index].source else {}
            self._hold_against(expectations.differences(plan.job.expected, clip.entry))
            return clip

        return outputs.all(describe, self.threads)

    def _commit(self, plan: Plan, clips: list[commit.Clip], began: float) -> dict[str, Any]:
        """Put what is verified under its final names, and the manifest last."""
        fetched_at, store, keys = time.monotonic(), plan.store, plan.keys
        before = None if plan.landed is None else [output["sha256"] for output in plan.landed["outputs"]]
        if before is not None and [clip.verified.sha256 for clip in clips] != before:
            raise conflict(f"{store.uri}: what is stored is not what {keys.manifest} says")
        if self.overwrite:
            store.remove(keys.manifest)  # or it would vouch for other bytes
        in_threads(
            len(clips), self.threads, lambda i: commit.place(store, clips[i], self.overwrite, self.log), lambda: None
        )
        now = time.monotonic()
        record = manifests.build(
            plan.job,
            [clip.entry for clip in clips],
            verify=self.verify,
            landed_at=datetime.now(UTC),
            seconds={"download": fetched_at - began, "store": now - fetched_at, "total": now - began},
            task=self.task,
            extra=self.extra_manifest,
            differences=[one for clip in clips for one in expectations.differences(plan.job.expected, clip.entry)],
        )
        record = manifests.with_addresses(record, store.uri)
        record = commit.commit(store, keys, record, replace=self.overwrite or plan.landed is not None)
        size = sum(clip.verified.size for clip in clips)
        self.log.info("Landed %d file(s), %.1f MB, at %s/%s.", len(clips), size / 1e6, store.uri, keys.manifest)
        return record

    def _hold_against(self, differences: list[dict[str, Any]]) -> None:
        """Say where a file is not what was asked for.

        :raises OutputRejectedError: if it has to be.
        """
        if differences and self.expect == "strict":
            raise expectations.refusal(differences)
        if differences:
            self.log.warning("The video is not what was asked for: %s. It lands.", expectations.said(differences))

    def _satisfies(self, landed: Mapping[str, Any]) -> bool:
        posters = not self.poster or all("poster" in output for output in manifests.videos(landed))
        return posters and (self.verify == "container" or landed.get("verified") == "decode")


def land(job: VideoJob, output_path: str, **options: Any) -> dict[str, Any]:
    """Land a finished job's outputs, verified, under a name that is a pure function of the job.

    What is landed already is not fetched again, also after the vendor's addresses expired. Blocking: in a
    running event loop call it through ``asyncio.to_thread``.

    :param job: A finished job.
    :param output_path: Where to, see :class:`Landing`.
    :param options: The other fields of :class:`Landing`.
    :return: The manifest as plain JSON, with each file's ``uri`` (and ``path``, which adds the Airflow connection
        for ``ObjectStoragePath``), ``manifest_uri``, and ``skipped``: whether it was landed before.
    :raises OutputExpiredError: if the output is lost: the vendor itself says so again and again, or has long thrown
        it away.
    :raises OutputRejectedError: if what came is not a whole video, or its address may not be fetched.
    :raises LandingError: if the storage refuses, or holds something else.
    :raises DownloadError: if network, disk, time, file host or vendor do not allow it now. For all of these the job is paid
        for, nothing unverified has its final name, and running it again does not buy again.
    :raises OutputMissingError: if the job names no output.
    :raises InvalidRequestError: if an option is wrong or the job is not finished.
    """
    return Landing(output_path=output_path, **options).run(job)
