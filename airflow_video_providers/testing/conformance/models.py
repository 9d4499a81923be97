"""What a vendor and its models say about themselves: tables, forms and parse-time checks are made from it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.conformance.subject import Check, Subject, expect

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.models import VideoModel

_VENDOR_ID = re.compile(r"[a-z][a-z0-9_]*")
_MODEL_ID = re.compile(r"[a-z0-9][a-z0-9.-]*")


def _models(subject: Subject) -> list[type[VideoModel]]:
    return [model for model in catalogue.models().values() if model.id.partition(":")[0] == subject.vendor.id]


def the_vendor_describes_itself(subject: Subject) -> None:
    """Its id is a connection type, its address is https, its key has a header."""
    vendor = subject.vendor
    expect(_VENDOR_ID.fullmatch(vendor.id), f"id is {vendor.id!r}: a connection type is lower case letters and digits.")
    expect(vendor.title.strip(), "title is empty: errors and the connection form name the vendor by it.")
    expect(urlsplit(vendor.base_url).scheme == "https", f"base_url is {vendor.base_url!r}: the key would go in clear.")
    for name, url in vendor.other_urls.items():
        expect(urlsplit(url).scheme == "https", f"other_urls[{name!r}] is {url!r}: the key would go in clear.")
    expect(vendor.key_header.strip(), "key_header is empty.")
    shortest, longest = vendor.poll_seconds
    expect(0 < shortest <= longest, f"poll_seconds is {vendor.poll_seconds}: shortest first, above 0.")
    expect(vendor.requests_per_minute > 0, "requests_per_minute must be above 0.")
    for status, charged in vendor.charged.items():
        expect(status.terminal, f"charged names {status}, which is not an end.")
        expect(charged in ("yes", "no", "unknown"), f"charged says {charged!r} of {status}.")


def the_catalogue_finds_it_and_its_models(subject: Subject) -> None:
    """It is registered under its own id, and has models."""
    vendor = subject.vendor
    expect(
        catalogue.vendors().get(vendor.id) is vendor,
        f"The catalogue does not know {vendor.id!r}: register it in the entry point group "
        f"{catalogue.ENTRY_POINT_GROUP!r} under that name.",
    )
    expect(_models(subject) or vendor.open_ids, f"No model's id begins with {vendor.id}:, and open_ids is empty.")
    for model in _models(subject):
        expect(catalogue.find(model.id) is model, f"{model.id} is registered twice.")
        expect(catalogue.vendor_of(model.id) is vendor, f"{model.id} belongs to another vendor.")
    for request in (subject.request, subject.failing):
        expect(catalogue.vendor_of(request.id) is vendor, f"{request.id} belongs to another vendor.")
        expect(request.listed or vendor.open_ids, f"The subject's request is for {request.id}, which is not listed.")


def every_model_describes_its_fields(subject: Subject) -> None:
    """Ids, paths, and for every field a type and a description."""
    for model in _models(subject):
        expect(_MODEL_ID.fullmatch(model.id.partition(":")[2]), f"{model.id}: use lower case, digits, '.' and '-'.")
        expect(model.path.startswith("/") and "://" not in model.path, f"{model.id}: path is {model.path!r}.")
        expect(model.typical_seconds > 0, f"{model.id}: typical_seconds must be above 0.")
        expect(model.text_on_the_wire <= set(model.model_fields), f"{model.id}: text_on_the_wire names no field.")
        schema = model.json_schema()
        expect(schema.get("additionalProperties") is False, f"{model.id}: a misspelt field must be an error.")
        expect(json.loads(json.dumps(schema)) == schema, f"{model.id}: its JSON Schema is not JSON.")
        for name, field in model.model_fields.items():
            described = model.describe(name)
            where = f"{model.id}: {name}"
            expect((field.description or "").strip(), f"{where} has no description; tables and errors need one.")
            expect("type" in described or "enum" in described, f"{where} has no JSON type.")
            expect(
                field.is_required() or field.default is None,
                f"{where} has the default {field.default!r}: use optional(..., vendor_default=...), which sends nothing.",
            )


def every_price_has_a_basis(subject: Subject) -> None:
    """A price is exact, above zero, says where it comes from, and depends on fields that exist."""
    for model in _models(subject):
        for price in model.prices:
            expect(isinstance(price.usd, Decimal) and price.usd > 0, f"{model.id}: {price.usd!r} is no price.")
            expect(price.basis.strip(), f"{model.id}: a price without a basis cannot be trusted.")
            unknown = set(price.when) - set(model.model_fields)
            expect(not unknown, f"{model.id}: a price depends on {unknown}, which are no fields.")


def a_request_sends_what_was_set_and_nothing_else(subject: Subject) -> None:
    """No default of ours goes over the wire."""
    body = subject.request.body()
    expect(json.loads(json.dumps(body)) == body, f"The body of {subject.request.id} is not plain JSON: {body!r}.")
    extra = set(body) - subject.request.model_fields_set
    expect(not extra, f"{subject.request.id} sends {extra}, which nobody set.")


CHECKS: tuple[Check, ...] = (
    the_vendor_describes_itself,
    the_catalogue_finds_it_and_its_models,
    every_model_describes_its_fields,
    every_price_has_a_basis,
    a_request_sends_what_was_set_and_nothing_else,
)
