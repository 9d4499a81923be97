"""What a connection says: read once, checked at once, without a trace of the key in its repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow_video_providers.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConnectionLike(Protocol):
    """The parts of an Airflow connection that are read here."""

    @property
    def conn_id(self) -> str:
        """Its id."""

    @property
    def conn_type(self) -> str | None:
        """Its type."""

    @property
    def host(self) -> str | None:
        """A host, or a base URL with scheme."""

    @property
    def schema(self) -> str | None:
        """The scheme, where the connection was written as a URI."""

    @property
    def port(self) -> int | None:
        """The port, where the connection was written as a URI."""

    @property
    def password(self) -> str | None:
        """The API key."""

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra as a dict."""


@dataclass(frozen=True)
class Settings:
    """One account at one vendor.

    :param conn_id: Id of the connection.
    :param api_key: The connection's password.
    :param base_url: The connection's host, with scheme; None for the vendor's own address.
    :param extra: The connection's extra: ``allow_private_hosts``, ``requests_per_minute``, ``prices``,
        ``max_cost_usd``, ``submits_enabled``, ``status_route``.
    """

    conn_id: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def allow_private_hosts(self) -> frozenset[str]:
        """Host names that may resolve to private addresses and may use plain http."""
        hosts = self.extra.get("allow_private_hosts") or []
        names = hosts.split(",") if isinstance(hosts, str) else hosts
        return frozenset(str(name).strip().lower() for name in names if str(name).strip())

    @property
    def requests_per_minute(self) -> float | None:
        """The request budget; None for the vendor's default."""
        return self._positive("requests_per_minute")

    @property
    def status_route(self) -> str:
        """Which status call to use."""
        return str(self.extra.get("status_route") or "default")

    def _positive(self, name: str) -> float | None:
        value = self.extra.get(name)
        if value in (None, ""):
            return None
        try:
            number = float(str(value))
        except ValueError:
            number = 0.0
        if number <= 0:
            raise InvalidRequestError(
                f"The extra {name!r} of the connection {self.conn_id!r} is {value!r}; it must be a number above 0.",
                field=name,
                value=value,
                allowed="a number above 0",
            )
        return number


def read_settings(connection: ConnectionLike, vendor: str) -> Settings:
    """The settings of a connection that must belong to ``vendor``.

    :raises InvalidRequestError: another vendor's connection, no key, or an address that would send the key
        in clear. Nothing was sent.
    """
    conn_id = connection.conn_id
    if connection.conn_type != vendor:
        raise InvalidRequestError(
            f"The connection {conn_id!r} has the type {connection.conn_type!r}, and this model needs {vendor!r}.",
            remedy="Name the right connection in conn_id, or correct its type.",
            vendor=vendor,
            field="conn_type",
            value=connection.conn_type,
            allowed=vendor,
        )
    if not (connection.password or "").strip():
        raise InvalidRequestError(
            f"The connection {conn_id!r} has no API key.",
            remedy="Set its password to the API key.",
            vendor=vendor,
            field="password",
        )
    try:
        extra = connection.extra_dejson
    except ValueError:
        extra = {}
    settings = Settings(
        conn_id=conn_id, api_key=connection.password or "", base_url=_base_url(connection), extra=extra or {}
    )
    parts = urlsplit(settings.base_url or "https://vendor.invalid")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise InvalidRequestError(
            f"The host of the connection {conn_id!r} is not an address that can be called.",
            remedy="Write it as https://host, or leave it empty for the vendor's own.",
            vendor=vendor,
            field="host",
        )
    if parts.scheme == "http" and parts.hostname.lower() not in settings.allow_private_hosts:
        raise InvalidRequestError(
            f"The connection {conn_id!r} would send the API key to {parts.hostname} in clear.",
            remedy="Use https, or name the host in the extra's allow_private_hosts if it is a simulator or on-premises.",
            vendor=vendor,
            field="host",
            value=settings.base_url,
            allowed="https",
        )
    return settings


def _base_url(connection: ConnectionLike) -> str | None:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return None
    if "://" not in host:  # a connection written as URI splits the scheme off
        host = f"{connection.schema or 'https'}://{host}"
    parts = urlsplit(host)
    if connection.port and parts.port is None:
        host = host.replace(parts.netloc, f"{parts.netloc}:{connection.port}", 1)
    return host
