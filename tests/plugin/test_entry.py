"""The plugin's class is what every process of Airflow may load: it costs nothing, and its app is built when asked for."""

from __future__ import annotations

import asyncio
import re
import sys
from importlib.metadata import entry_points

import pytest

from airflow_video_providers.plugin.entry import CONSOLE, VideoPlugin
from airflow_video_providers.plugin.lazy_app import LazyApp
from tests.package.test_imports_are_light import is_part_of, loaded

ENTRY = "airflow_video_providers.plugin.entry"
HEAVY = (
    "fastapi",
    "starlette",
    "jinja2",
    "pydantic",
    "httpx",
    "sqlalchemy",
    "airflow.api_fastapi",
    "airflow_video_providers.core",
)


@pytest.mark.slow  # a process of its own
def test_loading_the_plugin_loads_its_two_small_modules_and_nothing_heavy(tmp_path):
    names = loaded(
        f"import {ENTRY}",
        tmp_path,
        first="import airflow.sdk, airflow.providers.common.compat.sdk as c; c.AirflowPlugin",
    )
    assert {name for name in names if is_part_of(name, "airflow_video_providers")} - {"airflow_video_providers"} == {
        "airflow_video_providers.plugin", ENTRY, "airflow_video_providers.plugin.lazy_app",
    }  # fmt: skip
    assert [name for name in names if any(is_part_of(name, tree) for tree in HEAVY)] == []


def test_airflow_finds_the_plugin_by_its_entry_point():
    found = {point.name: point.value for point in entry_points(group="airflow.plugins")}
    assert found["video_providers"] == f"{ENTRY}:{VideoPlugin.__name__}"


def test_every_view_leads_into_the_app_and_names_only_what_airflow_fills_in():
    for view in VideoPlugin.external_views:
        assert view["href"].startswith(f"{CONSOLE[1:]}/")
        assert set(re.findall(r"{(\w+)}", view["href"])) <= {"DAG_ID", "RUN_ID", "TASK_ID", "MAP_INDEX"}
    routes = [view["url_route"] for view in VideoPlugin.external_views]
    assert len(set(routes)) == len(routes)


async def _app(scope, receive, send):
    await send(scope)


def make():
    make.calls = getattr(make, "calls", 0) + 1
    return _app


def test_an_app_is_built_once_at_the_first_of_many_requests(monkeypatch):
    monkeypatch.setitem(sys.modules, "made_for_a_test", sys.modules[__name__])
    app, sent = LazyApp("made_for_a_test:make"), []

    async def send(message):
        sent.append(message)

    async def ask():
        await asyncio.gather(*(app({"n": n}, None, send) for n in range(5)))

    asyncio.run(ask())
    assert (make.calls, len(sent)) == (1, 5)


@pytest.mark.slow
def test_no_worker_scheduler_or_triggerer_imports_the_pages(tmp_path):
    every = (
        "airflow.sdk.execution_time.task_runner", "airflow.jobs.scheduler_job_runner", "airflow.jobs.triggerer_job_runner",
    )  # fmt: skip
    lines = "from airflow import plugins_manager\nplugins_manager.get_flask_plugins() if hasattr(plugins_manager, 'get_flask_plugins') else plugins_manager.ensure_plugins_loaded()"
    names = loaded("\n".join([*(f"import {name}" for name in every), lines]), tmp_path)
    assert ENTRY in names
    assert [name for name in names if is_part_of(name, "airflow_video_providers.plugin.console")] == []
