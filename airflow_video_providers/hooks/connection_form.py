"""The connection form: which fields a person fills in. Plain data, because Airflow reads it in many processes.

Airflow 3.2 and newer read it from the provider info; Airflow 3.1 asks the hook, which builds its widgets from the
same fields. A private vendor's distribution uses :func:`connection_type` in its own provider info.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Fields = Mapping[str, dict[str, Any]]

_HIDDEN = ("login", "schema", "port")
_RELABELLED = {"password": "API key", "host": "Base URL"}


def field(label: str, description: str, *kinds: str, **more: Any) -> dict[str, Any]:
    """One field of a form; empty means that the extra does not hold it.

    :param label: Its name for people.
    :param description: What it is for, in which unit, and what empty means.
    :param kinds: JSON types of its value, such as ``"string"`` or ``"number"``.
    :param more: Further keywords of its JSON Schema.
    """
    return {"label": label, "description": description, "schema": {"type": [*kinds, "null"], **more}}


#: What the extra of every vendor's connection may hold.
FIELDS: Fields = {
    "requests_per_minute": field(
        "Requests per minute",
        "The most requests that all waiting jobs of this connection send together in a minute, in one triggerer. "
        "Empty: 50 for Segmind, as its documents say; 60 for the others, whose documents name no rate.",
        "number",
        exclusiveMinimum=0,
    ),
    "allow_private_hosts": field(
        "Allowed private hosts",
        "Host names, separated by commas, that may resolve to private addresses and may use plain http: a simulator, "
        "or on-premises. Empty: none.",
        "string",
    ),
    "download_user_agent": field(
        "User-Agent for downloads",
        "What the vendor's file host is sent as User-Agent, where it refuses programs with 403; for example Mozilla/5.0. "
        "Empty: airflow-video-providers.",
        "string",
    ),
    "prices": field(
        "Prices of this account",
        'JSON: by model id US dollars per video, {"usd": 0.05, "per": "second"}, or a list of such rows with conditions on '
        'fields of the request: {"usd": 0.045, "per": "second", "when": {"resolution": "720p"}}. The first row that holds '
        "counts; what no row covers has no known price. Empty: the documented prices, where there are any.",
        "string",
        format="multiline",
    ),
    "paths": field(
        "Other paths of submit calls",
        'JSON: where a model is bought, by model id, instead of the path that its documents name: {"pixazo:mochi-v1": '
        '"/68a5784c0828c041ba519ca6/v1/generate"}. Always below this connection\'s own host. Empty: the documented paths.',
        "string",
        format="multiline",
    ),
    "max_cost_usd": field(
        "Most expensive video, US dollars",
        "A request with a higher estimated price is refused before it is sent. Empty: no limit.",
        "number",
        minimum=0,
    ),
    "max_run_cost_usd": field(
        "Most per DAG run, US dollars",
        "A request with which the estimates of a DAG run would pass this is refused before it is sent. Needs "
        "ledger_path in the section video_providers of the configuration. Empty: no limit.",
        "number",
        minimum=0,
    ),
    "budget": field(
        "Budget of this connection",
        "JSON: the most that all submits of all DAGs may be estimated to cost in a day, a week from Monday or a month, in UTC: "
        '{"usd": 50, "per": "day"}. Counts what is spent, reserved, and of unknown outcome. Needs ledger_path. Empty: none.',
        "string",
        format="multiline",
    ),
    "min_remaining_credits": field(
        "Credits that must be left",
        "Nothing is bought while the account has less, in the vendor's unit. Costs one free call before each submit, and "
        "needs a vendor that documents one: Segmind. Empty: no limit.",
        "number",
        exclusiveMinimum=0,
    ),
    "fields": field(
        "Forced and forbidden fields",
        "JSON: by field of the request the one value that may be sent, or null for a field that may not: "
        '{"thinking_type": "disabled", "watermark": null}. A request that leaves a forced field out is sent with it; one '
        "that says something else is refused. Empty: none.",
        "string",
        format="multiline",
    ),
    "allow_unknown_price": {
        "label": "Buy without a known price",
        "description": "On: the most expensive video above lets a request pass whose price nobody knows. A task cannot allow "
        "that, and nobody can under a sum per DAG run or period.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "callbacks": {
        "label": "Ask for callbacks",
        "description": "Off: the vendor is not asked to call the receiver that callback_url names, and jobs are polled. "
        "Without callback_url, or where the vendor has no webhooks, this says nothing.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "submits_enabled": {
        "label": "Buying is enabled",
        "description": "Off: nothing is bought with this connection; waiting and landing go on.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
}

#: What the extra of one vendor's connection may hold beside that: its class's ``own_settings``.
OF_VENDORS: Mapping[str, Fields] = {
    "fal": {
        "output_lifetime": field(
            "Lifetime of outputs",
            'fal alone: how long it keeps the files of a job after it has made them, such as "7d" or "12h", an hour at least, or '
            '"never" for no end (X-Fal-Object-Lifecycle-Preference). Empty: as the storage settings of the account say.',
            "string",
        ),
    },
    "replicate": {
        "cancel_after": field(
            "Deadline of predictions",
            "Replicate alone: it cancels a prediction that has not ended so long after its submit, such as 20m or 1h30m, 5 seconds "
            "at least (Cancel-After). Empty: no deadline of ours.",
            "string",
        ),
    },
}


def fields(status_routes: Sequence[str] = (), own_fields: Fields | None = None) -> dict[str, dict[str, Any]]:
    """The fields of a vendor's form.

    :param status_routes: The vendor's status calls, where it has several.
    :param own_fields: The vendor's own fields.
    """
    known = {**FIELDS, **(own_fields or {})}
    if len(status_routes) < 2:
        return known
    route = field(
        "Status route",
        "Which of the documented status calls to use. Empty: the first.",
        "string",
        enum=list(status_routes),
    )
    return {**known, "status_route": route}


def behaviour(base_url: str) -> dict[str, Any]:
    """Which standard fields are shown, and as what, with the keys that the provider info uses.

    :param base_url: The vendor's own address.
    """
    return {
        "hidden-fields": list(_HIDDEN),
        "relabeling": dict(_RELABELLED),
        "placeholders": {"host": base_url, "password": "the key from the vendor's console"},
    }


def connection_type(
    vendor_id: str,
    title: str,
    base_url: str,
    hook_class_name: str,
    *,
    status_routes: Sequence[str] = (),
    own_fields: Fields | None = None,
) -> dict[str, Any]:
    """One entry of ``connection-types`` in a provider info.

    :param vendor_id: The vendor's id, which is the connection type.
    :param title: The vendor's name.
    :param base_url: The vendor's own address.
    :param hook_class_name: Full name of the hook class.
    :param status_routes: The vendor's status calls, where it has several.
    :param own_fields: A form field (:func:`field`) for each name in the class's ``own_settings``. Default: those that this
        package knows for its own vendors, none for others.
    """
    return {
        "connection-type": vendor_id,
        "hook-class-name": hook_class_name,
        "hook-name": title,
        "ui-field-behaviour": behaviour(base_url),
        "conn-fields": fields(status_routes, own_fields or OF_VENDORS.get(vendor_id)),
    }


def hook_methods(base_url: str, status_routes: Sequence[str], own_fields: Fields | None = None) -> dict[str, Any]:
    """The methods by which Airflow 3.1 asks a hook class for its form."""
    shown = {name.replace("-", "_"): value for name, value in behaviour(base_url).items()}
    return {
        "get_connection_form_widgets": staticmethod(lambda: widgets(status_routes, own_fields)),
        "get_ui_field_behaviour": staticmethod(lambda: shown),
    }


def widgets(status_routes: Sequence[str] = (), own_fields: Fields | None = None) -> dict[str, Any]:
    """The same fields as widgets, for Airflow 3.1.

    :raises ImportError: there is no form to build: neither wtforms nor Airflow's stand-in for it.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # type: ignore[import-not-found, unused-ignore] # comes with FAB, or Airflow's stand-in
    from wtforms import BooleanField, StringField  # type: ignore[import-untyped, import-not-found, unused-ignore] # the same

    def widget(said: Mapping[str, Any]) -> Any:
        label, description = said["label"], said["description"]
        if "boolean" in said["schema"]["type"]:
            return BooleanField(label, description=description, default=said["schema"].get("default"))
        return StringField(label, description=description, widget=BS3TextFieldWidget())

    return {name: widget(said) for name, said in fields(status_routes, own_fields).items()}
