"""The options of an operator that are no templates: what of them can be wrong."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.pricing import money
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.models import comes_later

if TYPE_CHECKING:
    from collections.abc import Callable

#: A century in seconds: a longer wait has no end that a calendar can hold.
_FOR_EVER = 3.2e9


def seconds(duration: object) -> Any:
    """A timedelta as its seconds; anything else as it is, for :func:`check_options` to judge."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def _one_of(*words: str | None) -> tuple[Callable[[Any], bool], str]:
    return lambda value: any(
        value is word or (isinstance(value, str) and value == word) for word in words
    ), " or ".join(map(repr, words))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_duration(value: Any) -> bool:
    return _is_number(value) and 0 < value < _FOR_EVER


def _are_names(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(v, str) for v in value)


_SWITCH = (lambda value: isinstance(value, bool), "True or False")
_DURATION = (_is_duration, "a number of seconds above 0")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "on_clear": _one_of("resubmit", "reattach", None),
    "on_unknown_outcome": _one_of("fail", "resubmit"),
    "resolve_within": (lambda value: _is_number(value) and 0 <= value < _FOR_EVER, "a number of seconds from 0"),
    "queue_timeout": _DURATION,
    "webhook_mode": _one_of("terminal", "sync"),
    "allow_unknown_price": _SWITCH,
    "unchecked": _SWITCH,
    "overwrite": _SWITCH,
    "poster": _SWITCH,
    "source_paths": _SWITCH,
    "keep_rejected": _SWITCH,
    "verify": _one_of("container", "decode"),
    "expect": _one_of("report", "strict"),
    "keep_prompt": _SWITCH,
    "make_unique": _SWITCH,
    "reuse": _one_of("same_request", None),
    "media_types": (lambda value: value is None or _are_names(value), "a list of media types"),
    "max_bytes": (lambda value: value is None or (_is_whole(value) and value > 0), "a number of bytes above 0"),
    "download_timeout": _DURATION,
    "deferrable": _SWITCH,
    "timeout": _DURATION,
    "poll_interval": (lambda value: value is None or _is_duration(value), "a number of seconds above 0"),
    "soft_fail": _SWITCH,
    "never_fail": _SWITCH,
    "cancel_on_kill": _SWITCH,
    "synchronous": _SWITCH,
    "resubmit_on_error": (lambda value: _is_whole(value) and value >= 0, "a whole number from 0"),
}


def check_options(task: Any) -> None:
    """What an author got wrong about an operator's options; at parse, and for a mapped task when it runs.

    :raises InvalidRequestError: one of them is wrong. Nothing was sent.
    """
    for name, (right, allowed) in _RULES.items():
        value = getattr(task, name, None)
        if hasattr(task, name) and not right(value):
            raise InvalidRequestError(
                f"{name} is {shown(value)}; it must be {allowed}.", field=name, value=value, allowed=allowed
            )
    if getattr(task, "cancel_on_kill", False) and hasattr(task, "request"):
        _check_cancels(task.model)
    for name in ("max_cost_usd", "max_run_cost_usd"):
        value = getattr(task, name, None)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            money(value, name)


def _check_cancels(model: Any) -> None:
    """Before a purchase: a task that promises to cancel needs a vendor that can.

    :raises InvalidRequestError: it cannot. Nothing was sent.
    """
    if comes_later(model):
        return
    vendor = catalogue.vendor_of(model)
    if not vendor().cancels:
        raise InvalidRequestError(
            f"cancel_on_kill is set, and {vendor.title} documents no way to cancel a job.",
            remedy="Leave cancel_on_kill out: a job of this vendor goes on when its task is ended.",
            model=model,
            field="cancel_on_kill",
            value=True,
            allowed="False for this vendor",
        )
