"""A process that lands a clip and is killed on the way."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from typing import Any

from airflow.sdk.io import has_fs

has_fs("s3")  # imports every provider's storage, once, in the process that the victims are forked from


def run(environment: dict[str, str], job: dict[str, Any], where: str, moment: str) -> None:
    """Land, and die at ``moment`` (``"download"``, ``"upload"``, ``"manifest"``), or whenever somebody kills us."""
    os.environ.update(environment)
    tempfile.tempdir = environment["TMPDIR"]
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.landing import commit, partial_download
    from airflow_video_providers.landing import land

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "download":
        add = partial_download.PartialDownload.add

        def halfway(self: partial_download.PartialDownload, chunk: bytes) -> None:
            add(self, chunk)
            if self.total and self.size > self.total / 2:
                die()

        partial_download.PartialDownload.add = halfway  # type: ignore[method-assign]
    elif moment == "upload":
        place = commit.place

        def soon(*arguments: Any) -> None:
            threading.Timer(0.02, die).start()
            place(*arguments)
            threading.Event().wait()  # it was quicker than the timer

        commit.place = soon
    elif moment == "manifest":
        commit.put = die
    land(VideoJob.from_dict(job), where, allow_private_hosts=["127.0.0.1"])
