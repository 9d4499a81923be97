"""One Airflow for all tests of this folder, and a browser for each person."""

from __future__ import annotations

import pytest

from airflow_video_providers.integration.retries import HAS_POLICIES
from tests.plugin.browser.install import Unavailable, browser, installed
from tests.plugin.browser.scene import EDITOR, scene
from tests.support.home import new_home


@pytest.fixture(scope="session")
def console(tmp_path_factory):
    """Purchases in Airflow's own state store, where it has one, else in a directory."""
    videos, ledger = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("ledger")
    more = {} if HAS_POLICIES else {"AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(ledger)}
    with scene(new_home(tmp_path_factory), videos, more) as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    """The browser, and what checks a page for what shuts people out; while it is open, its event loop runs in this thread."""
    try:
        installed()
    except Unavailable as missing:
        pytest.skip(str(missing))
    with browser() as opened:
        yield opened


@pytest.fixture
def visit(console, chromium):
    """A page of Airflow as somebody sees it: ``visit("plugin/videos")``."""
    contexts = []

    def open_page(path, *, user=EDITOR, theme="light", width=1280):
        context = chromium[0].new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        context.set_default_timeout(60_000)
        context.add_cookies([{"name": "_token", "value": console.token(user), "url": console.url}])
        context.add_init_script(f"try {{ localStorage.setItem('theme', '{theme}') }} catch {{}}")
        page = context.new_page()
        page.goto(path if path.startswith("about:") else f"{console.url}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
