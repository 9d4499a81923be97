"""The routes. Each asks who is there, and what they may read, before it reads anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote, urlencode

from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.plugin.console import actions, render, rights, xcoms
from airflow_video_providers.plugin.console.clip_files import Files, pieces
from airflow_video_providers.plugin.console.clips import NoClipError, asked_range, clip_of
from airflow_video_providers.plugin.console.ledgers import Ledgers
from airflow_video_providers.plugin.console.policy import policy
from airflow_video_providers.plugin.console.purchases import STATES, Filter
from airflow_video_providers.plugin.console.reading import PAGE
from airflow_video_providers.plugin.console.run_view import run_view
from airflow_video_providers.plugin.console.spend_view import chart_of, limits_of
from airflow_video_providers.plugin.console.spent import DAYS
from airflow_video_providers.plugin.console.task_view import task_view

User = Annotated[Any, Depends(get_user)]
router = APIRouter(default_response_class=HTMLResponse)
_files, _ledgers = Files(), Ledgers()
#: Seconds after which a page that is not whole is loaded again.
_SOON = 2
#: Bytes of a form, and rows of a list: what is more was not sent by a page of ours.
_LONGEST_FORM, _FARTHEST = 1024 * 1024, 10**9


def _query(request: Request) -> dict[str, str]:
    """The query as Airflow's UI writes it: 3.1 encodes nothing, so that a plus in a run's id stands for itself."""
    found: dict[str, str] = {}
    for part in request.url.query.split("&"):
        name, _, value = part.partition("=")
        found.setdefault(unquote(name), unquote(value))
    if any("\0" in value for value in found.values()):  # no database takes it
        raise HTTPException(400, "The address names nothing that there is.")
    return found


def _who(query: dict[str, str]) -> Identity:
    number = query.get("map_index", "-1")
    map_index = int(number) if number.removeprefix("-").isdecimal() and len(number) < 10 else -1  # "{MAP_INDEX}" too
    return Identity(query.get("dag_id", ""), query.get("run_id", ""), query.get("task_id", ""), map_index)


def _secure(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


@router.get("/videos")
def videos(user: User, dag: str = "", state: str = "", request_id: str = "", offset: int = 0) -> Response:
    """What needs a hand, what is in the making, what landed, and what it cost."""
    wanted = Filter(rights.readable_dags(user), dag.strip(), state if state in STATES else "", request_id.strip())
    return _videos(user, wanted, offset=min(max(0, offset), _FARTHEST))


def _videos(user: Any, wanted: Filter, *, offset: int = 0, done: list[actions.Done] | None = None) -> Response:
    editable = rights.editable_dags(user)
    values: dict[str, Any] = {
        "title": "Videos", "again": None, "done": done or [], "trouble": None, "wanted": wanted, "states": STATES,
        "found": None, "total": 0, "offset": offset, "size": PAGE, "query": "", "seen": None, "spending": None, "days": DAYS,
        "chart": None, "limits": {}, "unread": None, "editable": lambda one: one.attempt.dag_id in editable, "name_of": actions.name_of,
        "token": rights.form_token(user),
    }  # fmt: skip
    try:
        _, reading = _ledgers.open()
        values["unread"] = reading.unread
        values["again"] = _SOON if reading.unread else None
        if wanted.anything:
            values["found"], values["total"] = reading.matching(wanted, offset=offset)
            asked = {"dag": wanted.dag_id, "state": wanted.state, "request_id": wanted.request_id}
            values["query"] = urlencode({name: value for name, value in asked.items() if value})
        if not wanted.state:
            values["seen"] = reading.overview(wanted)
            today = datetime.now(UTC).date()
            values["spending"] = spending = reading.spending(wanted, today)
            values["limits"] = limits_of(
                [one.name for one in spending.connections], user, reading.spent_now(wanted, today)
            )
            values["chart"] = chart_of(spending, values["limits"])
    except LedgerError as error:
        values["trouble"] = f"This server cannot read the ledger. {error}"
    return HTMLResponse(render.page("videos.html", **values))


@router.post("/videos")
async def answer(request: Request, user: User) -> Response:
    """Attach, find or forget what was chosen."""
    from starlette.concurrency import run_in_threadpool

    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length[:12]) > _LONGEST_FORM:
        raise HTTPException(413, "The form is too long.")
    form = await request.form(max_fields=2 * actions.MOST + 10, max_files=0)
    return await run_in_threadpool(_answer, request, user, form)


def _answer(request: Request, user: Any, form: Any) -> Response:
    rights.require_own_form(user, str(form.get("token") or ""), request.headers)
    action = str(form.get("action"))
    try:
        rows = actions.rows_of(form, action)
    except ValueError:
        raise HTTPException(400, "The form names no task instance.") from None
    if action not in actions.ACTIONS:
        raise HTTPException(400, f"The form says none of {', '.join(actions.ACTIONS)}.")
    try:
        ledger, reading = _ledgers.open()
        done = actions.act(action, rows, ledger, user, may=lambda dag_id: rights.may_edit(user, dag_id))
        reading.refresh(now=True)
    except LedgerError as error:
        done = [actions.Done(False, str(error))]
    if not rows:
        done = [actions.Done(False, "Nothing was chosen: tick what is meant.")]
    return _videos(user, Filter(rights.readable_dags(user)), done=done)


@router.get("/run")
def run(request: Request, user: User) -> Response:
    """The clips of a DAG run."""
    who = _who(_query(request))
    rights.require_read(user, who.dag_id)
    view = run_view(who.dag_id, who.run_id, _files, _ledgers, secure=_secure(request))
    origins = {clip.origin for _, clips in view.landed for clip in clips if clip.origin}
    again = 20 if any(one.word in ("in the making", "deferred", "running") for one in view.missing) else None
    again = _SOON if view.unread else again
    text = render.page("run.html", title=f"Videos of this run of {who.dag_id}", again=again, **vars(view))
    return HTMLResponse(text, headers=policy(origins))


@router.get("/task")
def task(request: Request, user: User) -> Response:
    """The clip of a task instance."""
    who = _who(_query(request))
    rights.require_read(user, who.dag_id)
    view = task_view(who, _files, _ledgers, secure=_secure(request))
    may = rights.may_edit(user, who.dag_id)
    text = render.page(
        "task.html", title=f"Video of {render.named(who)}", again=_SOON if view.unread else 15 if view.making else None, view=view, editable=lambda _: may,
        name_of=actions.name_of, token=rights.form_token(user),
    )  # fmt: skip
    return HTMLResponse(text, headers=policy({clip.origin for clip in view.clips if clip.origin}))


@router.get("/clip")
def clip(request: Request, user: User) -> Response:
    """A landed file, in ranges: from the storage itself where it signs an address, else through this server."""
    query = _query(request)
    who = _who(query)
    rights.require_read(user, who.dag_id)
    found = xcoms.task_of(who)
    if found is None or not found.manifest:
        return PlainTextResponse("This task instance has landed nothing.", 404)
    try:
        number = query.get("output", "")
        wanted = clip_of(
            found.manifest, int(number) if number.isdecimal() and len(number) < 5 else -1, poster="poster" in query
        )
        file = _files.open(wanted)
        if "through" not in query and "poster" not in query and (address := file.signed()):
            file.close()
            return RedirectResponse(address, 302, headers={"Referrer-Policy": "no-referrer"})
    except NoClipError as error:
        return PlainTextResponse(render.clean(error), 404)
    # named, so that the server's own compression leaves ranges alone
    headers = {"Accept-Ranges": "bytes", "Content-Encoding": "identity"}
    if "download" in query:
        headers["Content-Disposition"] = f'attachment; filename="{wanted.key.replace("/", "-").replace("=", "-")}"'
    try:
        part = asked_range(request.headers.get("range"), wanted.size)
    except ValueError:
        file.close()
        return PlainTextResponse("There is no such range.", 416, headers={"Content-Range": f"bytes */{wanted.size}"})
    start, stop = part or (0, wanted.size)
    headers["Content-Length"] = str(stop - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{wanted.size}"
    return StreamingResponse(
        pieces(file, start, stop), 206 if part else 200, media_type=wanted.content_type, headers=headers
    )


@router.get("/static/{name}")
def static(name: str, user: User) -> Response:  # noqa: ARG001 - asked for, so that nobody else gets it
    """What the pages load beside themselves."""
    if name not in render.STATIC:
        raise HTTPException(404, "There is no such file.")
    return Response(render.static(name), media_type=render.STATIC[name])
