"""A real browser for the tests: Debian's Chromium, steered by Playwright, with axe-core to look for what shuts people out.

Each is installed once, by the ordinary client of its registry; where that cannot be, the tests say why they are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_PLAYWRIGHT = "playwright==1.65.2"
_CACHE = Path(tempfile.gettempdir()) / f"console-tests-{os.getuid()}"
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


class Unavailable(Exception):
    """What is missing, for the reason of a skip."""


def installed() -> tuple[str, str]:
    """Chromium's program and axe-core's script; ``playwright`` can be imported afterwards.

    :raises Unavailable: something cannot be installed here.
    """
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers start together
        return _chromium(), _axe_after_playwright()


@contextlib.contextmanager
def browser() -> Iterator[tuple[Any, str]]:
    """An open browser, and axe-core's script. While it is open, its event loop runs in this thread; afterwards none does.

    :raises Unavailable: something cannot be installed here.
    """
    program, axe = installed()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=[*FLAGS, "--no-sandbox"])
        try:
            yield opened, axe
        finally:
            opened.close()


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable("there is no Chromium, and only root can install it here: apt-get install chromium")
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    try:
        _run("Chromium", *install)
    except Unavailable:  # a new machine's lists of packages are empty or old
        _run("Debian's lists of packages", "apt-get", "update", "-qq")
        _run("Chromium", *install)
    found = shutil.which("chromium")
    if found is None:
        raise Unavailable("apt-get has installed no Chromium")
    return found


def _axe_after_playwright() -> str:
    packages = _CACHE / f"python-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        import playwright  # noqa: F401 - is it there?
    except ImportError:
        if not (packages / "playwright").exists():
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            _run("Playwright", *pip, "--target", str(packages), _PLAYWRIGHT)
        sys.path.append(str(packages))
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is missing: axe-core needs it")
    script = _CACHE / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, _CACHE)
        _run("axe-core", npm, "ci", "--no-audit", "--no-fund", "--prefix", str(_CACHE))
    return script.read_text(encoding="utf-8")


def _run(what: str, *command: str) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_CACHE, env=env)
    if done.returncode:
        raise Unavailable(f"{what} cannot be installed: {(done.stderr or done.stdout).strip()[-300:]}")
