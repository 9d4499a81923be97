"""``video-models fetch`` and ``check``: the schema of a model that the catalogue does not list, as a file beside the DAG."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.openapi import changes
from airflow_video_providers.core.vendors.schema_files import SchemaFile, made, read_schema
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.commands.opened import see_the_database

if TYPE_CHECKING:
    import argparse


def run_fetch(args: argparse.Namespace, out: TextIO) -> int:
    """Save what the vendor says of a model. A file that is there is replaced only on purpose."""
    found = _fetched(args.model, args.conn_id)
    place = Path(args.into or f"schemas/{args.model.partition(':')[2].replace('/', '-').replace(':', '-')}.json")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w" if args.overwrite else "x", encoding="utf-8") as file:
            file.write(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InvalidRequestError(
            f"{place} cannot be written ({type(error).__name__}).",
            remedy="Name another with --into, or say --overwrite.",
            field="--into",
        ) from error
    fields = ", ".join(found.schema.get("properties", {})) or "none"
    out.write(f"{place}: {args.model}, fetched {found.fetched}, fields {fields}.\n")
    price = "no price line" if found.listed is None else f"price line {json.dumps(found.listed, sort_keys=True)}"
    reckoned = "" if found.price else "; no estimate is made of it: limits refuse the model as of unknown price"
    out.write(f"{price}{reckoned}.\n")
    return 0


def run_check(args: argparse.Namespace, out: TextIO) -> int:
    """Say what has changed at the vendor since a file was fetched; 1 where something has."""
    changed = 0
    for name in args.files:
        pinned = read_schema(name)
        now = _fetched(pinned.model, args.conn_id)
        lines = changes_since(pinned, now)
        changed += bool(lines)
        since = f"since {pinned.fetched}"
        out.write(f"{name}: {pinned.model}: {'changed' if lines else 'nothing has changed'} {since}\n")
        out.writelines(f"  {line}\n" for line in lines)
    return 1 if changed else 0


def changes_since(pinned: SchemaFile, now: SchemaFile) -> list[str]:
    """What the vendor shows otherwise than a file says, a line for each field; the price line is one."""
    lines = changes(pinned.schema, now.schema)
    if pinned.listed != now.listed:
        lines.append(f"price line: {json.dumps(pinned.listed)} then, {json.dumps(now.listed)} now")
    return lines


def shown_now(hook: VideoHook, model: str) -> SchemaFile:
    """What the vendor shows of a model at this moment, as a file of today would hold it. Buys nothing.

    :raises InvalidRequestError: the vendor describes no models, or not this one.
    :raises VendorError: it could not be asked.
    """
    described = hook.get_conn().describe_model(model)
    return made(model, described.schema, fetched=f"{datetime.now(UTC):%Y-%m-%d}", listed=described.listed)


def _fetched(model: str, conn_id: str | None) -> SchemaFile:
    see_the_database()
    hook = VideoHook.for_model(model, conn_id)
    try:
        return shown_now(hook, model)
    finally:
        hook.close()
