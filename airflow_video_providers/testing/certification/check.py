"""A transcript against everything that there is to hold it against, without network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.purchase.settlements import usd_in
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.certification.compare import NEW, Difference, differences, requests
from airflow_video_providers.testing.certification.samples import DOCUMENTS, documented, simulated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_video_providers.testing.certification.transcript import Transcript
    from airflow_video_providers.testing.simulator.gateway import Gateway


class Finding(NamedTuple):
    """What came of a comparison.

    :param differences: What is not as it was taken to be.
    :param notes: What could not be compared, and why.
    """

    differences: list[Difference]
    notes: list[str]


def check(transcript: Transcript, *, more: Sequence[type[Gateway]] = (), documents: Path = DOCUMENTS) -> Finding:
    """Compare a transcript with the documented pairs and with the simulator.

    :param more: Gateways of vendors that the package's simulator does not play.
    :param documents: The folder with the documented pairs.
    :raises InvalidRequestError: nobody serves the transcript's vendor here.
    """
    if transcript.vendor not in catalogue.vendors():
        raise InvalidRequestError(
            f"There is no vendor {transcript.vendor!r:.60} here.",
            remedy="Install the distribution that has it.",
            field="--offline",
            value=transcript.vendor,
        )
    found = [*_pinned(transcript), *_bill(transcript)]
    notes: list[str] = []
    if transcript.pinned is not None and transcript.pinned.unread is not None:
        notes.append(f"pinned schema: what the vendor shows could not be read ({transcript.pinned.unread})")
    if not transcript.complete:
        notes.append(
            f"the transcript is of a certification that came to no end ({transcript.trouble or 'interrupted'})"
        )
    if pairs := documented(transcript, documents):
        differ, more_notes = differences(transcript, pairs, "documents")
        found, notes = found + differ, notes + more_notes
    else:
        notes.append(f"documents: there are no documented pairs of {transcript.vendor}")
    try:
        played = simulated(transcript, more)
    except VideoProviderError as error:
        found.append(Difference("this version", "submit, request", "request", error.what))
        return Finding(found, notes)
    if played is None:
        notes.append(f"simulator: it does not play {transcript.vendor}")
    else:
        heard = transcript.model_copy(update={"exchanges": [*transcript.exchanges, *transcript.outputs]})
        differ, more_notes = differences(heard, played, "simulator")
        known = [one for one in found if one.what == NEW and one._replace(against="simulator") not in differ]
        found = [one for one in found if one not in known]
        notes += [
            f"{one.against}: {one.exchange}: {one.place}: no sample prints it, and the simulator has it"
            for one in known
        ]
        found, notes = found + differ + requests(transcript, played), notes + more_notes
    return Finding(found, notes)


def _pinned(transcript: Transcript) -> list[Difference]:
    if (pinned := transcript.pinned) is None:
        return []
    parts = (line.partition(": ") for line in pinned.changes)
    return [Difference("pinned schema", f"fetched {pinned.fetched}", what, which) for what, _, which in parts]


def _bill(transcript: Transcript) -> list[Difference]:
    """What the clip cost by the vendor's word, where that is not what it was estimated at."""
    estimated, real = (usd_in(transcript.job.get(name)) for name in ("estimated_cost_usd", "cost_usd"))
    if real is None or real == estimated:
        return []
    expected = "an unknown price" if estimated is None else f"${estimated}"
    return [Difference("estimate", "job", "cost", f"${real} instead of {expected}")]
