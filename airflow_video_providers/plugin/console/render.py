"""Pages from templates. Whatever comes from outside is escaped by Jinja, and addresses in it lose what may be signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow_video_providers.core.border import printable
from airflow_video_providers.core.redact import public_text
from airflow_video_providers.integration.ledger_listing import spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from decimal import Decimal

    from jinja2 import Environment

    from airflow_video_providers.core.purchase.records import Identity

_LONGEST = 2000
#: Before and behind the point of a price that is written out.
_MOST_DIGITS = 20
#: What the pages load beside themselves.
STATIC = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("airflow_video_providers.plugin.console"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "clean": clean, "usd": usd, "moment": moment, "spoken": spoken, "pretty": pretty, "bytes": in_bytes,
    }  # fmt: skip
    made.globals |= {
        "task_query": task_query,
        "airflow_task": airflow_task,
        "airflow_run": airflow_run,
        "any_of": any_of,
    }
    return made


def page(name: str, **values: Any) -> str:
    """A page as HTML."""
    return _environment().get_template(name).render(**values)


@cache
def static(name: str) -> bytes:
    """A file that pages load."""
    return resources.files(__package__ or "").joinpath("static", name).read_bytes()


def clean(text: object) -> str:
    """A text as it may be shown: in one line, printable, its addresses without what may be a signature."""
    return printable(public_text(as_text(text)[:_LONGEST]), _LONGEST)


def as_text(value: object) -> str:
    """A text of whatever a task has pushed."""
    try:
        return str(value)
    except (ValueError, RecursionError):  # more digits than Python writes, or lists in lists in lists
        return "too much to be shown"


def usd(amount: Decimal | None) -> str:
    """US dollars; an unknown price is said to be one, and one that no vendor takes is shown as it was written."""
    if amount is None:
        return "not known"
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        return f"${amount}"
    return f"${amount:,.2f}" if amount == amount.quantize(amount.__class__("0.01")) else f"${amount.normalize():f}"


def moment(when: datetime | None) -> str:
    """A time for people, in UTC; the page's script shows it as Airflow's own pages would."""
    try:
        return "not known" if when is None else f"{_utc(when):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:  # in the last hours of the calendar, or its first, which UTC does not have
        return str(when)


def moment_of(text: object) -> str:
    """A time that a record holds, for people; the text itself where it is none."""
    try:
        return moment(datetime.fromisoformat(as_text(text)))
    except ValueError:
        return as_text(text)


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def pretty(value: Any) -> str:
    """JSON for people, cleaned as texts are."""
    return json.dumps(_cleaned(value), indent=2, ensure_ascii=False)


def _cleaned(value: Any, deep: int = 0) -> Any:
    if isinstance(value, dict) and deep < 20:
        return {clean(name): _cleaned(one, deep + 1) for name, one in value.items()}
    if isinstance(value, list | tuple) and deep < 20:
        return [_cleaned(one, deep + 1) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(value)


def in_bytes(size: int) -> str:
    """A size for people."""
    try:
        number, unit = float(size), "bytes"
    except OverflowError:
        return "more bytes than there are"
    for bigger in ("kB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1000, bigger
    return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"


def age(since: datetime | None) -> timedelta | None:
    """How long ago that was."""
    try:
        return None if since is None else datetime.now(UTC) - _utc(since)
    except OverflowError:
        return None


def task_query(who: Identity, **more: Any) -> str:
    """A task instance as the query of one of our own pages."""
    named = {"dag_id": who.dag_id, "run_id": who.run_id, "task_id": who.task_id, "map_index": who.map_index}
    return urlencode({**named, **more}, quote_via=quote)


def any_of(found: Iterable[Any], says: Callable[[Any], bool]) -> bool:
    """Is it so of any?"""
    return any(map(says, found))


def named(who: Identity) -> str:
    """A task instance on a page that belongs to its run."""
    return f"{who.task_id}[{who.map_index}]" if who.map_index >= 0 else who.task_id


def airflow_run(dag_id: str, run_id: str) -> str:
    """Where Airflow shows a run, from one of our pages."""
    return f"../dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def airflow_task(who: Identity) -> str:
    """Where Airflow shows a task instance with our tab open, from one of our pages."""
    mapped = f"/mapped/{who.map_index}" if who.map_index >= 0 else ""
    return f"{airflow_run(who.dag_id, who.run_id)}/tasks/{quote(who.task_id, safe='')}{mapped}/plugin/video"
