"""An address that a vendor is asked to call, and everything that can be wrong with it before anything is bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.hosts import is_private

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_video_providers.core.vendors.description import Description, WebhookMode

MODES: tuple[WebhookMode, ...] = ("terminal", "sync")
#: Characters; proxies and vendors cut or refuse longer ones.
LONGEST_ADDRESS = 2000


class Callback(NamedTuple):
    """Where and how often a vendor is to call.

    :param url: The address, checked by :func:`checked`.
    :param mode: When it calls.
    """

    url: str
    mode: WebhookMode = "terminal"

    def __repr__(self) -> str:  # the path of our receiver's address holds a signed token
        return f"{type(self).__name__}(host={urlsplit(self.url).hostname!r}, mode={self.mode!r})"


def checked(
    vendor: type[Description],
    url: str,
    mode: object = "terminal",
    *,
    allowed_hosts: Collection[str] | None = None,
    field: str = "webhook_url",
) -> Callback:
    """The callback, if this vendor can call this address.

    Only what the text itself says is checked: it is the vendor who resolves the name, in a network of its own.

    :param allowed_hosts: Hosts that may be private and may use plain http, lower case; None where they are not known yet,
        as when a DAG is parsed, and then nothing is refused on their account.
    :param field: What to call the address in an error.
    :raises InvalidRequestError: the vendor has no webhooks or not this mode, or the address cannot be called. Nothing was
        sent.
    """
    if not vendor.webhook_modes:
        raise InvalidRequestError(
            f"{vendor.title} has no webhooks: its documents name no way to be called back.",
            remedy=f"Leave {field} out; the sensor polls.",
            vendor=vendor.id,
            field=field,
        )
    if mode not in vendor.webhook_modes:
        allowed = " or ".join(map(repr, vendor.webhook_modes))
        raise InvalidRequestError(
            f"webhook_mode is {mode!r:.40}; for {vendor.title} it must be {allowed}.",
            vendor=vendor.id,
            field="webhook_mode",
            value=mode,
            allowed=allowed,
        )
    if (wrong := _wrong(url, allowed_hosts)) is not None:
        raise InvalidRequestError(
            f"{field} {wrong}.",
            remedy="Give the https address of a receiver that the vendor can reach. For a receiver inside your own network "
            "name its host in allow_private_hosts of the connection's extra.",
            vendor=vendor.id,
            field=field,
            allowed="https://<host>/<path>",
        )
    return Callback(url, mode)


def _wrong(url: str, allowed_hosts: Collection[str] | None) -> str | None:
    """What is wrong with an address; never the address itself, which may hold a secret of its receiver's."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' "<>\\^`{|}'):
        return "holds characters that no address has"
    if len(url) > LONGEST_ADDRESS:
        return f"has more than {LONGEST_ADDRESS} characters"
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not host:
        return "is no https address"
    if "@" in parts.netloc:
        return "carries a user name or a password"
    if parts.fragment:
        return "has a fragment, which no call carries"
    if allowed_hosts is None or host in allowed_hosts:
        return None
    if parts.scheme != "https":
        return "is plain http"
    return f"names {host}, which nobody outside can call" if is_private(host) else None
