"""Faults on demand: their names, how they are asked for, and which of them strike now.

Three ways lead here: the header ``X-Sim-Fault`` (this request), a prompt prefix (this job), and
``POST /_sim/faults`` (whatever comes next). One written form serves the first two::

    name[:argument][@stage][*count]        for example  [[fault:http_503@status*3]] a red fox
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

#: Faults that one prompt may ask for; what stands behind them is part of the prompt.
MOST = 20
_CALLS = ("submit", "status", "result")


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    :param stages: Where it may strike; the first is where it does when nothing else is said.
    :param lasting: Asked for by a prompt or header without a count, it strikes for ever instead of once.
    :param needs: It waits until the job is ``started`` or ``completed``.
    """

    help: str
    stages: tuple[str, ...] = _CALLS
    lasting: bool = False
    needs: str = ""


KINDS: dict[str, Kind] = {
    # what becomes of the job
    "job_failed": Kind("the job ends FAILED, argument: the error text", ("submit",)),
    "job_error": Kind("the job ends ERROR (Segmind: FAILED), argument: the error text", ("submit",)),
    "content_blocked": Kind("the job ends FAILED because of its content", ("submit",)),
    "huge_error": Kind("the job ends FAILED with an error text of 1 MB", ("submit",)),
    "duplicate_id": Kind("the answer carries the id of the vendor's job before this one", ("submit",)),
    # nothing is accepted
    "drop_before_read": Kind("connection reset before the request is read"),
    "hang": Kind("no answer until the client gives up; nothing is accepted"),
    "rate_limited": Kind("429 as the vendor documents it, without Retry-After"),
    "rate_limited_retry_after": Kind("429 with Retry-After, argument: seconds (1)"),
    "http": Kind(
        "written http_NNN: any status with an HTML page, as a proxy answers; 503 may take Retry-After seconds"
    ),
    "error": Kind("written error_NNN: the vendor's documented body for NNN"),
    "model_not_found": Kind("the vendor's answer for a model it does not know", ("submit",)),
    "wrong_content_type": Kind("Segmind's other 406: it speaks of the content type", ("submit",)),
    "quota": Kind("403 of a gateway whose call volume is used up, with Retry-After, argument: seconds (1)"),
    "locked": Kind("403 because the account's balance is used up"),
    "not_found": Kind("404 as for an unknown job: replication lag right after submit", ("status", "result")),
    "redirect": Kind("307 to another host"),
    # the call is carried out (a submit is accepted, and charged), then the answer is spoilt
    "drop_after_accept": Kind("the call is carried out and the connection closed without an answer"),
    "hang_after_accept": Kind("the call is carried out and never answered"),
    "http_after_accept": Kind("written http_NNN_after_accept: carried out, answered with an HTML error page"),
    "drop_mid_body": Kind("half of the answer, then the connection closes"),
    "slow_body": Kind("the answer trickles in, argument: seconds (1)"),
    "truncated_json": Kind("half of the JSON, as a complete answer"),
    "html_200": Kind("200 with an HTML page"),
    "empty_body": Kind("200 with nothing"),
    "no_id": Kind("2xx without any id", ("submit",)),
    "gzip": Kind("the answer is gzip-encoded, whatever was asked for"),
    "rename": Kind("rename:old=new renames a field of the answer", _CALLS, lasting=True),
    "foreign_url": Kind("the URLs in the answer point to another host"),
    # what the status says
    "other_id": Kind("the answer is about another job", ("status", "result")),
    "status": Kind("status:WORD replaces the status word", ("status", "result"), lasting=True),
    "unknown_status": Kind("a status word that no document lists", ("status", "result"), lasting=True),
    "odd_case": Kind("the status word in the wrong case", ("status", "result"), lasting=True),
    "status_backwards": Kind("QUEUED again after PROCESSING or COMPLETED", ("status",), needs="started"),
    "completed_without_url": Kind("COMPLETED without an output", ("status", "result"), needs="completed"),
    # the video
    "media_wrong_type": Kind("the video as image/jpeg, argument: another type", ("media",), lasting=True),
    "media_half": Kind("the first half of the file, as a complete answer", ("media",), lasting=True),
    "media_html": Kind("an HTML page as video/mp4", ("media",), lasting=True),
    "media_empty": Kind("200 with nothing", ("media",), lasting=True),
    "media_drop": Kind("the connection closes after a part, argument: the fraction (0.5)", ("media",)),
    "media_wrong_length": Kind("Content-Length says more than comes", ("media",)),
    "media_no_length": Kind("no Content-Length and no ranges", ("media",), lasting=True),
    "media_no_range": Kind("Range is ignored", ("media",), lasting=True),
    "media_changed": Kind("another ETag, and other bytes of the same length, from now on", ("media",)),
    "media_403": Kind("this URL answers 403 for good; the status names a fresh one", ("media",)),
    "media_404": Kind("this URL answers 404 for good; the status names a fresh one", ("media",)),
    "media_late": Kind(
        "404 until so many seconds after the job's end, argument: seconds (5); the address stays",
        ("media",),
        lasting=True,
    ),
    "media_late_403": Kind("the same, as 403", ("media",), lasting=True),
    "media_http": Kind("written media_http_NNN: a status with an HTML page", ("media",)),
    "media_redirect": Kind("302 to another host, argument: another address", ("media",)),
    "media_gzip": Kind("gzip-encoded, whatever was asked for", ("media",), lasting=True),
    "media_slow": Kind("the file trickles in, argument: seconds (1)", ("media",)),
    "media_hang": Kind("no answer until the client gives up", ("media",)),
    # callbacks
    "webhook_duplicate": Kind("each callback is delivered twice", ("webhook",), lasting=True),
    "webhook_out_of_order": Kind("the terminal callback comes first, PROCESSING after it", ("webhook",), lasting=True),
    "webhook_delayed": Kind("callbacks come late, argument: seconds (10)", ("webhook",), lasting=True),
    "webhook_early": Kind(
        "the job ends at once and its callback comes before the submit's answer", ("webhook",), lasting=True
    ),
    "webhook_storm": Kind(
        "each callback comes many times at once, argument: how often (50)", ("webhook",), lasting=True
    ),
    "webhook_lost": Kind("no callback is sent", ("webhook",), lasting=True),
}

_WRITTEN = re.compile(r"(?P<name>[a-z0-9_]+)(:(?P<arg>[^@*\]]*))?(@(?P<stage>[a-z]+))?(\*(?P<count>\d*))?$")
_PREFIX = re.compile(r"\s*\[\[fault:([^\]]+)\]\]")
_NUMBERED = re.compile(r"(?P<family>http|error|media_http)_(?P<code>[1-5]\d\d)(?P<after>_after_accept)?$")


_READY = {"started": ("PROCESSING", "COMPLETED"), "completed": ("COMPLETED",)}


class FaultError(ValueError):
    """A fault was asked for that does not exist, or at a stage where it cannot strike."""


@dataclass
class Fault:
    """A fault that waits to strike.

    :param name: As it was asked for.
    :param kind: Its name in :data:`KINDS`.
    :param stage: Where it strikes.
    :param code: The HTTP status of a numbered fault.
    :param left: How often it still strikes; None: for ever.
    """

    name: str
    kind: str
    stage: str
    arg: str = ""
    code: int = 0
    left: int | None = 1
    probability: float = 1.0
    vendor: str | None = None

    def seconds(self, default: float) -> float:
        """The argument as a number."""
        return float(self.arg) if self.arg else default

    def to_json(self) -> dict[str, Any]:
        """As ``GET /_sim/faults`` shows it."""
        return {
            "name": self.name,
            "arg": self.arg,
            "on": self.stage,
            "count": self.left,
            "probability": self.probability,
            "vendor": self.vendor,
        }


def make(name: str, *, arg: str = "", on: str | None = None, **how: Any) -> Fault:
    """A fault by name.

    :raises FaultError: for a name or a stage that does not exist; the message lists what there is.
    """
    kind, code = name, 0
    if numbered := _NUMBERED.match(name):
        kind, code = numbered["family"] + (numbered["after"] or ""), int(numbered["code"])
    if kind not in KINDS or (kind in ("http", "error", "media_http", "http_after_accept") and not code):
        raise FaultError(f"There is no fault {name!r}. There are: {', '.join(KINDS)}.")
    stage = on or KINDS[kind].stages[0]
    if stage not in KINDS[kind].stages:
        raise FaultError(f"The fault {name!r} strikes at {', '.join(KINDS[kind].stages)}, not at {stage!r}.")
    return Fault(name, kind, stage, arg, code, **how)


def parse(written: str, stage: str | None = None) -> Fault:
    """A fault in its written form, ``name[:argument][@stage][*count]``; ``*`` alone means for ever.

    :param stage: Where it strikes if the written form does not say and the fault can strike there.
    """
    match = _WRITTEN.match(written.strip())
    if not match:
        raise FaultError(f"{written!r} is not of the form name[:argument][@stage][*count].")
    fault = make(match["name"], arg=match["arg"] or "", on=match["stage"])
    if stage in KINDS[fault.kind].stages and not match["stage"]:
        fault.stage = stage
    if match["count"] is None:
        fault.left = None if KINDS[fault.kind].lasting else 1
    else:
        fault.left = int(match["count"]) if match["count"] else None
    return fault


def from_header(value: str, stage: str) -> list[Fault]:
    """The faults of an ``X-Sim-Fault`` header, separated by commas, for a call at this stage."""
    return [parse(written, stage) for written in value.split(",") if written.strip()]


def from_prompt(prompt: object) -> list[Fault]:
    """The faults at the beginning of a prompt."""
    faults: list[Fault] = []
    position = 0
    while isinstance(prompt, str) and len(faults) < MOST and (match := _PREFIX.match(prompt, position)):
        faults.append(parse(match[1]))
        position = match.end()
    return faults


@dataclass
class FaultBook:
    """The faults that were asked for through the admin route."""

    seed: int = 0
    entries: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311  repeatable on purpose, guards nothing

    def take(self, stage: str, vendor: str, *more: list[Fault], progress: str = "") -> list[Fault]:
        """What strikes now, from the book and from ``more``; each strike is counted.

        :param progress: The job's true state.
        """
        struck = []
        for faults in (self.entries, *more):
            for fault in list(faults):
                if fault.stage != stage or fault.vendor not in (None, vendor):
                    continue
                if progress not in _READY.get(KINDS[fault.kind].needs, (progress,)):
                    continue
                if fault.probability < 1 and self._dice.random() >= fault.probability:
                    continue
                struck.append(fault)
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        faults.remove(fault)
        return struck
