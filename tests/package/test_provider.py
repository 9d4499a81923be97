"""What Airflow reads about the provider is true, complete and cheap."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import types
from importlib import import_module, metadata, resources
from pathlib import Path

import jsonschema
import pytest
from airflow.sdk import BaseOperator

import airflow_video_providers
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks import connection_form
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.provider_info import get_provider_info

INFO = get_provider_info()
PACKAGE = Path(airflow_video_providers.__file__).parent
CONNECTIONS = {entry["connection-type"]: entry for entry in INFO["connection-types"]}


def dotted_names(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [name for inner in value for name in dotted_names(inner)]
    return [value] if isinstance(value, str) and value.startswith("airflow_video_providers.") else []


def load(name):
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(import_module(module), attribute)


@pytest.mark.parametrize("schema", ["provider_info.schema.json"])
def test_it_fits_airflows_schema(schema):
    jsonschema.validate(INFO, json.loads(resources.files("airflow").joinpath(schema).read_text()))


@pytest.mark.parametrize("name", dotted_names(INFO))
def test_every_name_in_it_can_be_imported(name):
    assert load(name)


def test_it_is_the_installed_distributions_own():
    assert INFO["package-name"] == "airflow-video-providers"
    assert INFO["versions"] == [airflow_video_providers.__version__]
    points = [p for p in metadata.entry_points(group="apache_airflow_provider") if p.dist.name == INFO["package-name"]]
    assert [point.load()() for point in points] == [INFO]


def test_every_vendor_of_the_catalogue_is_in_it_with_what_its_class_says():
    hooks = {title["integration-name"]: title.get("external-doc-url") for title in INFO["integrations"]}
    for vendor in catalogue.vendors().values():
        entry = CONNECTIONS[vendor.id]
        assert entry["hook-name"] == vendor.title
        assert entry["ui-field-behaviour"]["placeholders"]["host"] == vendor.base_url
        assert hooks[vendor.title] == vendor.documentation
        routes = entry["conn-fields"].get("status_route", {"schema": {"enum": ["default"]}})["schema"]["enum"]
        assert tuple(routes) == vendor.status_routes
        own = entry["conn-fields"].keys() - connection_form.FIELDS.keys() - {"status_route"}
        assert own == vendor.own_settings.keys()
        hook = load(entry["hook-class-name"])
        assert issubclass(hook, VideoHook)
        assert (hook.conn_type, hook.hook_name, hook.default_conn_name) == (
            vendor.id,
            vendor.title,
            f"{vendor.id}_default",
        )


def test_every_module_with_operators_sensors_hooks_triggers_and_links_is_listed():
    listed = {
        module
        for kind in ("operators", "sensors", "triggers", "hooks")
        for entry in INFO[kind]
        for module in entry["python-modules"]
    }
    assert listed == {
        "airflow_video_providers.operators.video",
        "airflow_video_providers.sensors.video",
        "airflow_video_providers.triggers.video",
        *(f"airflow_video_providers.hooks.{vendor}" for vendor in ("pixazo", "appypie", "segmind", "fal", "replicate")),
    }
    links = {
        link.__class__
        for name in ("operators.video", "sensors.video")
        for cls in vars(load(f"airflow_video_providers.{name}")).values()
        for link in getattr(cls, "operator_extra_links", ()) or ()
    }
    assert {f"{link.__module__}.{link.__name__}" for link in links} == set(INFO["extra-links"])


@pytest.mark.slow
def test_reading_it_imports_no_models_and_no_http_client():
    code = (
        "import sys; from airflow_video_providers.integration.provider_info import get_provider_info as f; f();"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'pydantic', 'httpx', 'airflow', 'attrs'}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_options_are_those_that_are_read():
    from airflow_video_providers.core.vendors import base
    from airflow_video_providers.integration import callbacks, ledger_config
    from airflow_video_providers.plugin import entry

    read = {
        call.args[0].value
        for module in (callbacks, ledger_config)
        for call in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "option"
        and isinstance(call.args[0], ast.Constant)
    }
    read |= set(re.findall(r'conf\.get\("video_providers", "(\w+)"', Path(entry.__file__).read_text()))
    # The name of this option holds the vendor's: one for each that signs its calls.
    files = Path(base.__file__).parent.glob("*.py")
    signing = [path.stem for path in files if "def verify_callback" in path.read_text() and path.stem != "base"]
    read |= {f"callback_signing_secret_{vendor}" for vendor in signing}
    assert set(INFO["config"]) == {ledger_config.SECTION}
    assert set(INFO["config"][ledger_config.SECTION]["options"]) == read


# The connection form.


def test_the_form_hides_what_nobody_needs_and_names_the_rest():
    for entry in CONNECTIONS.values():
        shown = entry["ui-field-behaviour"]
        assert shown["hidden-fields"] == ["login", "schema", "port"]
        assert shown["relabeling"] == {"password": "API key", "host": "Base URL"}


def test_only_pixazo_has_a_choice_of_status_routes():
    assert [name for name, entry in CONNECTIONS.items() if "status_route" in entry["conn-fields"]] == ["pixazo"]


@pytest.mark.parametrize("vendor", sorted(CONNECTIONS))
def test_airflow_3_1_finds_the_same_behaviour_in_the_hook_class_itself(vendor):
    hook = load(CONNECTIONS[vendor]["hook-class-name"])
    assert {"get_ui_field_behaviour", "get_connection_form_widgets"} <= vars(hook).keys()
    told = hook.get_ui_field_behaviour()
    assert {name.replace("_", "-"): value for name, value in told.items()} == CONNECTIONS[vendor]["ui-field-behaviour"]


@pytest.fixture
def wtforms(monkeypatch):
    """As much of the library as Airflow 3.1 has."""

    class Field:
        def __init__(self, label=None, validators=None, description="", default=None, widget=None):
            self.label, self.description, self.default, self.widget = label, description, default, widget

    fab = type(sys)("flask_appbuilder.fieldwidgets")
    fab.BS3TextFieldWidget = type("BS3TextFieldWidget", (), {})
    wtforms = type(sys)("wtforms")
    wtforms.StringField, wtforms.BooleanField = type("StringField", (Field,), {}), type("BooleanField", (Field,), {})
    for name, module in {"flask_appbuilder": fab, "flask_appbuilder.fieldwidgets": fab, "wtforms": wtforms}.items():
        monkeypatch.setitem(sys.modules, name, module)
    return wtforms


def test_airflow_3_1_builds_one_widget_per_field(wtforms):
    for vendor, entry in CONNECTIONS.items():
        widgets = load(entry["hook-class-name"]).get_connection_form_widgets()
        assert {name: widget.label for name, widget in widgets.items()} == {
            name: field["label"] for name, field in entry["conn-fields"].items()
        }, vendor
    assert isinstance(widgets["submits_enabled"], wtforms.BooleanField)
    assert widgets["submits_enabled"].default is True
    assert isinstance(widgets["max_cost_usd"], wtforms.StringField)


def test_a_private_vendor_describes_its_connection_in_one_call():
    entry = connection_form.connection_type("acme", "Acme", "https://api.acme.example", "acme.AcmeHook")
    jsonschema.validate(
        {**INFO, "connection-types": [entry]},
        json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text()),
    )
    assert set(entry["conn-fields"]) == set(connection_form.FIELDS)


def test_a_private_vendors_form_has_the_fields_of_its_own_settings(wtforms):
    own = {"studio": connection_form.field("Studio", "Which studio makes the clip. Empty: any.", "string")}
    entry = connection_form.connection_type("acme", "Acme", "https://api.acme.example", "acme.AcmeHook", own_fields=own)
    jsonschema.validate(
        {**INFO, "connection-types": [entry]},
        json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text()),
    )
    assert set(entry["conn-fields"]) == {*connection_form.FIELDS, "studio"}
    acme = type("Acme", (catalogue.vendors()["segmind"],), {"id": "acme"})
    hook = types.new_class("AcmeHook", (VideoHook,), {"vendor": acme, "own_fields": own})
    try:
        assert hook.get_connection_form_widgets()["studio"].label == "Studio"
    finally:
        VideoHook._by_vendor.pop("acme")


# Conventions.


def sources():
    return [(path.relative_to(PACKAGE), ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")]


def test_no_bare_airflow_exception_is_raised():
    raised = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", getattr(node.exc.func, "attr", "")) == "AirflowException"
    ]
    assert raised == []


def operators():
    from airflow_video_providers.operators.video import (
        DownloadVideoOperator,
        GenerateVideoOperator,
        SubmitVideoOperator,
    )
    from airflow_video_providers.sensors.video import VideoJobSensor

    return [SubmitVideoOperator, VideoJobSensor, DownloadVideoOperator, GenerateVideoOperator]


def own_classes(operator):
    return [cls for cls in operator.__mro__ if cls.__module__.startswith("airflow_video_providers.")]


def initializers(operator):
    for cls in own_classes(operator):
        tree = ast.parse(Path(sys.modules[cls.__module__].__file__).read_text())
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
        yield from (node for node in body.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")


@pytest.mark.parametrize("operator", operators())
def test_template_fields_are_plainly_assigned_in_init(operator):
    plain = {
        node.targets[0].attr
        for init in initializers(operator)
        for node in init.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == node.targets[0].attr
    }
    assert set(operator.template_fields) <= plain
    assert set(operator.template_fields_renderers) <= set(operator.template_fields)


@pytest.mark.parametrize("operator", operators())
def test_connection_ids_and_addresses_are_templated(operator):
    arguments = {argument.arg for init in initializers(operator) for argument in init.args.kwonlyargs}
    wanted = {name for name in arguments if name.endswith(("conn_id", "_path")) or name in ("job", "model", "request")}
    assert wanted <= set(operator.template_fields)


@pytest.mark.parametrize("operator", operators())
def test_every_parameter_is_in_the_class_docstring_of_the_operator_or_of_those_it_names(operator):
    arguments = {argument.arg for init in initializers(operator) for argument in init.args.kwonlyargs}
    arguments -= set(vars(BaseOperator))  # Airflow's own, such as start_trigger_args
    documented = operator.__doc__
    if "Every parameter of" in documented:
        documented += "".join(other.__doc__ for other in operators() if other.__name__ in operator.__doc__)
    assert [name for name in sorted(arguments) if f":param {name}:" not in documented] == []
