"""What an older version has stored: a wait that started in the triggerer. It ends here, and says how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.triggers.video import VideoJobTrigger, event_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent


class VideoJobStartTrigger(VideoJobTrigger):
    """Takes whatever arguments the older version stored, and ends with an error that a retry of the sensor clears."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where this class lives; of the old arguments none is needed."""
        return f"{__name__}.{type(self).__name__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wake a worker at once."""
        yield event_of(
            None,
            VendorUnavailableError(
                "This wait was started in the triggerer by an older version of the package, and waits no longer start "
                "there.",
                money="The job is not affected.",
                remedy="Take start_from_trigger off the sensor and run it again to go on waiting; that buys nothing.",
            ),
        )
