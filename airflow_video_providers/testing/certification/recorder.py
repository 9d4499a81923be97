"""Hears what a client asks and is answered, and makes exchanges of it, reduced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import httpx

from airflow_video_providers.core.border import json_value
from airflow_video_providers.testing.certification.redaction import ID, Reduction
from airflow_video_providers.testing.certification.transcript import Exchange, Question, Reply, Verb, kind_of, word_in

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.models import VideoModel

#: Of a wait of an hour the states are kept, not the polls.
_MOST = 200


class _Heard(NamedTuple):
    verb: Verb
    call: httpx.Request
    answer: httpx.Response | httpx.HTTPError


class Recorder:
    """Given to a client as its ``heard``.

    :param vendor: The vendor at the address that is called.
    :param request: What is bought: its paid call is distinguished from other calls by its path.
    :ivar verb: What is being asked now; whoever drives the client says so.
    """

    def __init__(self, vendor: Vendor, request: VideoModel) -> None:
        self._vendor = vendor
        self._submit = ("POST", vendor.path_of(request))
        self._calls: list[_Heard] = []
        self.verb: Verb = "submit"

    def __call__(self, call: httpx.Request, answer: httpx.Response | httpx.HTTPError) -> None:
        paid = (call.method, self._below(call.url)) == self._submit
        if (self.verb == "submit") == paid and len(self._calls) < 100_000:
            self._calls.append(_Heard(self.verb, call, answer))

    def exchanges(self, reduction: Reduction, request_id: str | None) -> list[Exchange]:
        """What was heard: of calls that were answered alike the first, in the order of time."""
        kept: list[Exchange] = []
        seen: set[tuple[Any, ...]] = set()
        first: dict[str, tuple[str, str]] = {}
        step = 0
        for heard in self._calls:
            where = (heard.call.method, self._below(heard.call.url))
            first.setdefault(heard.verb, where)
            step = 0 if heard.verb == "submit" or where == first[heard.verb] else step + 1
            exchange = self._exchange(heard, step, reduction, request_id)
            answer = exchange.answer
            alike = (
                heard.verb, step, exchange.error, answer and answer.http, answer and kind_of(self._vendor.id, answer),
                word_in(self._vendor.id, answer), heard.verb == "history" and answer and json.dumps(answer.body, sort_keys=True),
            )  # fmt: skip
            if alike not in seen and len(kept) < _MOST:
                seen.add(alike)
                kept.append(exchange)
        return kept

    def _exchange(self, heard: _Heard, step: int, reduction: Reduction, request_id: str | None) -> Exchange:
        call, answer = heard.call, heard.answer
        path = self._below(call.url)
        if request_id:
            path = path.replace(self._vendor.in_path(request_id), ID)
        question = Question(
            method=call.method,
            path=reduction.text(path),
            query=sorted(
                {
                    reduction.text(name)
                    for name, _ in parse_qsl(call.url.query.decode("latin-1"), keep_blank_values=True)
                }
            ),
            headers=reduction.headers(call.headers),
            body=reduction.value(_json(call.content)) if call.content else None,
        )
        if isinstance(answer, httpx.HTTPError):
            return Exchange(verb=heard.verb, step=step, request=question, error=type(answer).__name__)
        body = _json(answer.content, answer.headers.get("content-type"))
        if heard.verb == "history" and isinstance(body, dict) and request_id:
            body = _of_job(body, request_id)
        reply = Reply(http=answer.status_code, headers=reduction.headers(answer.headers), body=reduction.value(body))
        return Exchange(verb=heard.verb, step=step, request=question, answer=reply)

    def _below(self, url: httpx.URL) -> str:
        root = httpx.URL(self._vendor.url).path.rstrip("/")
        return url.path.removeprefix(root) if url.path.startswith(f"{root}/") else url.path


def _json(content: bytes, content_type: str | None = None) -> Any:
    try:
        return json_value(content, content_type)
    except ValueError:
        return content[:200].decode("utf-8", "replace")


def _of_job(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """A history with the one job alone: what else the account has bought is nobody's business."""

    def own(value: Any) -> Any:
        return [item for item in value if request_id in json.dumps(item)] if isinstance(value, list) else value

    return {name: own(value) for name, value in body.items()}
