"""fal: any model behind one queue. Written from fal-client 1.0.3, @fal-ai/client 1.10.1 and fal's documents.

What none of them states is left open here: whether a failed job is charged, and how a cancelled one ends.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.answers import timestamp
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.durations import Duration
from airflow_video_providers.core.vendors.history import MOST_PAGES, Shown
from airflow_video_providers.core.vendors.openapi import Described, request_schema
from airflow_video_providers.core.vendors.output_shapes import REASON_PATHS, at, id_at, reason_at
from airflow_video_providers.core.vendors.refusals import status_refused, unavailable
from airflow_video_providers.core.vendors.signatures import ed25519
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.models import VideoModel

#: Ids that have a part more before the owner's name.
_NAMESPACES = ("workflows", "comfy")
_TOKEN = re.compile(r"[A-Za-z]+ [\x21-\x7e]{1,8000}")
#: Headers of a call: what is signed, in order, and the signature.
_SIGNED = tuple(f"x-fal-webhook-{name}" for name in ("request-id", "user-id", "timestamp", "signature"))


class Fal(Vendor):
    """Submit, status and result are three calls; a job that has failed is COMPLETED, too, and its result says so."""

    id = "fal"
    title = "fal"
    base_url = "https://queue.fal.run"
    other_urls = {"api": "https://api.fal.ai", "rest": "https://rest.fal.ai"}
    keyless_urls = {"files": "https://v3.fal.media"}
    documentation = "https://fal.ai/docs"
    key_header = "Authorization"
    key_prefix = "Key "
    id_paths = ("request_id",)
    output_paths = ("video", "videos", "output.video")
    media_type_names = ("content_type",)
    charged = {JobStatus.SUCCEEDED: "yes"}
    largest_upload = 100 * 1024 * 1024  # a larger one goes in parts, which are sent to an address of the answer
    history_kept = timedelta(days=29)
    retention = timedelta(days=30)  # of the request and its answer; the files live as the account has set it
    poll_seconds = (3.0, 30.0)
    webhook_modes = ("terminal",)
    callback_keys_url = "https://rest.fal.ai/.well-known/jwks.json"
    # Less than an hour would leave a retry of the landing nothing to fetch; fal itself takes a second.
    own_settings = {"output_lifetime": Duration(3600, "an hour", never=True)}
    open_ids = "an endpoint such as fal-ai/kling-video/v2.1/standard/text-to-video"

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        # Without this header fal runs a job again, up to ten times, when a runner breaks: one submit, one run.
        headers = {"x-fal-no-retry": "1"}
        if "output_lifetime" in self.settings:
            headers["X-Fal-Object-Lifecycle-Preference"] = json.dumps(
                {"expiration_duration_seconds": self.settings["output_lifetime"]}
            )
        return Wire({**request.body(), **extra_fields}, headers)

    def submit_call(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> httpx.Request:
        call = super().submit_call(request, wire)
        if callback is not None:
            call.url = call.url.copy_merge_params({"fal_webhook": callback.url})
        return call

    @classmethod
    def verify_callback(cls, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: datetime) -> bool:
        return ed25519(headers, _SIGNED, body, keys, now)

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"{self._request(job)}/status?logs=0")

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        answer = yield from self.send_read(self.status_call(job), job)
        seen = self.read_job(job, answer)
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        body = answer.body or {}
        if body.get("error") or body.get("error_type"):  # the runner or the queue broke: there is no result
            return self._failed(seen, JobStatus.ERROR, body)
        answer = yield from self.send_read(self.call("GET", self._request(job)), job)
        if answer.status != 404 and not _judged(answer) and (not answer.ok or answer.body is None):
            raise status_refused(self, job, answer)  # a 504 is no verdict either: it has been seen to pass
        return self._with_result(seen, answer)

    def _with_result(self, job: VideoJob, answer: Answer) -> VideoJob:
        """What the result says of a job that is COMPLETED."""
        if _judged(answer):
            return self._failed(job, JobStatus.FAILED, answer.body or {})
        if answer.status == 404:
            return job.replace(status=JobStatus.EXPIRED, charged="unknown", outputs=(), instead_of_outputs=None)
        outputs, instead = self.outputs_in(job, answer.body or {})
        return job.replace(outputs=outputs, instead_of_outputs=instead, expires_at=self._files_until(job))

    def _files_until(self, job: VideoJob) -> datetime | None:
        """Until when its files can be had: the request's history outlives those whose lifetime the connection sets."""
        lifetime = self.settings.get("output_lifetime")
        if lifetime is None:
            return job.expires_at
        ends = (job.completed_at or self.now()) + timedelta(seconds=lifetime)
        return ends if job.expires_at is None else min(ends, job.expires_at)

    def _failed(self, job: VideoJob, status: JobStatus, body: Mapping[str, Any]) -> VideoJob:
        reason = reason_at(body, REASON_PATHS) or "fal names no reason"
        kind = body.get("error_type")
        if isinstance(kind, str) and kind not in reason:
            reason = f"{reason} ({kind:.60})"
        return job.replace(
            status=status,
            charged=self.charged.get(status, "unknown"),
            error=reason,
            outputs=(),
            instead_of_outputs=None,
        )

    def _request(self, job: VideoJob) -> str:
        """Where a job stands: below its application, without the rest of the endpoint's path."""
        parts = job.model.partition(":")[2].split("/")
        application = "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])
        return f"/{application}/requests/{self.in_path(job.request_id)}"

    def upload(self, name: str, media_type: str, data: bytes) -> Flow[str]:
        """A token for the file host, then the file; the key does not go there, and the host is not the answer's to name."""
        asked = self.call("POST", "/storage/auth/token?storage_type=fal-cdn-v3", json={}, at="rest")
        answer = yield from self.send_read(asked)
        if not answer.ok:
            raise status_refused(self, None, answer)
        kind, word = at(answer.body, "token_type"), at(answer.body, "token")
        token = f"{kind} {word}" if kind and word else ""
        if not _TOKEN.fullmatch(token):
            raise unavailable(self, None, "fal gave no token for an upload.", answer.status)
        headers = {"Authorization": token, "Content-Type": media_type, "X-Fal-File-Name": name}
        call = self.call("POST", "/files/upload", at="files", content=data, headers=headers)
        answer = yield from self.send_read(call)
        if not answer.ok:
            raise self.upload_refused(answer)
        return self.uploaded(answer, "access_url")

    def cancel_call(self, job: VideoJob) -> httpx.Request:
        return self.call("PUT", f"{self._request(job)}/cancel")

    def history(self, model: str, since: datetime, until: datetime) -> Flow[list[Shown]]:
        shown: list[Shown] = []
        asked = {
            "endpoint_id": model.partition(":")[2],
            "start": _iso(since),
            "end": _iso(until),
            "expand": "payloads",
            "limit": "100",
        }
        for _ in range(MOST_PAGES):
            call = self.call("GET", f"/v1/models/requests/by-endpoint?{urlencode(asked)}", at="api")
            answer = yield from self.send_read(call)
            body = answer.body or {}
            if not answer.ok or not isinstance(body.get("items"), list):
                raise status_refused(self, None, answer)
            for item in body["items"]:
                request_id, sent_at = id_at(item, ("request_id",)), timestamp(at(item, "sent_at"))
                if request_id is None or sent_at is None or at(item, "endpoint_id") != asked["endpoint_id"]:
                    raise unavailable(self, None, "fal's history holds an entry that cannot be read.")
                shown.append(Shown(request_id, sent_at, at(item, "json_input")))
            if not body.get("has_more"):
                return shown
            asked["cursor"] = str(body.get("next_cursor"))
        raise unavailable(self, None, f"fal's history has more than {MOST_PAGES} pages in this window.")

    def describe_model(self, model: str) -> Flow[Described]:
        endpoint = model.partition(":")[2]
        asked = urlencode({"endpoint_id": endpoint, "expand": "openapi-3.0"})
        answer = yield from self.send_read(self.call("GET", f"/v1/models?{asked}", at="api"))
        if not answer.ok and answer.status != 404:
            raise status_refused(self, None, answer)
        schema = request_schema(at(_entry(answer, endpoint), "openapi"))
        priced = yield from self.send_read(
            self.call("GET", f"/v1/models/pricing?{urlencode({'endpoint_id': endpoint})}", at="api")
        )
        if schema is not None:
            return Described(schema, _entry(priced, endpoint) if priced.ok else None)
        raise InvalidRequestError(
            f"{self.title} gives no schema of {model}.", remedy="Check the id.", model=model, field="model", value=model
        )

    def check(self) -> Flow[str]:
        """The account's own history, a free call that needs the key."""
        path = "/v1/models/requests/by-endpoint?endpoint_id=fal-ai/mochi-v1&limit=1"
        return self.read_check((yield from self.send_read(self.call("GET", path, at="api"))))

    @classmethod
    def documentation_of(cls, name: str) -> str:
        return f"https://fal.ai/models/{name}"


def _judged(answer: Answer) -> bool:
    """Is it fal's own word about the job, and not about the question? Of a 5xx nobody knows: its 504 has been seen to pass."""
    if answer.status == 422:  # the model or its check of the request has refused
        return True
    named = answer.headers.get("x-fal-error-type") or (answer.body or {}).get("error_type")
    return 400 <= answer.status < 500 and answer.status not in (401, 403, 404, 408, 425, 429) and bool(named)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(answer: Answer, endpoint: str) -> Mapping[str, Any] | None:
    """What a list says of one endpoint, under whatever name the list stands."""
    lists = [value for value in (answer.body or {}).values() if isinstance(value, list)]
    entries = [entry for found in lists for entry in found if isinstance(entry, dict)]
    return next((entry for entry in entries if entry.get("endpoint_id") == endpoint), None)
