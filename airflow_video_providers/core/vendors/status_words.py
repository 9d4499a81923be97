"""What a status word means, in any spelling. A word that nobody knows is ``unknown``, never a guess."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from airflow_video_providers.core.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Words of the vendors and of their like, as :func:`normalised` leaves them.
_WORDS: dict[JobStatus, str] = {
    JobStatus.QUEUED: "queued queue queueing queuing inqueue enqueued requeued pending waiting submitted accepted scheduled "
    "throttled starting created received registered notstarted preparing prepared initializing initialising initialized "
    "warmingup warming coldstart provisioning provisioned booting loading launching allocating scheduling dispatched suspended "
    "paused onhold wait new unstarted backlog",
    JobStatus.RUNNING: "processing running inprogress inprocess progress generating dreaming rendering started retrying "
    "executing working active ongoing preprocessing postprocessing encoding transcoding upscaling uploading downloading "
    "finalizing finalising finishing saving validating moderating moderation reviewing inreview underreview resuming preprocess "
    "postprocess inference inferring sampling denoising computing animating compositing stitching merging muxing exporting "
    "building delivering publishing cancelling canceling aborting stopping",
    JobStatus.SUCCEEDED: "completed complete succeeded succeed success successful done ready finished finish",
    JobStatus.FAILED: "fail failed failure unsuccessful rejected refused denied nsfw blocked moderated contentmoderated "
    "contentblocked contentfiltered contentviolation contentpolicyviolation policyviolation safetyviolation violation filtered "
    "flagged censored unsafe sensitive banned prohibited moderationfailed failedmoderation contentmoderationfailed "
    "generationfailed reject invalid crashed",
    JobStatus.ERROR: "error systemerror internalerror",
    JobStatus.CANCELLED: "cancelled canceled cancel aborted deleted stopped terminated revoked",
    JobStatus.EXPIRED: "expired timeout timedout notfound",
}
_STATUS_BY_WORD = {word: status for status, words in _WORDS.items() for word in words.split()}
#: As enumerations are written out: TASK_STATUS_RUNNING, JobStateSucceeded.
_PREFIXES = re.compile(r"^(?:task|job|request|generation)?(?:status|state)")
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")
_BEHIND = re.compile(r"[\s:(]*\d{1,3}(?:\.\d+)?\s*%\)?$|[.\s\u2026]+$")  # "Processing... 45%"


def normalised(word: str) -> str:
    """A word without what differs between spellings: case, spaces, dashes, underscores, a percentage behind it."""
    plain = unicodedata.normalize("NFKC", word[:200]).strip().casefold()
    plain = _BEHIND.sub("", _BEHIND.sub("", plain))
    return _SEPARATORS.sub("", plain)


def meaning(word: str, own: Mapping[str, JobStatus]) -> JobStatus:
    """What a word means.

    :param own: What a vendor's own words mean, where that differs; written as its documents write them.
    """
    plain = normalised(word)
    for ours, status in own.items():
        if normalised(ours) == plain:
            return status
    found = _STATUS_BY_WORD.get(plain) or _STATUS_BY_WORD.get(_PREFIXES.sub("", plain))
    return found or JobStatus.UNKNOWN
