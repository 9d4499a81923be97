"""Replicate: any model, version or deployment as a prediction. Written from replicate 1.0.7 and Replicate's documents.

What none of them states is left open here: what a prediction costs, whatever its end.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.answers import timestamp
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.durations import Duration
from airflow_video_providers.core.vendors.history import MOST_PAGES, Shown
from airflow_video_providers.core.vendors.openapi import Described, request_schema
from airflow_video_providers.core.vendors.output_shapes import at, id_at
from airflow_video_providers.core.vendors.refusals import status_refused, unavailable
from airflow_video_providers.core.vendors.signatures import standard_webhook
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.models import VideoModel

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"


class Replicate(Vendor):
    """One address per prediction: POST makes it, GET says how it stands; its data are deleted after an hour."""

    id = "replicate"
    title = "Replicate"
    base_url = "https://api.replicate.com"
    documentation = "https://replicate.com/docs/reference/http"
    key_header = "Authorization"
    key_prefix = "Bearer "
    id_paths = ("id",)
    output_paths = ("output",)
    reason_paths = ("error", "detail", "title")
    history_kept = timedelta(hours=1)  # the input is deleted then, and nothing is left to compare
    history_by_model = False  # of an owner/name it lists what a version or a deployment of it has made, too
    retention = timedelta(hours=1)
    poll_seconds = (2.0, 30.0)
    webhook_modes = ("terminal",)
    # Replicate's HTTP reference: from the creation on, 5 seconds at least.
    own_settings = {"cancel_after": Duration(5, "5 seconds")}
    open_ids = "an owner/name, an owner/name:version, or deployments/owner/name"
    _open_id = re.compile(rf"(?:deployments/)?{_PART}/{_PART}|{_PART}/{_PART}:[0-9a-f]{{64}}")

    @classmethod
    def open_path(cls, name: str) -> str:
        model, _, version = name.partition(":")
        if version:
            return "/v1/predictions"
        return f"/v1/{model}/predictions" if model.startswith("deployments/") else f"/v1/models/{model}/predictions"

    @classmethod
    def documentation_of(cls, name: str) -> str:
        return f"https://replicate.com/{name.removeprefix('deployments/').partition(':')[0]}"

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        version = request.id.partition(":")[2].partition(":")[2]
        named = {"version": version} if version else {}
        deadline = self.settings.get("cancel_after")
        headers = {} if deadline is None else {"Cancel-After": f"{deadline}s"}
        return Wire({**named, "input": {**request.body(), **extra_fields}}, headers)

    def submit_call(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> httpx.Request:
        asked = {} if callback is None else {"webhook": callback.url, "webhook_events_filter": ["completed"]}
        return super().submit_call(request, Wire({**wire.body, **asked}, wire.headers))

    @classmethod
    def verify_callback(cls, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: datetime) -> bool:
        return standard_webhook(headers, body, keys, now)

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"/v1/predictions/{self.in_path(job.request_id)}")

    def read_job(self, job: VideoJob, answer: Answer) -> VideoJob:
        seen = super().read_job(job, answer)
        removed = (answer.body or {}).get("data_removed") is True
        if seen.status is JobStatus.SUCCEEDED and removed and not seen.outputs:
            return seen.replace(status=JobStatus.EXPIRED, instead_of_outputs=None)
        if seen.status is JobStatus.CANCELLED and seen.vendor_status == "aborted":
            return seen.replace(charged="no", error=seen.error or "its deadline was over before it had started")
        if seen.status is JobStatus.CANCELLED and "cancel_after" in self.settings:
            maybe = (
                f"by somebody, or by cancel_after of the connection, {self.settings['cancel_after']} s after its submit"
            )
            return seen.replace(error=seen.error or maybe)
        return seen

    def upload(self, name: str, media_type: str, data: bytes) -> Flow[str]:
        """A file of the account; its address is given to the model, as Replicate's own client does."""
        answer = yield from self.send_read(self.call("POST", "/v1/files", file=(name, data, media_type)))
        return self.uploaded(answer, "urls.get")

    def cancel_call(self, job: VideoJob) -> httpx.Request:
        return self.call("POST", f"/v1/predictions/{self.in_path(job.request_id)}/cancel")

    def history(self, model: str, since: datetime, until: datetime) -> Flow[list[Shown]]:  # noqa: ARG002 # it ends with the newest
        """Newest first, without a filter: the list is read back to the window's beginning."""
        name, _, version = model.partition(":")[2].partition(":")
        shown: list[Shown] = []
        path = "/v1/predictions"
        for _ in range(MOST_PAGES):
            answer = yield from self.send_read(self.call("GET", path))
            body = answer.body or {}
            if not answer.ok or not isinstance(body.get("results"), list):
                raise status_refused(self, None, answer)
            moments = []
            for item in body["results"]:
                request_id, made = id_at(item, ("id",)), timestamp(at(item, "created_at"))
                if request_id is None or made is None:
                    raise unavailable(self, None, "Replicate's list holds an entry that cannot be read.")
                moments.append(made)
                if (certain := _is_of(item, name, version)) is not False:
                    shown.append(Shown(request_id, made, _sent(item, version), certain is True))
            # The next page's address is built here, of nothing but its cursor: the list's own is never called.
            cursor = parse_qs(urlsplit(str(body.get("next") or "")).query).get("cursor")
            if not cursor or (moments and min(moments) < since):
                return shown
            path = f"/v1/predictions?{urlencode({'cursor': cursor[0]})}"
        raise unavailable(self, None, f"Replicate's list has more than {MOST_PAGES} pages since then.")

    def describe_model(self, model: str) -> Flow[Described]:
        """Of the model's newest version. Replicate lists no prices there."""
        name = model.partition(":")[2]
        if ":" not in name and not name.startswith("deployments/"):
            answer = yield from self.send_read(self.call("GET", f"/v1/models/{name}"))
            if not answer.ok and answer.status != 404:
                raise status_refused(self, None, answer)
            schema = request_schema(at(answer.body, "latest_version.openapi_schema"))
            if schema is not None:
                return Described(schema)
        raise InvalidRequestError(
            f"{self.title} gives no schema of {model}.",
            remedy="Name a model as owner/name.",
            model=model,
            field="model",
            value=model,
        )

    def check(self) -> Flow[str]:
        """The account: a free call."""
        return self.read_check((yield from self.send_read(self.call("GET", "/v1/account"))))


def _sent(item: Any, version: str) -> dict[str, Any] | None:
    """What was sent for a prediction of the list; None where its input is not shown, or deleted, which shows as none."""
    given = at(item, "input")
    if not isinstance(given, dict) or at(item, "data_removed") is True:
        return None
    return {**({"version": version} if version else {}), "input": given}


def _is_of(item: Any, name: str, version: str) -> bool | None:
    """Is a prediction of the list one of this model? None: it may be.

    Replicate's reference shows ``deployment``, the name of the deployment that made it, and no document says that it is always
    there, or whether the owner stands before it. The version of a deployment's run begins with ``dp-`` in its example.
    """
    deployment = at(item, "deployment")
    if name.startswith("deployments/"):
        named = name.removeprefix("deployments/")
        return deployment in (named, named.partition("/")[2]) if deployment else None
    if version:
        return bool(at(item, "version") == version)
    if at(item, "model") != name:
        return False
    return None if deployment or str(at(item, "version")).startswith("dp-") else True
