"""``make demo``, as a newcomer runs it: what it prints, what it leaves behind, and that it works again."""

from __future__ import annotations

import importlib
import os
import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import av
import pytest

from tests.support.home import PATIENCE

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"
ONE_OF_EACH = ["appypie:mochi-1", "pixazo:pixverse-v6-text-to-video", "segmind:mochi-1"]
ROW = re.compile(
    r"^(?P<model>\w+:\S+) +(?P<request_id>\S+) +(?P<waited>[\d.]+) s +(?P<bytes>\d+) +"
    r"(?P<seconds>[\d.]+) s +(?P<width>\d+)x(?P<height>\d+)\n  (?P<place>\S+\.mp4)$",
    re.MULTILINE,
)


def demo(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a run leaves behind that was cut off in the middle: half a database, and a clip of long ago."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "airflow").mkdir()
    (folder / "airflow" / "airflow.db").write_bytes(b"SQLite format 3\0 and no more")
    (folder / "videos" / "old").mkdir(parents=True)
    (folder / "videos" / "old" / "manifest.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def first(folder):
    with closing(socket.socket()) as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", 8099))  # the simulator's own port
        busy.listen()
        # a newcomer's own Airflow is not to be read, and nothing of it is to be used
        return demo(
            "--folder", str(folder), AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nowhere/airflow.db",
            AIRFLOW_CONN_PIXAZO_DEFAULT="pixazo://:a-real-key@gateway.invalid",
        )  # fmt: skip


@pytest.fixture(scope="module")
def rows(first):
    assert first.returncode == 0, first.stdout
    return [match.groupdict() for match in ROW.finditer(first.stdout)]


@pytest.fixture(scope="module")
def second(folder, rows):
    """Again in the same place, after ``rows`` were read."""
    clips = [describe(row["place"]) for row in rows]
    return clips, demo("--folder", str(folder), "--models", "pixazo:pixverse-c1-text-to-video")


def describe(path):
    """Every frame of a clip, decoded."""
    with av.open(path) as clip:
        stream = clip.streams.video[0]
        frames = sum(1 for _ in clip.decode(stream))
        return {"width": stream.width, "height": stream.height, "seconds": frames / float(stream.average_rate)}


def test_the_demo_lands_one_video_of_each_vendor_whatever_an_earlier_run_left(rows):
    assert [row["model"] for row in rows] == ONE_OF_EACH


def test_the_clips_are_real_and_are_what_the_table_says(rows, second):
    clips, _ = second
    for row, clip in zip(rows, clips, strict=True):
        assert (clip["width"], clip["height"]) == (int(row["width"]), int(row["height"]))
        assert clip["seconds"] == pytest.approx(float(row["seconds"]), abs=0.2)


def test_the_demo_tells_each_step_of_each_video_on_a_line_of_its_own(first):
    steps = re.findall(r"^ *\d+ s  (\w*) +(.*)$", first.stdout, re.MULTILINE)
    told = [step or what.split()[0] for step, what in steps]
    assert told[:3] == ["simulator", "airflow", "airflow"]
    assert {step: told.count(step) for step in ("submit", "bought", "wait", "finished", "land")} == dict.fromkeys(
        ("submit", "bought", "wait", "finished", "land"), 3
    )


def test_the_output_fits_into_a_terminal_but_for_addresses(first):
    assert max(len(line) for line in first.stdout.splitlines() if "/dt=" not in line) <= 140


def test_the_demo_says_that_nothing_was_paid(first):
    assert re.search(r"^3 bought on the simulator, \$0 spent, \d+ s in all\.", first.stdout, re.MULTILINE)


def test_the_demo_works_a_second_time_with_models_of_ones_choice(second):
    _, done = second
    assert done.returncode == 0, done.stdout
    assert [row["model"] for row in ROW.finditer(done.stdout)] == ["pixazo:pixverse-c1-text-to-video"]


def test_a_model_that_does_not_exist_is_told_before_anything_starts(folder):
    done = demo("--folder", str(folder / "unused"), "--models", "pixazo:pixverse-v7")
    assert done.returncode == 2
    assert "pixazo:pixverse-v6-text-to-video" in done.stdout
    assert not (folder / "unused").exists()


def masked(text):
    """What of the output is the same in every run: the demo's tasks take turns as they like, ids and numbers differ."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "ID", text)
    text = re.sub(r"\S*/videos/", "videos/", text)
    text = re.sub(r"\S+/run\.log", "run.log", text)
    text = re.sub(r"dt=[\d-]+|127\.0\.0\.1:\d+|\b\d+(\.\d+)? s\b|in \.?\S*$", "N", text, flags=re.MULTILINE)
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())


def test_the_readme_shows_what_one_really_sees(first):
    shown = (DEMO.parents[1] / "docs" / "demo.md").read_text().removeprefix("```text\n").removesuffix("```\n")
    assert masked(shown) == masked(first.stdout)


def test_all_is_the_nine_documented_models_and_one_of_each_vendor_that_lists_none():
    sys.path.insert(0, str(DEMO.parent))
    try:
        chosen = importlib.import_module("demo").chosen("all")
    finally:
        sys.path.remove(str(DEMO.parent))
    vendors = {model.partition(":")[0] for model in chosen}
    assert vendors >= {"pixazo", "appypie", "segmind", "fal", "replicate"}
    assert len([model for model in chosen if model.partition(":")[0] in ("fal", "replicate")]) == 2
