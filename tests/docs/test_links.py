"""Every link leads somewhere, every file and test that a page names is there, and no page is lost."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from airflow_video_providers.integration.provider_info import get_provider_info
from tests.support.pages import PAGES, README, ROOT, Page

#: Of these pages the site takes another file's text.
TAKEN_IN = {"docs/changelog.md", "docs/contributing.md", "docs/security.md"}
_BY_PATH = {page.path: page for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Page) -> None:
    for target in page.links:
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.path.parent / path).resolve() if path else page.path
        assert file.exists(), target
        if anchor:
            assert anchor in _BY_PATH[file].anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Page) -> None:
    for path in re.findall(
        r"`((?:airflow_video_providers/example_dags|docs|tests|scripts|constraints|\.ci)/[^`<>{}*]*)`", page.by_hand
    ):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page: Page) -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", page.text):
        assert re.search(rf"^(async )?def {name}\(", sources, re.MULTILINE), name


def test_every_page_is_in_the_tree_of_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    listed = [
        line
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
        for line in tree.splitlines()
        if line and not line.startswith(":")
    ]
    pages = {page.name for page in PAGES if page.name.startswith("docs/")} - {"docs/index.md"}
    assert {
        path.relative_to(ROOT).as_posix() for line in listed for path in (ROOT / "docs").glob(f"{line}.md")
    } == pages
    assert all((ROOT / "docs" / f"{line}.md").exists() for line in listed if "[" not in line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_one_title(page: Page) -> None:
    text = re.sub(r"```.*?```", "", page.text, flags=re.DOTALL)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == (0 if page.name in TAKEN_IN else 1)


def test_the_readme_is_a_front_door() -> None:
    assert len(README.text.splitlines()) <= 250
    assert "make faults" not in README.text


def test_the_readme_leads_to_every_way_in() -> None:
    (ways,) = re.findall(r"^## Three ways in\n(.*?)^## ", README.text, re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^\*\*You ", ways, re.MULTILINE)) == 3
    linked = {target for target in README.links if target.startswith("docs/")}
    guides = {page.name for page in PAGES if page.name.startswith(("docs/how-to/", "docs/running/"))}
    assert guides <= linked


def test_the_provider_info_names_guides_that_are_there() -> None:
    named = [path for each in get_provider_info()["integrations"] for path in each["how-to-guide"]]
    assert all(path.startswith("/docs/") and (ROOT / path.removeprefix("/")).exists() for path in named)
    operators = {f"/{page.name}" for page in PAGES if page.name.startswith("docs/how-to/")}
    assert operators <= set(named)


def test_no_page_names_a_place_that_only_one_machine_has() -> None:
    for page in [*PAGES, Page(ROOT / ".github" / "workflows" / "ci.yml")]:
        assert not re.search(r"(?<![\w.])/(work|home|root|opt)/", page.text), page.name
        assert not re.search(r"pypi\.|/simple/", page.text), page.name


@pytest.mark.slow
def test_the_projects_addresses_are_written_or_refused_by_a_release(tmp_path: Path) -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert {"Documentation", "Source", "Issues", "Changelog"} <= set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    (refusal,) = re.findall(r"^dist:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for address, exit_code in (("https://name.example/source", 1), ("https://forge.test/name/source", 0)):
        (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nSource = "{address}"\n')
        assert subprocess.run(["bash", "-c", refusal], cwd=tmp_path, check=False).returncode == exit_code


def test_ci_of_the_forge_runs_what_ci_runs_here() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    commands = re.findall(r"- run: (.+)", workflow)
    assert commands == [".ci/run", "make audit", "make fuzz"]
    makefile = Path(ROOT / "Makefile").read_text()
    for goal in re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE):
        assert all(
            re.search(rf"^{name}:", makefile, re.MULTILINE)
            for name in [*(word for word in goal.split() if "=" not in word), "audit", "fuzz"]
        )
