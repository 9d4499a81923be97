"""Starts the cluster's processes, each in a session of its own with a pid file, and restarts what exits."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
#: A process that exits is started again this many seconds after it was started last, at the soonest.
PAUSE = 1.0


@dataclass
class Component:
    """One process.

    :param user: Whom it runs as, where that is not the user of this campaign.
    :param wanted: Is it to run? The supervisor starts what is wanted and does not run.
    :param starts: How often it was started.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    user: str | None = None
    wanted: bool = False
    starts: int = 0
    started: float = 0.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Does it run now?"""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps components running until :meth:`close`.

    :param folder: Where logs and pid files go. Every component, and all that it starts, works in it or below it: by
        this, and not by names or ids, a campaign knows its processes from all others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._components: dict[str, Component] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def add(self, component: Component) -> None:
        """Start a component and keep it running."""
        with self._lock:
            self._components[component.name] = component
            self.start(component.name)

    def start(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Let a component run; with another environment, if one is given."""
        with self._lock:
            component = self._components[name]
            component.env = component.env if env is None else env
            component.wanted = True
            if not component.running:
                self._launch(component)

    def pid(self, name: str) -> int:
        """The process id of a component that runs; waits for the supervisor where it does not."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with self._lock:
                component = self._components[name]
                if component.running and component.process:
                    return component.process.pid
            time.sleep(0.1)
        raise RuntimeError(f"{name} does not run.\n{self.last_words(name)}")

    def starts(self) -> dict[str, int]:
        """How often each component was started."""
        return {name: component.starts for name, component in self._components.items()}

    def family(self, name: str) -> list[psutil.Process]:
        """A component's process and everything below it."""
        try:
            parent = psutil.Process(self.pid(name))
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self, name: str, *, stay_dead: bool = False) -> None:
        """``kill -9`` of a component with everything below it.

        :param stay_dead: Not started again until :meth:`start`.
        """
        with self._lock:
            self._components[name].wanted = self._components[name].wanted and not stay_dead
        members = self.family(name) if self._components[name].running else []
        send(members, SIGKILL)
        psutil.wait_procs(members, timeout=10)

    def signal(self, name: str, number: Signals, *, tree: bool = False) -> None:
        """Send a signal to a component's own process, or to everything below it, too."""
        members = self.family(name)
        send(members if tree else members[:1], number)

    def stop(self, name: str, number: Signals = SIGTERM, *, patience: float = 30) -> None:
        """End a component in an orderly way, and leave it ended; after ``patience`` seconds, in any way."""
        with self._lock:
            component = self._components[name]
            component.wanted = False
        if component.process and component.running:
            send([psutil.Process(component.process.pid)], number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                component.process.wait(patience)
        if component.running:
            self.kill(name, stay_dead=True)

    def close(self) -> None:
        """End every process of this campaign, whoever started it."""
        self._closing.set()
        with self._lock:
            for component in self._components.values():
                component.wanted = False
        for number, patience in ((SIGTERM, 5.0), (SIGKILL, 10.0)):
            members = inside(self._folder)
            send(members, SIGCONT)
            send(members, number)
            psutil.wait_procs(members, timeout=patience)
        for component in self._components.values():
            if component.process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    component.process.wait(5)

    def last_words(self, *names: str) -> str:
        """The ends of the components' logs."""
        logs = [self._folder / f"{name}.log" for name in names or self._components]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs if log.exists())

    def _launch(self, component: Component) -> None:
        component.starts += 1
        component.started = time.monotonic()
        account = pwd.getpwnam(component.user) if component.user else None
        with (self._folder / f"{component.name}.log").open("ab") as log:
            component.process = subprocess.Popen(
                component.command, env=dict(component.env), cwd=self._folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                user=component.user, group=account.pw_gid if account else None, extra_groups=[] if account else None,
            )  # fmt: skip
        (self._folder / f"{component.name}.pid").write_text(f"{component.process.pid}\n")

    def _watch(self) -> None:
        while not self._closing.wait(0.2):
            with self._lock:
                for component in self._components.values():
                    due = time.monotonic() > component.started + PAUSE
                    if component.wanted and due and not component.running and not self._closing.is_set():
                        self._launch(component)


def send(members: Sequence[psutil.Process], number: Signals) -> None:
    """Send a signal to processes, some of which may be gone."""
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            member.send_signal(number)


def inside(folder: Path) -> list[psutil.Process]:
    """Every process that works in a folder or below it, but for the one that asks.

    Workers and the API server write their title over their environment, and a killed parent's children are nobody's:
    where a process works is what stays.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            where = Path(process.cwd())
            if process.pid != os.getpid() and (where == folder or folder in where.parents):
                found.append(process)
    return found
