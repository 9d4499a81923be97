"""The app behind the pages, built at its first request."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_video_providers.plugin.console import pages, render
from airflow_video_providers.plugin.console.policy import Headers

_WORDS = {401: "Log in to Airflow, then load this page again.", 404: "There is no such page."}


def build() -> Any:
    """The ASGI app."""
    app = FastAPI(title="AI video", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(pages.router)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_middleware(Headers)
    return app


def _refused(request: Request, error: Exception) -> HTMLResponse | PlainTextResponse:
    status = error.status_code if isinstance(error, HTTPException | StarletteHTTPException) else 500
    text = _WORDS.get(status) or str(getattr(error, "detail", "")) or "That did not work."
    if request.url.path.endswith("/clip"):
        return PlainTextResponse(render.clean(text), status)
    return HTMLResponse(render.page("error.html", title="Videos", again=None, text=render.clean(text)), status)
