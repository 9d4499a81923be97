"""The browser is installed by the tests themselves, and leaves nothing behind that other tests would stumble over."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest

from tests.plugin.browser import install

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("no_open_browser")
def test_after_the_browser_this_thread_runs_event_loops_as_before():
    with install.browser() as (chromium, _):
        page = chromium.new_page()
        page.set_content("<title>here</title>")
        assert page.title() == "here"

    async def nothing():
        return asyncio.get_running_loop().is_running()

    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert asyncio.run(nothing()) is True


@pytest.fixture
def no_open_browser():
    try:
        install.installed()
    except install.Unavailable as missing:
        pytest.skip(str(missing))


class Machine:
    """A Debian on which apt-get knows no package until its lists are fetched."""

    def __init__(self, monkeypatch, *, root: bool = True, apt: bool = True, fails: str = "") -> None:
        self.commands, self.lists, self.installed, self.fails = [], False, False, fails
        monkeypatch.setattr(install.os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setattr(shutil, "which", lambda name: self.which(name, apt=apt))
        monkeypatch.setattr(install.subprocess, "run", self.run)

    def which(self, name, *, apt):
        return f"/usr/bin/{name}" if (name == "apt-get" and apt) or (name == "chromium" and self.installed) else None

    def run(self, command, **_):
        self.commands.append(command[1])
        self.lists |= command[1] == "update"
        well = command[1] != self.fails and (command[1] == "update" or self.lists)
        self.installed |= well and command[1] == "install"
        return subprocess.CompletedProcess(
            command, 0 if well else 100, "", "" if well else "E: Unable to locate package"
        )


def test_on_a_new_machine_chromium_is_installed_after_its_lists_of_packages(monkeypatch):
    machine = Machine(monkeypatch)
    assert install._chromium() == "/usr/bin/chromium"
    assert machine.commands == ["install", "update", "install"]


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"root": False}, "only root can install it here: apt-get install chromium"),
        ({"apt": False}, "only root can install it here: apt-get install chromium"),
        ({"fails": "update"}, "Debian's lists of packages cannot be installed: E: Unable to locate package"),
    ],
    ids=["nobody", "no Debian", "no network"],
)
def test_where_it_cannot_be_installed_the_reason_says_what_is_missing(monkeypatch, machine, reason):
    Machine(monkeypatch, **machine)
    with pytest.raises(install.Unavailable) as missing:
        install._chromium()
    assert reason in str(missing.value)
