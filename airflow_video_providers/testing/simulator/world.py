"""Everything a simulator remembers, in one place that can be emptied."""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .bounded import BODY_BYTES, UPLOAD_BYTES, History, Newest
from .clock import Clock
from .faults import Fault, FaultBook
from .jobs import Store, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .options import Options
    from .wire import Call

_ALWAYS_SECRET = ("authorization", "cookie", "proxy-authorization")


class World:
    """The state behind all gateways.

    :param options: The settings that :meth:`reset` returns to.
    :param key_headers: Each vendor's name and the header that carries its key, in lower case.
    """

    def __init__(self, options: Options, key_headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.initial = options
        self.key_headers = key_headers
        self.secret_headers = frozenset({*key_headers.values(), *_ALWAYS_SECRET})
        self.reset()

    def reset(self) -> None:
        """Forget everything and return to the first settings."""
        self.options = self.initial
        self.clock = Clock(frozen=self.options.frozen_clock)
        self.store = Store(self.options, tuple(self.key_headers))
        self.book = FaultBook(self.options.seed)
        self.requests = History()
        #: API keys that were used, to find them again where they do not belong
        self.keys: Newest[None] = Newest(1000)
        self.violations: deque[dict[str, Any]] = deque(maxlen=10_000)
        #: (vendor, digest of a prompt) -> faults of a prompt that was refused and not accepted since
        self.armed: Newest[list[Fault]] = Newest(1000)
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=10_000)
        self.uploads: Newest[tuple[bytes, str]] = Newest(100, size=UPLOAD_BYTES, weigh=lambda upload: len(upload[0]))
        self._recent: Newest[deque[float]] = Newest(1000)

    def configure(self, changes: dict[str, Any]) -> None:
        """Change settings until the next reset; what is running keeps its times, credits fill the wallets anew.

        :raises ValueError: for a setting that does not exist, or a value that it does not take.
        """
        self.options = self.store.options = self.options.replace(**changes)
        if "frozen_clock" in changes:
            self.clock.freeze(self.options.frozen_clock)
        if "credits" in changes:
            self.store.fill(self.options.credits)

    def record(self, call: Call, vendor: str | None) -> tuple[dict[str, Any], int]:
        """Write a request down, keys redacted; what was written, and about how many bytes it holds."""
        whole = call.is_json and len(call.body) <= BODY_BYTES
        entry: dict[str, Any] = {
            "method": call.method,
            "path": call.path,
            "query": self._without_keys(call.query),
            "vendor": vendor,
            "at": self.clock.now(),
            "headers": {name: self._redacted(name, value) for name, value in call.headers.items()},
            "body": (call.json if whole else f"{len(call.body)} bytes") if call.body else None,
            "status": None,
        }
        # JSON takes several times its length once it is read
        size = (
            1000 + len(call.path) + len(call.query) + sum(map(len, call.headers.values())) + 8 * whole * len(call.body)
        )
        self.requests.append(entry, size)
        return entry, size

    def watch(self, call: Call, vendor: str | None) -> None:
        """A key where none belongs is a violation: at a media address, another host, another vendor."""
        where = vendor or call.path.split("/")[1]
        found = sorted((self.secret_headers & call.headers.keys()) - {self.key_headers.get(vendor or "")})
        if call.query and not self.keys.keys().isdisjoint(call.parameters.values()):
            found.append("(query)")
        for name in found:
            self.violations.append(
                {
                    "method": call.method,
                    "path": call.path,
                    "host": call.headers.get("host", ""),
                    "header": name,
                    "message": f"An API key in {name} reached {where}, where none belongs.",
                }
            )

    def accepts(self, key: str) -> bool:
        """Is this an API key of ours?"""
        good = key in self.options.keys if self.options.keys else bool(key) and not key.startswith("bad")
        if good:
            self.keys[key] = None
        return good

    def _without_keys(self, query: str) -> str:
        for key in self.keys if query else ():
            query = query.replace(key, f"<redacted {fingerprint(key)}>")
        return query

    def wait_for_rate(self, vendor: str, key: str) -> float:
        """Seconds until the key may ask again; 0 if it may now, and then the request is counted."""
        limit, now = self.options.rpm, self.clock.now()
        if not limit:
            return 0.0
        recent = self._recent.setdefault((vendor, key), deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= limit:
            return recent[0] + 60 - now
        recent.append(now)
        return 0.0

    def _redacted(self, name: str, value: str) -> str:
        return f"<redacted {fingerprint(value)}>" if name in self.secret_headers else value
