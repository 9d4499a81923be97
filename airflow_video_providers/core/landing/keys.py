"""Where things lie below ``output_path``: a pure function of the job, so that a retry or another DAG finds them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC
from string import Formatter
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import OutputRole

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob

#: Hive style, so that Athena, BigQuery and Spark discover the partitions.
DEFAULT_KEY_TEMPLATE = "provider={vendor}/model={model}/dt={date}/{request_id}/{index}"
_FIELDS = ("vendor", "model", "date", "request_id", "index")
_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]+")
# "=" makes a partition: only the layout itself may say so, never an id
_UNSAFE_VALUE = re.compile(r"[^A-Za-z0-9._-]+")
_CARRIES_DIGEST = re.compile(r"-[0-9a-f]{8}\Z")
_LONGEST_PART = 100


def safe_part(text: str) -> str:
    """One part of a key, of ``[A-Za-z0-9._-]`` only; what had to be changed carries its own digest.

    Two ids that differ never share a key: what seems to have been changed carries its digest too. No
    part climbs out of its directory, hides itself, or makes a partition of its own.
    """
    safe = _UNSAFE_VALUE.sub("-", text)[:_LONGEST_PART]
    if safe == text and safe and not safe.startswith(".") and not _CARRIES_DIGEST.search(safe):
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe.lstrip('.-') or 'id'}-{digest}"


def check_key_template(template: str) -> None:
    """Check a layout without a job, for instance while a DAG is parsed.

    :param template: Path below ``output_path`` without extension, with ``{request_id}`` and ``{index}`` and, as
        wished, ``{vendor}``, ``{model}`` and ``{date}`` (UTC day of the purchase, or ``unknown``).
    :raises InvalidRequestError: if a field is unknown or missing, or a part is no safe name. Nothing is charged.
    """

    def refuse(why: str) -> InvalidRequestError:
        allowed = "fields " + ", ".join(f"{{{name}}}" for name in _FIELDS)
        return InvalidRequestError(
            f"key_template {template!r} {why}.", field="key_template", value=template, allowed=allowed
        )

    try:
        pieces = list(Formatter().parse(template))
    except ValueError as broken:
        raise refuse(f"cannot be read: {broken}") from None
    fields = [name for _, name, _, _ in pieces if name is not None]
    if any(spec or conversion for _, _, spec, conversion in pieces) or not set(fields) <= set(_FIELDS):
        raise refuse("may hold the fields " + ", ".join(_FIELDS) + " and nothing else")
    if not {"request_id", "index"} <= set(fields):
        raise refuse("needs {request_id} and {index}, or two videos get one name")
    for part in template.format(**dict.fromkeys(_FIELDS, "x")).split("/"):
        if not part or part.startswith(".") or _UNSAFE.search(part):
            raise refuse("has a part that is empty, begins with a dot or holds more than A-Z, a-z, 0-9 and ._=-")


@dataclass(frozen=True)
class Keys:
    """The keys of one job.

    :param job: The job; of it only the model, the request id and the day of the purchase matter.
    :param template: See :func:`check_key_template`.
    """

    job: VideoJob
    template: str = DEFAULT_KEY_TEMPLATE

    def _key(self, index: str) -> str:
        bought = self.job.submitted_at
        if bought is not None and bought.tzinfo is not None:
            bought = bought.astimezone(UTC)
        return self.template.format(
            vendor=safe_part(self.job.vendor),
            model=safe_part(self.job.model.partition(":")[2] or self.job.model),
            date=bought.date().isoformat() if bought is not None else "unknown",
            request_id=safe_part(self.job.request_id),
            index=index,
        )

    @property
    def manifest(self) -> str:
        """Key of the manifest."""
        return self._key("manifest") + ".json"

    def output(self, index: int, extension: str, role: OutputRole = OutputRole.VIDEO) -> str:
        """Key of an output, or with another extension of a video's poster. A file that is no video says what it is."""
        named = "" if role is OutputRole.VIDEO else f"-{role.replace('_', '-')}"
        return f"{self._key(f'{index}{named}')}.{extension}"
