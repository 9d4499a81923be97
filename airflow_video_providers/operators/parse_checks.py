"""What of an operator's arguments can be checked when a DAG is parsed.

Imported when an operator is made: a DAG file that only imports the operators does not pay for the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.models import VideoModel, comes_later
from airflow_video_providers.operators.open_models import model_of, waits_for_its_dag
from airflow_video_providers.operators.options import check_options
from airflow_video_providers.operators.rendered import TEXTS, text


def is_typed(request: object) -> bool:
    """Is it a model's own request object?"""
    return isinstance(request, VideoModel)


def check_model(model: Any) -> None:
    """Is there such a model?

    :raises InvalidRequestError: there is none; the message names the nearest.
    """
    if model is not None and not comes_later(model):
        catalogue.find(model)


def check_request(model: Any, request: Any, request_id: Any, *, task: Any) -> None:
    """What can be checked of a purchase.

    :param task: Whose schema file it is, for a model that the catalogue does not list.
    :raises InvalidRequestError: the model, or a literal in the request, is wrong.
    """
    if comes_later(model):
        return
    later = waits_for_its_dag(task)
    known = catalogue.find(model, unchecked=True) if later else model_of(task, model)
    if isinstance(request, VideoModel) and request.id != known.id:
        raise InvalidRequestError(
            f"The request is one for {request.id}, and model is {model!r}.",
            remedy="Name the same model in both.",
            model=model,
            field="request",
            allowed=known.__name__,
        )
    if isinstance(request, Mapping):
        known.parse(request, rendered=False)
    elif not isinstance(request, VideoModel | None) and not comes_later(request):
        raise InvalidRequestError(
            f"The request is {shown(request)}.",
            remedy="Give a dict of the model's fields, or the typed request.",
            model=model,
            field="request",
            value=request,
            allowed=f"a dict or {known.__name__}",
        )
    attaches = comes_later(request_id) or text("request_id", request_id)
    if request is None and not attaches:
        raise InvalidRequestError(
            "There is neither a request to buy nor a request_id to attach to.", model=model, field="request"
        )


def check_arguments(task: Any) -> None:
    """What can be checked of the rest: options, texts, and where to land.

    :raises InvalidRequestError: one of them is wrong.
    """
    check_options(task)
    for name in TEXTS:
        value = getattr(task, name, None)
        if not comes_later(value):
            text(name, value)
    webhook = getattr(task, "webhook_url", None)
    if webhook and not comes_later(webhook) and not comes_later(task.model):
        from airflow_video_providers.core.callbacks.webhook import checked

        checked(catalogue.vendor_of(task.model), str(text("webhook_url", webhook)), task.webhook_mode)
    _check_extra_fields(task)
    path = getattr(task, "output_path", None)
    if hasattr(task, "output_path") and not comes_later(path) and not (path is None and task.path_is_optional):
        from airflow_video_providers.core.storage.open import check_output_path
        from airflow_video_providers.integration import object_storage  # noqa: F401 # asks Airflow about a scheme

        check_output_path(path)


def _check_extra_fields(task: Any) -> None:
    """An address in them that nobody can fetch; hosts are checked when the connection is known."""
    if not isinstance(fields := getattr(task, "extra_fields", None), Mapping):
        return
    from airflow_video_providers.core.inputs.checked import stored_among
    from airflow_video_providers.core.vendors.input_addresses import inputs_in

    known = {place: given for place, given in inputs_in(fields).items() if not comes_later(given.address)}
    stored_among(known, model=str(task.model), allowed_hosts=None)


def check_landing(key_template: Any, verify: Any, media_types: Any, encryption: Any) -> None:
    """What can be checked of a landing.

    :raises InvalidRequestError: the layout names a part that there is not, or could put two clips in one place; there
        is no such way to verify, or no such type.
    """
    if not comes_later(key_template):
        key_template = text("key_template", key_template)
    given = {"key_template": key_template, "verify": verify, "media_types": media_types, "encryption": encryption}
    options = {name: value for name, value in given.items() if value is not None and not comes_later(value)}
    if options != {"verify": "container"}:
        from airflow_video_providers.landing import Landing

        Landing(output_path="", **options)
