"""What the vendors have in common: keys, rates, accepting a job, and how faults spoil an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import spoil
from .bounded import JOBS, shortened
from .faults import Fault, from_header, from_prompt
from .jobs import Job, digest, fingerprint
from .wire import Answer, Call, html

if TYPE_CHECKING:
    from .schema import Model
    from .world import World

Handler = Callable[[Call, list[Fault]], Answer | Awaitable[Answer]]

#: As Azure API Management says it.
OUT_OF_QUOTA = "Out of call volume quota. Quota will be replenished in 00:00:01."
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance in the console."
BLOCKED = "Content policy violation: the prompt was blocked by the safety system."


@dataclass
class Route:
    """Where a call leads.

    :param stage: ``submit``, ``status``, ``result``, or ``other`` for calls that no fault strikes.
    :param job: The job that it asks about.
    """

    stage: str
    handler: Handler
    job: Job | None = None


class Gateway(ABC):
    """One vendor.

    :param world: The state it shares with the others.
    """

    name: str
    #: The header with the key, in lower case, and what stands before the key in it
    key_header: str
    key_prefix = ""
    refuses_unknown_fields = True
    #: The vendor's word for an error of its own
    system_error = "ERROR"

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def find(self, call: Call) -> Route | Answer:
        """The route of a call, or the answer for one that leads nowhere."""

    @abstractmethod
    def error(self, code: int, detail: str = "") -> Answer:
        """The vendor's own body for an HTTP error."""

    @abstractmethod
    def charged_outcomes(self) -> tuple[str, ...]:
        """The outcomes that cost money."""

    def model_not_found(self, name: str) -> Answer:
        """The answer to a model that the vendor does not have."""
        return self.error(404, name)

    def rate_limited(self, wait: float) -> Answer:
        """429; no vendor documents ``Retry-After``."""
        del wait
        return self.error(429)

    async def serve(self, call: Call) -> Answer:
        """Answer one call."""
        key = call.headers.get(self.key_header, "").removeprefix(self.key_prefix)
        if not self.world.accepts(key):
            return self.error(401, "missing" if not key else "")
        if wait := self.world.wait_for_rate(self.name, key):
            return self.rate_limited(wait)
        route = self.find(call)
        if isinstance(route, Answer):
            return route
        asked = from_header(call.headers.get("x-sim-fault", ""), route.stage)
        carried = route.job.faults if route.job else self._armed(call)
        progress = route.job.state(self.world.clock.now()) if route.job else ""
        faults = self.world.book.take(route.stage, self.name, asked, carried, progress=progress)
        call.armed = asked + carried
        if route.stage == "submit":
            self.world.store.submits += 1
        if route.job:
            self.world.store.touch(route.job)
        for fault in faults:
            if refusal := self.refusal(fault, call):
                return refusal
        if route.job and route.stage in ("status", "result"):
            route.job.polls += 1
        handled = route.handler(call, faults)
        answer = handled if isinstance(handled, Answer) else await handled
        for fault in faults:
            answer = spoil.spoil(fault, answer, call)
        return answer

    def request_in(self, call: Call) -> Any:
        """The request's own fields in a submit's body, where a vendor wraps them."""
        return call.json

    def _armed(self, call: Call) -> list[Fault]:
        """The prompt's faults; what struck a refused submit is remembered until the prompt is accepted."""
        body = self.request_in(call)
        prompt = body.get("prompt") if isinstance(body, dict) else None
        faults = from_prompt(prompt)
        return self.world.armed.setdefault((self.name, digest(prompt)), faults) if faults else faults

    def refusal(self, fault: Fault, call: Call) -> Answer | None:
        """The answer of a fault that keeps the call from being carried out."""
        match fault.kind:
            case "drop_before_read":
                return Answer(delivery="reset")
            case "hang":
                return Answer(delivery="hang")
            case "rate_limited":
                return self.rate_limited(fault.seconds(1))
            case "rate_limited_retry_after":
                return self.rate_limited(fault.seconds(1)).with_headers(retry_after=fault.arg or "1")
            case "http":
                answer = spoil.page(fault.code)
                return answer.with_headers(retry_after=fault.arg) if fault.arg else answer
            case "error":
                return self.error(fault.code)
            case "model_not_found":
                return self.model_not_found(call.path.strip("/").split("/")[0])
            case "wrong_content_type":
                return self.error(406, "content type")
            case "not_found":
                return self.error(404, "request")
            case "quota":
                return Answer(403, {"statusCode": 403, "message": OUT_OF_QUOTA}).with_headers(
                    retry_after=fault.arg or "1"
                )
            case "locked":
                return Answer(403, {"detail": LOCKED})
            case "redirect":
                return html(307, "Temporary Redirect").with_headers(location=call.foreign + urlsplit(call.path).path)
            case _:
                return None

    def job(self, request_id: object) -> Job | None:
        """This vendor's job by its id."""
        job = self.world.store.jobs.get(str(request_id))
        return job if job and job.vendor == self.name else None

    def accept(
        self,
        call: Call,
        model: Model,
        faults: list[Fault],
        make_id: Callable[[float], str],
        latency: tuple[float, float] | None = None,
    ) -> Job | Answer:
        """Check a submit and create its job, or say what is wrong with it.

        :param make_id: The id for a job of this moment.
        :param latency: Queue and run time; None: as the settings say.
        """
        ignore = not self.refuses_unknown_fields or self.world.options.unknown_fields == "ignore"
        body = self.request_in(call)
        if complaints := model.complaints(body, ignore_unknown=ignore):
            return self.error(400, "; ".join(complaints))
        now, store, options = self.world.clock.now(), self.world.store, self.world.options
        price, basis = model.price(body)
        if len(store.order) >= JOBS:
            return Answer(503, {"error": "Simulator", "message": f"{JOBS} jobs are as many as I remember: reset me."})
        if not store.can_pay(self.name, price, now):
            return self.error(402)
        outcome, error = _outcome(faults, self.system_error)
        queue, run = latency or store.latency(options.latency(mochi=model.mochi))
        before = store.last_of(self.name) if any(fault.kind == "duplicate_id" for fault in faults) else None
        job = Job(
            vendor=self.name,
            model=model.id,
            request_id=before.request_id if before else make_id(now),
            key=fingerprint(call.headers[self.key_header]),
            body=shortened(body),
            body_sha256=digest(body),
            submitted=now,
            queue_seconds=queue,
            run_seconds=run,
            price=price,
            price_basis=basis,
            clip=model.clip(body),
            outputs=options.outputs if self.name == "pixazo" else 1,
            outcome=outcome,
            error=error,
            charged_if=self.charged_outcomes(),
            faults=call.armed,
        )
        self.world.armed.pop((self.name, digest(body.get("prompt"))), None)
        store.add(job)
        return job

    def media_urls(self, job: Job, root: str) -> list[str]:
        """Where the job's videos are now; an expired address is replaced by a fresh one."""
        now, ttl = self.world.clock.now(), self.world.options.media_ttl
        current = len(job.media_issued) - 1
        stale = current in job.media_revoked or (current >= 0 and ttl is not None and now > job.media_issued[-1] + ttl)
        if current < 0 or stale:
            job.media_issued.append(now)
            current += 1
        path = f"{root}/media/{job.vendor}/{job.request_id}"
        return [f"{path}/{index}/{current}/output.mp4" for index in range(job.outputs)]


def _outcome(faults: list[Fault], system_error: str) -> tuple[str, str | None]:
    for fault in faults:
        match fault.kind:
            case "job_failed":
                return "FAILED", fault.arg or "The model could not generate a video for this request."
            case "job_error":
                return system_error, fault.arg or "Internal error while processing the request."
            case "content_blocked":
                return "FAILED", BLOCKED
            case "huge_error":
                return "FAILED", "Traceback: " + "x" * 1_000_000
            case _:
                continue
    return "COMPLETED", None
