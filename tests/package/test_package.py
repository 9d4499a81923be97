"""What is published: it builds, it is whole, and it asks for nothing that Airflow users would not expect."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from email import message_from_string
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def brought_by(*distributions):
    """What an install of these brings without an extra: nothing else may be asked of Airflow users."""
    found, todo = set(), list(distributions)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found:
            continue
        found.add(name)
        with suppress(PackageNotFoundError):
            needed = map(Requirement, requires(name) or ())
            todo += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    return folder


def test_wheel_and_sdist_pass_twine(dist):
    files = sorted(dist.iterdir())
    assert len(files) == 2
    ran = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_the_wheel_holds_the_package_and_nothing_else(dist):
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        metadata = message_from_string(wheel.read(next(n for n in names if n.endswith("/METADATA"))).decode())
        points = wheel.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"airflow_video_providers"}
    assert "airflow_video_providers/py.typed" in names
    assert "airflow_video_providers/core/landing/manifest.schema.json" in names
    runtime = {Requirement(item).name for item in metadata.get_all("Requires-Dist") if "extra ==" not in item}
    assert runtime <= brought_by("apache-airflow", "apache-airflow-providers-common-compat")
    assert {"apache-airflow", "httpx"} <= runtime
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "provider_info = airflow_video_providers.integration.provider_info:get_provider_info" in points


def test_the_sdist_holds_what_the_tests_need(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {"/".join(Path(name).parts[1:]) for name in sdist.getnames()}
    assert {
        "Makefile",
        "constraints.txt",
        "README.md",
        "LICENSE",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/index.md",
        "docs/conf.py",
        "tests/package/test_package.py",
    } <= names


def test_constraints_pin_everything_and_name_no_index():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all("==" in line and "://" not in line and not line.startswith("-") for line in lines)
    assert "apache-airflow==3.3.2" in lines
