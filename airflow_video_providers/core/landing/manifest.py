"""The record beside a landed video, written last: where it exists and fits, the video is landed."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_video_providers import __version__
from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing.media_info import EXTENSIONS
from airflow_video_providers.core.landing.other_media import TYPES
from airflow_video_providers.core.redact import public_url
from airflow_video_providers.core.storage.base import conflict

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.landing.keys import Keys
    from airflow_video_providers.core.landing.media_info import MediaInfo

SCHEMA_VERSION = 1
#: A record is a few kilobytes; something larger is not read at all.
MAX_BYTES = 1024 * 1024
_DEEPEST = 50
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_URL = re.compile(r"\bhttps?://[^\s\"'<>]+", re.IGNORECASE)


def manifest_schema() -> dict[str, Any]:
    """The manifest's JSON Schema (draft 2020-12), as it is shipped in the package."""
    text = resources.files(__package__ or "").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def without_queries(value: Any, deep: int = 0) -> Any:
    """Plain JSON of ``value``, printable and finite; addresses in its texts lose their query, where signatures are."""
    if deep > _DEEPEST:
        return None
    if isinstance(value, str):
        return _URL.sub(lambda found: public_url(found[0]), _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value))
    if isinstance(value, Mapping):
        return {without_queries(str(name)): without_queries(item, deep + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [without_queries(item, deep + 1) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_queries(str(value))


def build(
    job: VideoJob,
    outputs: list[dict[str, Any]],
    *,
    verify: str,
    landed_at: datetime,
    seconds: dict[str, float],
    task: Mapping[str, Any] | None,
    extra: Mapping[str, Any] | None,
    differences: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Put the record together. Without values it does not know, as plain JSON, without a query in any address."""
    known = {
        "schema_version": SCHEMA_VERSION,
        "vendor": job.vendor,
        "model": job.model,
        "request_id": job.request_id,
        "conn_id": job.conn_id,
        "request_sha256": job.request_sha256,
        "parameters": job.parameters,
        "vendor_defaults": job.vendor_defaults,
        "expected": job.expected,
        "differences": differences or None,
        "outputs": outputs,
        "verified": verify,
        "submitted_at": job.submitted_at,
        "completed_at": job.completed_at,
        "landed_at": landed_at,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "estimated_cost_usd": str(job.estimated_cost_usd) if isinstance(job.estimated_cost_usd, Decimal) else None,
        "cost_basis": job.cost_basis,
        "cost_usd": str(job.cost_usd) if isinstance(job.cost_usd, Decimal) else None,
        "remaining_credits": job.remaining_credits,
        "reused_from": job.reused_from,
        "task": {name: value for name, value in (task or {}).items() if value is not None} or None,
        "extra": dict(extra) if extra else None,
        "package": {"name": "airflow-video-providers", "version": __version__},
    }
    plain: dict[str, Any] = without_queries({name: value for name, value in known.items() if value is not None})
    return plain


def encode(manifest: Mapping[str, Any]) -> bytes:
    """The record as it is stored."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def stored_sha256(returned: Mapping[str, Any]) -> str:
    """Digest of the stored record, of one that a landing returned: without what is never stored."""

    def stored(entry: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in entry.items() if name != "path"}
        return {**kept, "poster": stored(entry["poster"])} if "poster" in entry else kept

    record = {name: value for name, value in returned.items() if name not in ("manifest_uri", "skipped")}
    return hashlib.sha256(encode({**record, "outputs": [stored(entry) for entry in returned["outputs"]]})).hexdigest()


def with_addresses(manifest: Mapping[str, Any], uri: str, path: str | None = None) -> dict[str, Any]:
    """The record with the address of each file in it, from its key.

    :param uri: Address of ``output_path`` without a connection, as any program names it.
    :param path: The same with the Airflow connection, for ``ObjectStoragePath``; never stored.
    """

    def located(entry: Mapping[str, Any]) -> dict[str, Any]:
        found = {**entry, "uri": f"{uri}/{entry['key']}"}
        if path is not None:
            found["path"] = f"{path}/{entry['key']}"
        if "poster" in entry:
            found["poster"] = located(entry["poster"])
        return found

    return {**manifest, "outputs": [located(entry) for entry in manifest["outputs"]]}


def decode(data: bytes, keys: Keys, where: str) -> dict[str, Any] | None:
    """Read a stored record. Whoever can write to the storage can plant one: it is believed where it says what this
    package writes for this very job, and its files are where the layout puts them.

    :param where: The record's address, for errors.
    :return: None where it is of an older layout or damaged, and is to be written anew.
    :raises LandingError: if it belongs to another job, or to a newer release of this package.
    """
    try:
        found = json.loads(data, parse_constant=_no_constant) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    version, job = found.get("schema_version"), keys.job
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise conflict(
            f"{where} was written by a newer release of this package",
            "Update airflow-video-providers on this worker, then run the download again; the job is not bought again.",
        )
    if not _as_written(found, keys):
        return None
    if (found["model"], found["request_id"]) != (job.model, job.request_id):
        raise conflict(
            f"{where} belongs to {found['model']:.200} {found['request_id'][:200]!r}, another job",
            "Land with another output_path, or with a key_template that names {vendor} and {model}; overwrite=True "
            "would replace that job's record. The job is not bought again.",
        )
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _as_written(found: dict[str, Any], keys: Keys) -> bool:
    import jsonschema  # where a manifest is read only: it takes a while to import

    if without_queries(found) != found or not jsonschema.Draft202012Validator(manifest_schema()).is_valid(found):
        return False
    return all(
        (output["index"], output["key"], output.get("poster", {}).get("key", keys.output(index, "jpg")))
        == (index, keys.output(index, extension(role, output["content_type"]), role), keys.output(index, "jpg"))
        for index, output, role in (
            (index, output, OutputRole(output.get("role", OutputRole.VIDEO)))
            for index, output in enumerate(found["outputs"])
        )
    )


def extension(role: OutputRole, media_type: str) -> str:
    """What a landed file is called at its end; nothing, where its role does not let it be such."""
    return (EXTENSIONS if role is OutputRole.VIDEO else TYPES[role]).get(media_type, "")


def videos(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A manifest's outputs that are videos, the others being what came beside them. Older manifests know videos only."""
    return [output for output in manifest["outputs"] if output.get("role", OutputRole.VIDEO) == OutputRole.VIDEO]


def output_entry(
    index: int, key: str, size: int, sha256: str, media: MediaInfo, role: OutputRole = OutputRole.VIDEO
) -> dict[str, Any]:
    """The part of the record that describes one landed file."""
    described = {name: value for name, value in asdict(media).items() if value is not None}
    content_type = described.pop("media_type")
    del described["picture"]
    if role is not OutputRole.VIDEO:
        described = {name: described[name] for name in ("width", "height") if name in described}
    else:
        described["codecs"] = list(described["codecs"])
        described["remarks"] = list(described["remarks"])
        if not described["remarks"]:
            del described["remarks"]
    return {
        "index": index,
        "role": str(role),
        "key": key,
        "bytes": size,
        "sha256": sha256,
        "content_type": content_type,
        **described,
    }


def source_entry(url: str, *, path: bool = False) -> dict[str, str]:
    """Where a file came from: the host, and where that is wished for the path; never the query, which may be a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return {"host": ""}
    host = parts.hostname or ""
    return {"host": host, "path": parts.path} if path else {"host": host}
