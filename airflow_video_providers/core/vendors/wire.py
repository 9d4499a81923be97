"""What a submit is on the wire: the body and the headers that a vendor makes of a typed request."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_video_providers.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.vendors.models import VideoModel


class Wire(NamedTuple):
    """A submit as it goes over the wire.

    :param body: The JSON body, whole: wrapped, renamed, with the model in it, as the vendor wants it.
    :param headers: What the vendor wants to have in headers. Never the key: the client adds it.
    """

    body: dict[str, Any]
    headers: Mapping[str, str] = MappingProxyType({})

    def sha256(self) -> str:
        """Digest of the body as it is sent, whatever the order of its fields: what a lost answer is found by."""
        return sent_digest(self.body)


def sent_digest(body: Any) -> str:
    """Digest of a submit's body, also of one that a vendor shows again: 5.0 may have become 5 on the way."""
    return body_digest(_whole_numbers(body))


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def body_digest(body: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its fields."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Composes(Protocol):
    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any], /) -> Wire: ...


def compose(vendor: _Composes, request: VideoModel, extra_fields: Mapping[str, Any] | None = None) -> Wire:
    """What is going to be sent for a request. Made here and nowhere else, so that what is recorded is what is sent.

    :param extra_fields: Fields that the catalogue does not know, beside the request's own, as they are.
    :raises InvalidRequestError: it holds what JSON cannot. Nothing was sent.
    """
    try:
        wire = vendor.wire(request, extra_fields or {})
        text = json.dumps(wire.body, allow_nan=False, ensure_ascii=False)
        text.encode()  # half a character has no bytes
        return wire._replace(body=json.loads(text))  # nobody else holds a part of it
    except InvalidRequestError:
        raise
    except Exception as error:  # a private vendor's or model's own method, too
        raise InvalidRequestError(
            f"The request cannot be written as JSON ({error or type(error).__name__}).",
            remedy="Use text, numbers, true, false, lists and dicts.",
            model=request.id,
            field="request",
        ) from error
