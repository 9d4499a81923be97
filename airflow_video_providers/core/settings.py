"""What a connection says: read once, checked at once, without a trace of the key in its repr."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow_video_providers.core.border import json_value
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.fields import switch as _switch

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
    def extra(self) -> str | None:
        """The extra as JSON. Airflow's ``extra_dejson`` makes an empty one of what it cannot read, and would wait
        for the supervisor in the triggerer's event loop."""


#: Letters, digits and what needs no encoding: no scheme, host, query, fragment, percent or backslash fits in.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
_LONGEST_PATH = 300
_PATHS = (
    'JSON such as {"pixazo:mochi-v1": "/mochi-v1-clone/generate"}: by model id a path that begins with / and holds '
    "no .., no host and no query"
)


@dataclass(frozen=True)
class Settings:
    """One account at one vendor.

    :param conn_id: Id of the connection.
    :param api_key: The connection's password.
    :param base_url: The connection's host, with scheme; None for the vendor's own address.
    :param extra: The connection's extra: ``allow_private_hosts``, ``download_user_agent``, ``requests_per_minute``, ``prices``,
        ``max_cost_usd``, ``max_run_cost_usd``, ``budget``, ``min_remaining_credits``, ``fields``, ``allow_unknown_price``, ``submits_enabled``,
        ``status_route``, ``paths``, and what the vendor's class names in ``own_settings``.
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
        if not isinstance(names, list | tuple):
            raise self._refusal("allow_private_hosts", "a list of host names")
        return frozenset(str(name).strip().lower() for name in names if str(name).strip())

    @property
    def download_user_agent(self) -> str | None:
        """What the vendor's file host is sent as User-Agent, None for this package's name."""
        text = str(self.extra.get("download_user_agent") or "").strip()
        return text or None

    @property
    def requests_per_minute(self) -> float | None:
        """The request budget; None for the vendor's default."""
        return self._positive("requests_per_minute")

    @property
    def status_route(self) -> str:
        """Which status call to use."""
        return str(self.extra.get("status_route") or "default")

    @property
    def paths(self) -> dict[str, str]:
        """Other paths of submit calls than the catalogue's, by model id, below the connection's own host.

        :raises InvalidRequestError: it is no such table, or a path could lead anywhere else.
        """
        value = self.extra.get("paths")
        if isinstance(value, str):  # so a form and a URI hold it
            try:
                value = json_value(value) if value.strip() else None
            except ValueError:
                raise self._refusal("paths", _PATHS) from None
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(_is_path(path) for path in value.values()):
            raise self._refusal("paths", _PATHS)
        return {model.strip(): path for model, path in value.items()}

    @property
    def submits_enabled(self) -> bool:
        """May anything be bought with this connection?

        :raises InvalidRequestError: the extra says something else than true or false.
        """
        return self._on("submits_enabled")

    @property
    def callbacks(self) -> bool:
        """May the vendor be asked to call our receiver, where there is one?

        :raises InvalidRequestError: the extra says something else than true or false.
        """
        return self._on("callbacks")

    def _on(self, name: str) -> bool:
        try:
            return _switch(self.extra, name, default=True)
        except ValueError:
            raise self._refusal(name, "true or false") from None

    @property
    def min_remaining_credits(self) -> float | None:
        """What the account must have left for anything to be bought, in the vendor's unit; None for no such limit.

        :raises InvalidRequestError: it is no number above 0.
        """
        return self._positive("min_remaining_credits")

    def _positive(self, name: str) -> float | None:
        value = self.extra.get(name)
        if value in (None, ""):
            return None
        try:
            number = float(str(value))
        except ValueError:
            number = 0.0
        if number <= 0 or not math.isfinite(number):
            raise self._refusal(name, "a number above 0")
        return number

    def _refusal(self, name: str, allowed: str) -> InvalidRequestError:
        value = self.extra.get(name)
        return InvalidRequestError(
            f"The extra {name!r} of the connection {self.conn_id!r} is {value!r}; it must be {allowed}.",
            field=name,
            value=value,
            allowed=allowed,
        )


def _is_path(path: object) -> bool:
    """Is it a plain path, which can lead nowhere but below the host that it is put behind?"""
    if not isinstance(path, str) or len(path) > _LONGEST_PATH or not _PATH.fullmatch(path):
        return False
    return not any(part.strip(".") == "" for part in path.split("/")[1:])


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
        base_url = _base_url(connection)
        parts = urlsplit(base_url or "https://vendor.invalid")
        callable_ = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # such as "http://[" or a port above 65535
        callable_ = False
    if not callable_ or parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidRequestError(
            f"The host of the connection {conn_id!r} is not an address that can be called.",
            remedy="Write it as https://host, or leave it empty for the vendor's own.",
            vendor=vendor,
            field="host",
        )
    settings = Settings(
        conn_id=conn_id, api_key=connection.password or "", base_url=base_url, extra=_extra(connection, vendor)
    )
    if parts.scheme == "http" and parts.hostname not in settings.allow_private_hosts:
        raise InvalidRequestError(
            f"The connection {conn_id!r} would send the API key to {parts.hostname} in clear.",
            remedy="Use https, or name the host in the extra's allow_private_hosts if it is a simulator or on-premises.",
            vendor=vendor,
            field="host",
            value=base_url,
            allowed="https",
        )
    return settings


def _base_url(connection: ConnectionLike) -> str | None:
    host = (connection.host or "").strip()
    if not host:
        return None
    if "://" not in host:  # a connection written as URI splits the scheme off
        host = f"{connection.schema or 'https'}://{host}"
    parts = urlsplit(host)
    if connection.port and parts.port is None:
        host = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    return host.rstrip("/")


def _extra(connection: ConnectionLike, vendor: str) -> dict[str, Any]:
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, TypeError, RecursionError):  # the last for what is nested too deeply
        extra = None
    if not isinstance(extra, dict):
        raise InvalidRequestError(
            f"The extra of the connection {connection.conn_id!r} is not a JSON object; it may hold a limit on spending.",
            remedy="Correct the extra, or leave it empty.",
            vendor=vendor,
            field="extra",
            allowed="a JSON object",
        )
    return extra
