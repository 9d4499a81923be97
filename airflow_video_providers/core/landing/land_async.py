"""Land from an event loop, without holding it up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.landing.threads import Stop
from airflow_video_providers.core.uncancelled import uncancelled

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.landing.land import Landing


async def land_in_thread(landing: Landing, job: VideoJob) -> dict[str, Any]:
    """What ``landing.run(job)`` does, in a thread.

    A cancellation stops the download, and is raised when the thread has ended: it leaves no half file and no temporary
    one. What was about to be stored then is stored whole, with its manifest, and is found by the next landing.

    :raises DownloadError: as :meth:`Landing.run`.
    """
    stop = Stop()
    return await uncancelled(asyncio.to_thread(replace(landing, stop=stop).run, job), on_cancel=stop.now)
