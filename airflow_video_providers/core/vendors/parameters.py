"""What a request asks for, as it is kept beside its video: its parameters, and what of them a file can be held against.

Numbers, switches and words of a list are kept as they are. Free text and addresses are kept as their sha256
(``prompt_sha256``), and as they are by choice alone (``keep_prompt``): :func:`with_texts`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.redact import public_url
from airflow_video_providers.core.vendors.fields import is_stored, whole_number
from airflow_video_providers.core.vendors.input_addresses import texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.models import VideoModel

#: Behind the name of a parameter of which only the digest is kept.
DIGEST = "_sha256"
#: The same of the address of an image in storage, whose ``_sha256`` is its content's.
ADDRESS_DIGEST = "_address_sha256"
_LARGEST = 2**63


def digest_of(value: Any) -> str:
    """The sha256 of a parameter: of a text's own bytes, so that anybody can make it again, or of its JSON."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def kept_of(request: VideoModel, extra_fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of a :class:`~airflow_video_providers.core.jobs.VideoJob` that say what was asked for.

    Never raises: what a private model's own methods cannot say is left out.

    :return: ``parameters``; ``vendor_defaults``, the names of those that the request left to the vendor and that its
        documents name; ``expected``, what the file can be held against.
    """
    try:
        return _kept(request, extra_fields or {})
    except Exception:  # noqa: BLE001 - a private model's own method; what is bought matters more than its description
        return {}


def _kept(request: VideoModel, extra_fields: Mapping[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    defaults: list[str] = []
    for name, value in _set_fields(request).items():
        described = type(request).describe(name)
        plain = not isinstance(value, str) or described.keys() & {"enum", "const"}
        parameters |= _entry(name, value, plain=bool(plain))
    for name in type(request).model_fields:
        default = type(request).describe(name).get("vendor_default")
        if getattr(request, name, None) is None and _is_number(default) | isinstance(default, str):
            parameters[name] = default
            defaults.append(name)
    for name, value in extra_fields.items():
        parameters |= _entry(name, value, plain=not isinstance(value, str))
    return {
        "parameters": parameters,
        "vendor_defaults": tuple(defaults) or None,
        "expected": request.expected() or None,
    }


def _set_fields(request: VideoModel) -> dict[str, Any]:
    return {
        name: whole_number(value) if isinstance(value, float) else value
        for name, value in request.model_dump(mode="json", exclude_unset=True, exclude_none=True).items()
    }


def _entry(name: str, value: Any, *, plain: bool) -> dict[str, Any]:
    if plain and (isinstance(value, str) or _is_number(value)):
        return {name: value}
    return {f"{name}{DIGEST}": digest_of(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) and math.isfinite(value) and abs(value) < _LARGEST


def with_texts(job: VideoJob, request: Mapping[str, Any]) -> VideoJob:
    """The job with those texts of its request that its digests vouch for: nothing of a request that has changed since.

    :param request: The request's fields, as the author wrote them.
    """
    known = job.parameters or {}
    top = {name: value for name, value in request.items() if isinstance(value, str)}
    texts = {
        name: _shown(value)
        for name, value in {**texts_in(request), **top}.items()
        if digest_of(value) in (known.get(f"{name}{DIGEST}"), known.get(f"{name}{ADDRESS_DIGEST}"))
    }
    return job.replace(parameters={**known, **texts}) if texts else job


def _shown(text: str) -> str:
    """An address that an author has signed stands without its signature, as everywhere."""
    return text if is_stored(text) or re.search(r"\s", text) or "://" not in text else public_url(text)


def without_texts(job: VideoJob) -> VideoJob:
    """The job without the texts that are kept by choice: for whatever is logged, or stored in clear text."""
    known = job.parameters or {}
    left = {name: value for name, value in known.items() if f"{name}{DIGEST}" not in known}
    return job.replace(parameters=left) if len(left) < len(known) else job
