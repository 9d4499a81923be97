"""What became of templates: nothing, or the text that was meant.

The one place that decides it, for the operators and the sensor. Light: importable wherever a DAG file is parsed.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_video_providers.core.errors import InvalidRequestError

#: Arguments that are text, if they are anything.
_LONGEST = 500
_LONGEST_ADDRESS = 2000
TEXTS = ("model", "request_id", "conn_id", "key_template", "webhook_url")


class ReadsTemplates:
    """Mixed into whatever has template fields, before Airflow's own class."""

    #: May ``output_path`` be left out?
    path_is_optional = False

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render as Airflow does; a template that gives nothing, or the text of Python's None, is None."""
        rendered = super().render_template(content, *args, **kwargs)  # type: ignore[misc] # Airflow's class stands behind
        return None if is_nothing(rendered) and _holds_template(content) else rendered


def is_nothing(rendered: object) -> bool:
    """Is this what a template gives where it had nothing to say?

    ``"None"`` is: Jinja writes it for Python's None, and nobody pulls the word from another task on purpose. A
    prompt "None" that an author writes without a template is no template's result, and stays.
    """
    return rendered is None or (isinstance(rendered, str) and rendered.strip() in ("", "None"))


def _holds_template(content: object) -> bool:
    from airflow_video_providers.core.vendors.fields import (
        is_template,  # a DAG file that only imports operators needs no pydantic
    )

    return is_template(content)


def settle(task: Any) -> None:
    """Make what was rendered what it was meant to be; to be called first when a task runs.

    :raises InvalidRequestError: an argument is of a type that says nothing. Nothing was sent.
    """
    for name in TEXTS:
        if hasattr(task, name):
            setattr(task, name, text(name, getattr(task, name)))
    if hasattr(task, "output_path"):
        task.output_path = as_text(task.output_path)


def text(name: str, value: object) -> str | None:
    """An argument that is text: None for nothing, and a whole number as the text that Jinja's native rendering took.

    :raises InvalidRequestError: it is something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    longest = _LONGEST_ADDRESS if name == "webhook_url" else _LONGEST
    if isinstance(value, str) and value.strip().isprintable() and len(value) <= longest:
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return text(name, str(value))
        except ValueError:  # Python writes no integer of many thousands of digits
            pass
    from airflow_video_providers.core.vendors.field_errors import shown

    raise InvalidRequestError(
        f"{name} is {shown(value)}; it must be one line of text, of {longest} characters at most.",
        remedy="Write it as text. Where render_template_as_native_obj is set, a template gives what its text looks like.",
        field=name,
        value=value,
        allowed="text",
    )


def as_text(output_path: Any) -> Any:
    """A path object as the text that Airflow renders and stores, with its connection; anything else as it is."""
    if output_path is None or isinstance(output_path, str):
        return output_path
    from airflow_video_providers.core.storage.output_path import text_of

    return text_of(output_path)


def as_shown(rendered: Any) -> Any:
    """What was rendered, as Airflow may store and show it: path objects, wherever they stand, as their addresses.

    The signatures and passwords of an author's own addresses are masked in the task's fields and log from here on.
    """
    from airflow_video_providers.core.redact import secrets_in
    from airflow_video_providers.core.vendors.input_addresses import plain, texts_in

    try:
        shown = plain(rendered)
        secrets = [secret for text in texts_in({"": shown}).values() for secret in secrets_in(text)]
    except RecursionError:  # it holds itself, which is refused where it is read
        return rendered
    if secrets:
        from airflow.providers.common.compat.sdk import mask_secret

        for secret in secrets:
            mask_secret(secret)
    return shown


def schema_text(schema: Any) -> str | None:
    """Where a schema file is, as text that Airflow can store."""
    return None if schema is None else str(schema)


def plain_json(name: str, value: object) -> dict[str, Any]:
    """A dict of an author's as plain JSON, without what is nothing in it.

    :raises InvalidRequestError: it is no dict, or holds what JSON cannot.
    """
    from collections.abc import Mapping

    from airflow_video_providers.core.vendors.field_errors import shown
    from airflow_video_providers.core.vendors.input_addresses import plain as without_paths

    if is_nothing(value):
        return {}
    try:
        if not isinstance(value, Mapping):
            raise TypeError(f"it is {shown(value)}")  # noqa: TRY301 - one refusal for both
        text = json.dumps(without_paths(dict(value)), allow_nan=False, ensure_ascii=False)
        text.encode()  # half a character has no bytes
        plain: dict[str, Any] = _without_nothing(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(
            f"{name} cannot be written as JSON ({error or type(error).__name__}).",
            remedy="Give a dict of text, numbers, true, false, lists and dicts.",
            field=name,
            allowed="a dict",
        ) from error
    return plain


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nothing(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nothing(each) for each in value if each is not None]
    return value
