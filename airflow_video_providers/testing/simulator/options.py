"""What can be set when a simulator starts, and while it runs."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Any, Literal

Range = tuple[float, float]
_ROUTE = re.compile(r"[a-z0-9.-]+=[a-z0-9.-]+:[0-9]{1,5}")

#: Profile -> queue time, run time of PixVerse and the rest, run time of Mochi; seconds.
PROFILES: dict[str, tuple[Range, Range, Range]] = {
    "fast": ((0.1, 1.0), (0.5, 3.0), (0.5, 3.0)),
    "real": ((5.0, 60.0), (30.0, 120.0), (170.0, 190.0)),
}


@dataclass(frozen=True)
class Options:
    """Settings of one simulator.

    :param profile: Latency: ``fast`` (queue 0.1-1 s, run 0.5-3 s) or ``real`` (queue 5-60 s, Mochi about 180 s,
        PixVerse 30-120 s).
    :param queue_seconds: Queue time, lowest and highest; instead of the profile's.
    :param run_seconds: Run time, lowest and highest; instead of the profile's.
    :param frozen_clock: Time moves by ``POST /_sim/advance`` only.
    :param credits: What each vendor's wallet holds at the start.
    :param outputs: Videos per job (Pixazo; the others document one).
    :param ttl: Seconds from submit after which Segmind forgets a request.
    :param media_ttl: Seconds after which a media URL answers 403 and the status names a fresh one. None: never.
    :param rpm: Requests per minute and key that are answered; 0: any number.
    :param keys: API keys that are accepted. Empty: any but an empty one or one that starts with ``bad``.
    :param allow_http_webhooks: Accept ``http://`` webhook URLs, which Pixazo refuses.
    :param webhook_routes: Where callbacks to a host really go, as ``HOST=ADDRESS:PORT``: over plain http to a receiver
        of a test, whose public https address nobody serves.
    :param webhook_attempts: Seconds before each attempt at a callback that nobody has taken: the first, the second ...
    :param history_page: Jobs in one page of a history (fal, Replicate), 1 to 100.
    :param hosts: Further host names that it answers to, such as a container's; beside loopback, the vendors' own and
        the address that it listens on.
    :param seed: Decides queue and run times.
    :param unknown_fields: ``refuse`` or ``ignore`` fields that Pixazo's and Appy Pie's documents do not list.
    :param pixazo_submit_status: 202 as the table says, or 200.
    :param charge_failed: Is a FAILED job charged at Pixazo and Appy Pie? The documents do not say.
    :param appypie_dead_prefix: The getStatus prefix that answers 404: ``polling``, ``plain`` or ``none``.
    :param segmind_result: What v2's result is: ``json``, or the ``video`` itself, as the page's "Returns: Video" reads.
    :param segmind_sync_answer: What v1 answers with: ``video``, ``json``, or the video as ``image/jpeg``.
    """

    profile: Literal["fast", "real"] = "fast"
    queue_seconds: Range | None = None
    run_seconds: Range | None = None
    frozen_clock: bool = False
    credits: float = 1000.0
    outputs: int = 1
    ttl: float = 3600.0
    media_ttl: float | None = None
    rpm: int = 0
    keys: tuple[str, ...] = ()
    allow_http_webhooks: bool = False
    webhook_routes: tuple[str, ...] = ()
    webhook_attempts: tuple[float, ...] = (0.0, 1.0, 5.0)
    history_page: int = 100
    hosts: tuple[str, ...] = ()
    seed: int = 0
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    pixazo_submit_status: Literal[200, 202] = 202
    charge_failed: bool = True
    appypie_dead_prefix: Literal["none", "plain", "polling"] = "none"
    segmind_result: Literal["json", "video"] = "json"
    segmind_sync_answer: Literal["video", "json", "image/jpeg"] = "video"

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self)).items():
            allowed = typing.get_args(hint)
            if typing.get_origin(hint) is Literal and getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}, not {getattr(self, name)!r}.")
        for written in self.webhook_routes:
            if not _ROUTE.fullmatch(written):
                raise ValueError(f"{written!r} is not of the form HOST=ADDRESS:PORT.")
        if not self.webhook_attempts or min(self.webhook_attempts) < 0:
            raise ValueError("webhook_attempts is a pause in seconds before each attempt, at least one.")
        if self.outputs < 1:
            raise ValueError("outputs is at least 1.")
        if not 1 <= self.history_page <= 100:
            raise ValueError("history_page is 1 to 100.")

    def replace(self, **changes: Any) -> Options:
        """A copy with some settings replaced.

        :raises ValueError: for a setting that does not exist, or a value that it does not take.
        """
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := changes.keys() - known:
            raise ValueError(f"No such setting: {', '.join(sorted(unknown))}. There are {', '.join(sorted(known))}.")
        for name in ("queue_seconds", "run_seconds", "keys", "hosts", "webhook_routes", "webhook_attempts"):
            if isinstance(changes.get(name), list):
                changes[name] = tuple(changes[name])
        return dataclasses.replace(self, **changes)

    def webhook_route(self, host: str) -> str | None:
        """The address and port that callbacks to a host are sent to instead; None: to the host itself."""
        return dict(written.split("=", 1) for written in self.webhook_routes).get(host)

    def latency(self, *, mochi: bool) -> tuple[Range, Range]:
        """Queue and run time of a job, each lowest and highest in seconds."""
        queue, run, mochi_run = PROFILES[self.profile]
        return self.queue_seconds or queue, self.run_seconds or (mochi_run if mochi else run)
