"""What ``video-certify`` would buy, checked as far as can be without sending anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.landing.preflight import preflight
from airflow_video_providers.core.purchase.cheapest import cheapest
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.pricing import Estimate, money
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.schema_files import read_schema
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import object_storage  # noqa: F401 # buckets through Airflow's connections
from airflow_video_providers.integration.commands.opened import see_the_database
from airflow_video_providers.testing.certification.transcript import Exchange, Transcript

if TYPE_CHECKING:
    import argparse
    from decimal import Decimal

    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.core.vendors.schema_files import SchemaFile


@dataclass(frozen=True)
class Plan:
    """One clip.

    :param schema: The pinned schema that the request is checked against, of a model that the catalogue does not list.
    :param output: Where it lands.
    :param transcript: The file that is written.
    """

    hook: VideoHook
    request: VideoModel
    cost: Estimate
    max_usd: Decimal
    output: str
    transcript: Path
    schema: SchemaFile | None = None

    def text(self) -> str:
        """What would be bought and spent."""
        url = self.hook.settings.base_url or self.hook.vendor_class.base_url
        pinned = (
            ""
            if self.schema is None
            else f"Its schema was fetched on {self.schema.fetched}; before the purchase the vendor is asked what it shows now.\n"
        )
        return (
            f"One clip of {self.request.id} with the connection {self.hook.conn_id!r} at {url}:\n"
            f"  {json.dumps(self.request.body(), ensure_ascii=False)}\n"
            f"It is estimated to cost {self.cost}; at most ${self.max_usd} is allowed.\n"
            f"{pinned}It lands in {self.output}; the transcript is {self.transcript}.\n"
            "Nothing was sent. Run it again with --yes to buy this clip. Where an earlier run has bought one that has not landed, "
            "that one is taken up and nothing is bought.\n"
        )

    def earlier(self) -> list[Exchange]:
        """What an earlier run has heard that came to no end."""
        return Transcript.read(self.transcript).exchanges if self.transcript.exists() else []


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that the arguments describe.

    :raises InvalidRequestError: something is wrong with them or the connection, nothing could land there, or a limit does not
        allow it. Nothing was sent.
    """
    for name in ("conn_id", "max_usd"):
        if not getattr(args, name):
            raise InvalidRequestError(
                f"--{name.replace('_', '-')} is needed to buy; with --offline TRANSCRIPT it is not.",
                field=f"--{name.replace('_', '-')}",
            )
    max_usd = money(args.max_usd, "--max-usd")
    given = _given(args.request)
    see_the_database()
    schema = read_schema(args.schema) if args.schema else None
    if named := args.model or (schema and schema.model):
        model = catalogue.find(named, schema=schema, unchecked=schema is None)
        hook = VideoHook.for_model(named, args.conn_id)
        request, cost = cheapest(model, given, hook.settings.extra.get("prices"))
    else:
        hook, request, cost = _cheapest_of_vendor(args.conn_id, given)
    limits = Limits.of(hook.settings.extra, max_cost_usd=max_usd)
    limits.check(cost, model=request.id)
    output = args.output if "://" in args.output else str(Path(args.output).absolute())
    preflight(output)
    transcript = Path(args.transcript or f"{re.sub(r'[^A-Za-z0-9.]+', '-', request.id)}.json")
    _check_transcript(transcript, request.id)
    return Plan(hook, request, cost, max_usd, output, transcript, schema)


def _given(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InvalidRequestError(
            f"--request is {shown(text)}, which is no JSON object.",
            field="--request",
            allowed="an object of the model's fields",
        )
    return given


def _cheapest_of_vendor(conn_id: str, given: dict[str, Any]) -> tuple[VideoHook, VideoModel, Estimate]:
    """The connection's vendor's model with the cheapest known price."""
    from airflow.providers.common.compat.sdk import BaseHook

    try:
        vendor = str(BaseHook.get_connection(conn_id).conn_type)
    except Exception as error:
        raise InvalidRequestError(
            f"There is no connection {conn_id!r}, or it could not be read ({type(error).__name__}).",
            remedy="Add it, with the vendor's id as its type and the key as its password.",
            field="--conn-id",
            value=conn_id,
        ) from error
    found: list[tuple[VideoModel, Estimate]] = []
    hook: VideoHook | None = None
    for name in sorted(catalogue.models()):
        if name.partition(":")[0] != vendor:
            continue
        hook = hook or VideoHook.for_model(name, conn_id)
        try:
            request, cost = cheapest(catalogue.find(name), given, hook.settings.extra.get("prices"))
        except InvalidRequestError:  # it needs what only a person can give
            continue
        if cost.usd is not None:
            found.append((request, cost))
    if hook is None or not found:
        raise InvalidRequestError(
            f"No model of {vendor!r} has a known price and needs nothing but a prompt.",
            remedy="Name one with --model, and its price in prices of the connection's extra where no document states it.",
            field="--model",
        )
    request, cost = min(found, key=lambda one: one[1].usd or 0)
    return hook, request, cost


def _check_transcript(path: Path, model: str) -> None:
    """A transcript of a clip that was bought is never written over, and the folder is there before one is bought."""
    if path.exists():
        there = Transcript.read(path)
        if there.complete or there.model != model:
            raise InvalidRequestError(
                f"{path} is there already: {there.model}, {there.certified_on}.",
                remedy="Name another file with --transcript, or move that one.",
                field="--transcript",
            )
    elif not path.parent.is_dir():
        raise InvalidRequestError(f"There is no folder {path.parent}.", remedy="Make it.", field="--transcript")
