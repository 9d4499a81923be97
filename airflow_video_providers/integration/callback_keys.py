"""With what vendors sign their calls: what the configuration says, or what a vendor publishes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.integration.ledger_config import SECTION, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.vendors.base import Vendor

#: Seconds for which published keys are kept, and after which they are asked for again where a signature does not fit.
KEPT = 24 * 3600.0
RENEWED_AFTER = 300.0


def _name(vendor: type[Vendor]) -> str:
    return f"callback_signing_secret_{vendor.id}"


def configured(vendor: type[Vendor]) -> list[str]:
    """``[video_providers] callback_signing_secret_<vendor>``: secrets, or public keys, separated by commas."""
    return [part for part in option(_name(vendor)).replace("\n", ",").replace(" ", "").split(",") if part]


def verifiable(vendor: type[Vendor]) -> bool:
    """Can calls of this vendor be verified here? One that does not sign needs nothing."""
    return not vendor.signs_callbacks() or bool(vendor.callback_keys_url or configured(vendor))


class SigningKeys:
    """The keys of the vendors, kept for a day.

    :param fetch: Fetches the keys at an address.
    """

    def __init__(
        self, fetch: Callable[[str], list[str]] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, tuple[float, list[str]]] = {}

    def __call__(self, vendor: type[Vendor], *, renew: bool = False) -> list[str]:
        """The keys of a vendor. Blocking.

        :param renew: None of what was given before fits: ask again, but not at every call.
        :raises VideoProviderError: the published ones cannot be had, or the configuration names an address without TLS.
        """
        known = configured(vendor)
        addresses = [part for part in known if "://" in part] or ([] if known else [vendor.callback_keys_url])
        return [part for part in known if "://" not in part] + [
            key for url in addresses if url for key in self._published(vendor, url, renew=renew)
        ]

    def _published(self, vendor: type[Vendor], url: str, *, renew: bool) -> list[str]:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise InvalidRequestError(
                f"[{SECTION}] {_name(vendor)} names an address that is not https.",
                remedy="Whoever stands between could sign calls.",
                field=_name(vendor),
                allowed="keys, or https addresses of key sets",
            )
        since, keys = self._kept.get(url, (0.0, []))
        age = self._clock() - since
        if not keys or age > (RENEWED_AFTER if renew else KEPT):
            keys = (self._fetch or _fetched)(url)
            self._kept[url] = (self._clock(), keys)
        return keys


def _fetched(url: str) -> list[str]:
    from airflow_video_providers.core.client.public_keys import fetch_keys  # most receivers need no client

    return fetch_keys(url)
