"""What of a request's files can be said without asking a storage: what no vendor can fetch is refused, or has to be lent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.hosts import host_name, is_private
from airflow_video_providers.core.redact import public_url
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.core.vendors.fields import is_stored
from airflow_video_providers.core.vendors.input_addresses import AROUND, Input, inputs_in, wrong_address

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_video_providers.core.vendors.models import VideoModel

MONEY = "Nothing was bought."


def inputs_of(request: VideoModel, extra_fields: Mapping[str, Any]) -> dict[str, Input]:
    """The files that a purchase names, by their place: in the request's fields, in lists and objects inside them, and in
    ``extra_fields``.

    :raises InvalidRequestError: it is nested without end. Nothing was bought.
    """
    try:
        return {**request.inputs(), **inputs_in(extra_fields)}
    except RecursionError:
        raise InvalidRequestError(
            "The request is nested too deeply, or holds itself.", money=MONEY, model=request.id, field="request"
        ) from None


def stored_among(inputs: Mapping[str, Input], *, model: str, allowed_hosts: Collection[str] | None) -> dict[str, Input]:
    """Those that lie in a storage, and have to be lent. The others a vendor can fetch, as far as their text says.

    The one place where inputs are checked.

    :param allowed_hosts: Host names that may be private: the vendor stands in the same network. None: any.
    :raises InvalidRequestError: nobody can fetch one. Nothing was bought.
    """
    stored: dict[str, Input] = {}
    for name, given in inputs.items():
        wrong = wrong_address(given.address)
        if wrong is None and is_stored(given.address):
            stored[name] = given
        elif wrong := wrong or unreachable(given.address, allowed_hosts):
            raise InvalidRequestError(
                f"The {'file' if given.media_types is None else 'image'} in {name!r} {wrong}.",
                money=MONEY,
                remedy="Give a public address, or s3://, gs:// or abfs://. For a vendor inside your own network name the host "
                "in allow_private_hosts of its connection.",
                model=model,
                field=name,
                value=without_secret(public_url(given.address)),
                allowed="an address that the vendor reaches",
            )
    return stored


def refuse_unlent(request: VideoModel, extra_fields: Mapping[str, Any] | None, vendor_url: str) -> None:
    """The bare client lends no file to a vendor: a hook and the operators do.

    :param vendor_url: Where the vendor is. One inside a private network reaches others there.
    :raises InvalidRequestError: the request names a file that the vendor cannot fetch. Nothing was sent.
    """
    hosts = None if unreachable(vendor_url, ()) else ()
    for name in stored_among(inputs_of(request, extra_fields or {}), model=request.id, allowed_hosts=hosts):
        raise InvalidRequestError(
            f"{name!r} names a file in storage, which no vendor can fetch as it is written.",
            remedy="Buy with a hook or an operator, which lend it to the vendor, or give a public address.",
            model=request.id,
            field=name,
        )


def unreachable(address: str, allowed_hosts: Collection[str] | None) -> str | None:
    """Why a vendor cannot reach an address, as far as its text says; None where it may.

    The vendor resolves the name, in a network of its own: only literal addresses and names that no public network has are
    refused. An address that programs read in two ways has to pass in both.
    """
    text = re.sub(r"[\t\r\n]", "", address.strip(AROUND)).partition(" ")[0]
    return next(filter(None, (_unreachable(way, allowed_hosts) for way in (text, text.replace("\\", "/")))), None)


def _unreachable(text: str, allowed_hosts: Collection[str] | None) -> str | None:
    with_scheme = re.sub(r"(?i)\A(https?:)/*", r"\1//", text)
    try:
        parts = urlsplit(with_scheme if "://" in with_scheme else f"//{with_scheme}")
        host, _ = host_name(unquote(parts.hostname or "")), parts.port
    except ValueError:
        return "cannot be read"
    if not host or host.startswith(("~", ".")):
        return "names no host, and is no absolute path"
    if allowed_hosts is None or host in map(host_name, allowed_hosts):
        return None
    if is_private(host) or not {".", ":"} & set(host):
        return f"names {host}, which the vendor cannot reach: the purchase would be lost"
    return None
