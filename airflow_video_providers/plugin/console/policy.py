"""What browsers are sent with every answer: load nothing from elsewhere, keep nothing, show it in no other site's frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self'{media}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_ALWAYS = {
    b"cache-control": b"private, no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": _POLICY.format(media="").encode(),
}


def policy(origins: Iterable[str]) -> dict[str, str]:
    """The policy of a page whose players are sent to these storages."""
    return {"Content-Security-Policy": _POLICY.format(media="".join(f" {origin}" for origin in sorted(origins)))}


class Headers:
    """ASGI middleware: these headers stand in every answer that does not set them itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()), *((name, value) for name, value in _ALWAYS.items() if name not in present),
                ]  # fmt: skip
            await send(message)

        await self._app(scope, receive, sending)
