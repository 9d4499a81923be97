"""PostgreSQL and Redis: found on this machine, or installed from Debian's packages where this user may."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: What stands below the ports that a client's connection takes by itself: a server's port is never one of those.
PORTS = range(20_000, 32_000)
#: Program -> Debian's package that brings it.
PACKAGES = {"initdb": "postgresql", "pg_ctl": "postgresql", "redis-server": "redis-server"}
_ELSEWHERE = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
)
INSTALL_SECONDS = 600


class MissingServerError(Exception):
    """A server that is not here and could not be installed."""


@dataclass(frozen=True)
class Programs:
    """Where the servers' programs are.

    :param user: The user that PostgreSQL runs as, because it refuses root; None: the one who runs this.
    """

    initdb: str
    pg_ctl: str
    redis: str
    user: str | None


def programs() -> Programs:
    """Find the programs, or install what is missing.

    :raises MissingServerError: something is missing still; the message says what, and what would bring it.
    """
    missing = [name for name in PACKAGES if find(name) is None]
    said = _install(sorted({PACKAGES[name] for name in missing})) if missing else ""
    found = {name: find(name) for name in PACKAGES}
    if lost := [name for name, path in found.items() if path is None]:
        wanted = " ".join(sorted({PACKAGES[name] for name in lost}))
        raise MissingServerError(
            f"No {' and no '.join(lost)} on this machine, and {said}. As root: apt-get install {wanted}"
        )
    return Programs(str(found["initdb"]), str(found["pg_ctl"]), str(found["redis-server"]), _unprivileged())


def find(name: str) -> str | None:
    """A program on PATH, or where PostgreSQL's packages put theirs, newest first."""
    if path := shutil.which(name):
        return path
    folders = sorted((folder for pattern in _ELSEWHERE for folder in Path("/").glob(pattern[1:])), reverse=True)
    return shutil.which(name, path=os.pathsep.join(map(str, folders)))


def _install(packages: list[str]) -> str:
    """Install Debian's packages; why that did not work, for a sentence."""
    if os.geteuid() != 0:
        return "only root may install it"
    if shutil.which("apt-get") is None:
        return "there is no apt-get to install it with"
    print(f"Installing {' '.join(packages)}", flush=True)
    # with this run level Debian's packages install their servers and start none of them
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    said = ""
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        try:
            done = subprocess.run(
                ["apt-get", "--quiet", *arguments], env=env, timeout=INSTALL_SECONDS, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"apt-get {arguments[0]} took longer than {INSTALL_SECONDS} s"
        said = f"apt-get {arguments[0]} ended with {done.returncode}: {done.stdout.strip()[-300:]}"
    return said


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise MissingServerError("PostgreSQL refuses to run as root, and there is no user postgres or nobody here.")


def free_ports(number: int) -> list[int]:
    """Loopback ports on which nobody listens, each another."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == number:
            return found
    raise MissingServerError(f"There are no {number} free ports between {PORTS.start} and {PORTS.stop}.")


def create_database(found: Programs, folder: Path, password: str) -> None:
    """Make a database cluster that only this password opens, and only from loopback."""
    secret = folder.parent / "postgres.password"
    secret.write_text(password)
    folder.mkdir()
    if found.user:
        for path in (folder, secret):
            shutil.chown(path, found.user)
    secret.chmod(0o600)
    run_as(
        found.user, found.initdb, "--pgdata", str(folder), "--username", "airflow", "--pwfile", str(secret),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync",
    )  # fmt: skip
    secret.unlink()


def run_as(user: str | None, *command: str) -> None:
    """Run a program to its end, as another user where one is given; what it said is in the error."""
    done = subprocess.run(
        command, cwd="/", user=user, group=_group(user), extra_groups=None if user is None else [], timeout=120,
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-2000:]}")


def _group(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid


def postgres_command(found: Programs, folder: Path, port: int) -> list[str]:
    """PostgreSQL in the foreground, on loopback alone, without waiting for the disk."""
    server = Path(found.pg_ctl).resolve().with_name("postgres")
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200,
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    }  # fmt: skip
    return [
        str(server),
        "-D",
        str(folder),
        *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
    ]


def redis_command(found: Programs, folder: Path, port: int, password: str) -> list[str]:
    """Redis on loopback alone, with nothing on disk: what was queued is gone when it dies."""
    return [
        found.redis, "--port", str(port), "--bind", "127.0.0.1", "--requirepass", password, "--save", "",
        "--appendonly", "no", "--dir", str(folder), "--daemonize", "no",
    ]  # fmt: skip
