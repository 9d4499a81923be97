"""A handle on a running simulator, in this process or another: it speaks HTTP to the admin routes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

VENDORS = ("pixazo", "appypie", "segmind", "fal", "replicate")
KEYS = {
    "pixazo": "sk_live_simulated",
    "appypie": "appypie_simulated",
    "segmind": "SG_0123456789abcdef",
    "fal": "fal_simulated",
    "replicate": "r8_simulated",
}


class SimulatorHandle:
    """Looks into a simulator and steers it.

    :param url: Its address, such as ``http://127.0.0.1:8099``.
    :param vendors: Whom it stands in for.
    :raises httpx.HTTPError: from every method, if the simulator does not answer.
    :raises ValueError: from every method, if the simulator refuses what it was asked; the message says why.
    """

    def __init__(self, url: str, vendors: Sequence[str] = VENDORS) -> None:
        self.vendors = vendors
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)

    def close(self) -> None:
        """Close the connection to the simulator; the simulator goes on."""
        self._client.close()

    def base_url(self, vendor: str) -> str:
        """The address of one vendor: ``pixazo``, ``appypie``, ``segmind``, ``fal`` or ``replicate``, or another that it was started with."""
        if vendor not in self.vendors:
            raise ValueError(f"There is no vendor {vendor!r} here; there are {', '.join(self.vendors)}.")
        return f"{self.url}/{vendor}"

    def connection(self, vendor: str, *, key: str | None = None) -> dict[str, Any]:
        """An Airflow connection to one vendor, as a dict that JSON can hold.

        :param key: The API key; by default one that the simulator accepts.
        """
        return {
            "conn_type": vendor,
            "host": self.base_url(vendor),
            "password": key or KEYS.get(vendor, f"{vendor}_simulated"),
            "extra": {"allow_private_hosts": ["127.0.0.1", "localhost"]},
        }

    def environment(self) -> dict[str, str]:
        """Environment variables that give Airflow a connection to each vendor under its default id."""
        return {
            f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT": json.dumps(self.connection(vendor)) for vendor in self.vendors
        }

    def ledger(self) -> dict[str, Any]:
        """What was bought: ``submits`` that arrived, how many were ``accepted``, ``charges``, ``charged`` money,
        ``credits`` left, ``duplicates``, and ``jobs`` with their prompts.
        """
        return self._ask("GET", "ledger")

    def requests(self, vendor: str | None = None) -> list[dict[str, Any]]:
        """Every request with its status, oldest first, keys redacted; media requests have no vendor."""
        found: list[dict[str, Any]] = self._ask("GET", "requests" + (f"?vendor={vendor}" if vendor else ""))["requests"]
        return found

    def violations(self) -> list[dict[str, Any]]:
        """API keys that arrived where none belongs."""
        found: list[dict[str, Any]] = self._ask("GET", "violations")["violations"]
        return found

    def images(self, part: str = "") -> list[dict[str, Any]]:
        """Let the simulator fetch every job's images as the vendor would, and say what it saw: ``status``, ``media_type``,
        ``bytes``, ``seconds_left`` of a signed address, ``address`` without its query.

        :param part: Of images whose address holds this alone.
        """
        found: list[dict[str, Any]] = self._ask("POST", "images", {"part": part})["images"]
        return found

    def deliveries(self) -> list[dict[str, Any]]:
        """Every attempt to deliver a webhook."""
        found: list[dict[str, Any]] = self._ask("GET", "webhooks")["deliveries"]
        return found

    def fault(
        self,
        name: str,
        *,
        count: int | None = 1,
        probability: float = 1.0,
        vendor: str | None = None,
        on: str | None = None,
    ) -> None:
        """Ask for a fault.

        :param name: One of those that ``--help`` lists, with ``:argument`` where it takes one.
        :param count: How often it strikes; None: for ever.
        :param probability: Chance that it strikes a call that it could strike.
        :param vendor: Only this vendor's calls.
        :param on: ``submit``, ``status``, ``result``, ``media`` or ``webhook``; by default where it belongs.
        """
        self._ask(
            "POST",
            "faults",
            {"name": name, "count": count, "probability": probability, "vendor": vendor, "on": on},
        )

    def clear_faults(self) -> None:
        """Take back every fault that was asked for and has not struck."""
        self._ask("DELETE", "faults")

    def configure(self, **options: Any) -> None:
        """Change settings until the next :meth:`reset`; ``credits`` fills the wallets anew."""
        self._ask("POST", "options", options)

    def advance(self, seconds: float) -> None:
        """Push the simulated time forward."""
        self._ask("POST", "advance", {"seconds": seconds})

    def reset(self) -> None:
        """Forget every job, request, fault and violation, and return to the first settings."""
        self._ask("POST", "reset")

    def _ask(self, method: str, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = None if method == "GET" else body or {}
        response = self._client.request(method, f"/_sim/{route}", json=content)
        if response.status_code == 400:
            raise ValueError(response.json()["message"])
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
