"""Fetch a job's outputs into local files, from wherever they are; what our reading refuses is kept, not thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import (
    DownloadError,
    OutputMissingError,
    OutputRejectedError,
    VideoProviderError,
)
from airflow_video_providers.core.landing import decode as medias
from airflow_video_providers.core.landing.reused import changed
from airflow_video_providers.core.landing.threads import in_threads
from airflow_video_providers.core.storage.base import conflict

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_video_providers.core.landing.commit import Clip
    from airflow_video_providers.core.landing.fetch import Fetched, Fetcher
    from airflow_video_providers.core.landing.output_urls import OutputUrls
    from airflow_video_providers.core.landing.plan import Plan
    from airflow_video_providers.core.landing.spool import Spool

_REMEDY = (
    "Once the cause is gone (an option, an extra, a newer release of this package), run the task again: it reads the kept "
    "file and asks the vendor nothing. While that folder is there a Clear buys nothing; to delete it is your word that a "
    "Clear may buy again."
)


class OutputsDownload:
    """The outputs of one plan.

    :param spools: The local files, by index.
    :param keep: Keep what is refused.
    """

    def __init__(
        self, plan: Plan, fetcher: Fetcher, sources: OutputUrls, spools: list[Spool], *, keep: bool, log: logging.Logger
    ) -> None:
        self._plan = plan
        self._fetcher = fetcher
        self._sources = sources
        self._spools = spools
        self._keep = keep and plan.landed is None
        self._log = log
        self._refused: dict[int, OutputRejectedError] = {}
        self._sound: set[int] = set()

    def require(self, *, decoder: bool) -> None:
        """A worker without the decoder that is wished for lands nothing; where there is something to save it fetches and
        keeps it first, and refuses when it comes to the frames.

        :raises InvalidRequestError: if the decoder is missing and nothing would be kept.
        """
        if decoder and not self._keep:
            medias.require_av()

    def all(self, describe: Callable[[int, Fetched], Clip], threads: int) -> list[Clip]:
        """Fetch and describe all outputs.

        :param describe: Checks an output that came, and may refuse it.
        :raises DownloadError: the first failure; of a refused file after it has been kept.
        """
        try:
            clips = in_threads(self._plan.count, threads, lambda index: self._one(index, describe), self._fetcher.stop)
        except VideoProviderError:
            if self._refused:  # one is refused and another did not come: the next try fetches the rest
                self._quarantine(next(iter(self._refused.values())))
            raise
        if self._refused:
            refusal = self._refused[min(self._refused)]
            raise self._quarantine(refusal) from refusal.__cause__
        return [clip for clip in clips if clip is not None]

    def _one(self, index: int, describe: Callable[[int, Fetched], Clip]) -> Clip | None:
        try:
            fetched = self._bytes(index)
            clip = describe(index, fetched)
        except OutputRejectedError as refusal:
            if not (self._keep and refusal.keep):
                raise
            self._refused[index] = refusal
            return None
        self._sound.add(index)
        return clip

    def _bytes(self, index: int) -> Fetched:
        plan, spool = self._plan, self._spools[index]
        if plan.landed is not None:
            return self._fetcher.copy(plan.store.read(plan.landed["outputs"][index]["key"]), spool, plan.output(index))
        if plan.kept is not None and index in plan.kept.files:
            fetched = self._fetcher.copy(plan.store.read(plan.quarantine.key(index)), spool, plan.output(index))
            if fetched.sha256 != plan.kept.files[index].sha256:
                raise conflict(
                    f"{plan.quarantine.uri} holds another file than its record says",
                    "Check it. Without that folder the task asks the vendor again, and a Clear may buy again.",
                )
            self._log.info("Output %d is read from %s; the vendor is not asked.", index, plan.quarantine.uri)
            return fetched
        if plan.reused is not None:
            try:
                fetched = self._fetcher.copy(plan.reused.read(index), spool, plan.output(index))
            except OutputRejectedError as rejected:  # it was a video when it landed
                raise changed(plan.job, plan.reused) from rejected
            if fetched.sha256 != plan.reused.outputs[index]["sha256"]:
                raise changed(plan.job, plan.reused)
            self._log.info("Output %d is copied from %s; nothing was bought.", index, plan.reused.store.uri)
            return fetched
        if plan.file is not None:
            with plan.file.open("rb") as received:
                return self._fetcher.copy(iter(lambda: received.read(1 << 20), b""), spool)
        if index >= len(plan.job.outputs):
            raise OutputMissingError(
                f"Output {index} is not among what is kept at {plan.quarantine.uri}, and the vendor names no address.",
                job=plan.job,
            )
        return self._fetcher.fetch(self._sources.output(index), spool)

    def _quarantine(self, refusal: OutputRejectedError) -> OutputRejectedError:
        """Keep what came, unless it is kept already; the refusal that says so."""
        plan = self._plan
        known = plan.kept.files if plan.kept is not None else {}
        paths = {index: self._spools[index].path for index in {*self._refused, *self._sound} - known.keys()}
        reasons = {index: (error.reason or "", error.what) for index, error in self._refused.items()}
        try:
            if paths:
                outputs = [plan.output(index) for index in range(plan.count)]
                plan.quarantine.keep(paths, reasons, outputs, plan.kept)
        except DownloadError as failed:
            # the vendor may still have it when the storage answers again
            return refusal.replace(
                what=f"{refusal.what} It could not be kept for a second opinion: {failed.what}", retryable=True
            )
        self._log.warning("Kept at %s: %s", plan.quarantine.uri, refusal.what)
        return refusal.replace(
            what=f"{refusal.what} The file is kept at {plan.quarantine.uri}, neither landed nor lost.",
            remedy=f"{refusal.remedy} {_REMEDY}",
            kept_at=plan.quarantine.address,
        )
