"""A real browser for the tests: Debian's Chromium, steered by Playwright, with axe-core to look for what shuts people out.

Each is installed once, by the ordinary client of its registry; where that cannot be, the tests say why they are skipped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

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


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        _run("Chromium", "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
        found = shutil.which("chromium")
    if found is None:
        raise Unavailable("there is no Chromium: apt-get install chromium")
    return found


def _axe_after_playwright() -> str:
    packages = _CACHE / f"python-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        import playwright  # noqa: F401 - is it there?
    except ImportError:
        if not packages.exists():
            _run(
                "Playwright", sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), _PLAYWRIGHT
            )
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
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_CACHE)
    if done.returncode:
        raise Unavailable(f"{what} cannot be installed: {(done.stderr or done.stdout).strip()[-300:]}")
