"""Whose requests a simulator answers: a page in a browser must not reach it under a name of its own."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

#: The vendors' own host names, for a proxy or a hosts file that leads them here.
OF_VENDORS = {
    "gateway.pixazo.ai": "pixazo",
    "gateway.appypie.com": "appypie",
    "api.segmind.com": "segmind",
    "workflows-api.segmind.com": "segmind",
    "queue.fal.run": "fal",
    "api.fal.ai": "fal",
    "rest.fal.ai": "fal",
    "v3.fal.media": "fal",
    "api.replicate.com": "replicate",
}


def bare(header: str) -> str:
    """The name in a ``Host`` header, without its port; an IPv6 address without its brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


class OwnHosts:
    """The names that this simulator goes by: loopback, the vendors' own, where it listens, and what it was given.

    :param listening: The address that it listens on; where that is every address of the machine, any address (a
        number, not a name) is one of ours.
    """

    def __init__(self, listening: str = "127.0.0.1") -> None:
        self._names = {"localhost", listening.lower(), *OF_VENDORS}
        self._anywhere = listening in ("0.0.0.0", "::")  # noqa: S104  compared, not bound

    def has(self, header: str, more: Collection[str] = ()) -> bool:
        """Is a ``Host`` header one of ours?

        :param more: Further names, such as that of a container.
        """
        name = bare(header)
        if name in self._names or name in more:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._anywhere
