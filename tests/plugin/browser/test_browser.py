"""The pages in Airflow's own UI, in a real Chromium, by two people of different rights, on the simulator's clips."""

from __future__ import annotations

import json
import re
import shlex
from importlib.util import find_spec
from urllib.parse import quote

import pytest

from airflow_video_providers.integration.retries import HAS_POLICIES
from tests.plugin.browser.scene import VIEWER

pytestmark = pytest.mark.slow

INSIDE = "iframe"
#: A poster needs the extra ``media``.
HAS_DECODER = find_spec("av") is not None


def tab_of(console, dag_id, task_id=None, map_index=-1):
    """Where Airflow shows our tab."""
    run = f"dags/{dag_id}/runs/{quote(console.runs[dag_id], safe='')}"
    if task_id is None:
        return f"{run}/plugin/run_videos"
    return f"{run}/tasks/{task_id}{f'/mapped/{map_index}' if map_index >= 0 else ''}/plugin/video"


def inside(page):
    """Our page in Airflow's frame, once it is there."""
    frame = page.frame_locator(INSIDE)
    frame.locator("h1").wait_for()
    return frame


def test_a_clip_plays_on_its_task_and_can_be_sought_in(console, visit):
    page = visit(tab_of(console, "studio", "land"))
    ranges = []
    page.on("response", lambda answer: "/video/clip" in answer.url and ranges.append(answer.status))
    video = inside(page).locator("video")
    played = video.evaluate(
        """async video => {
            video.muted = true;
            await video.play();
            await new Promise(done => video.addEventListener('timeupdate', () => video.currentTime > 0.2 && done()));
            video.pause();
            video.pause();
    const sought = new Promise(done => video.addEventListener('seeked', done, { once: true }));
            video.currentTime = 3.5;
            await sought;
            return [video.currentTime, video.duration, video.videoWidth, video.error];
        }"""
    )
    assert played == [3.5, pytest.approx(5, abs=0.3), 848, None]
    assert set(ranges) <= {206}


def test_a_mapped_task_a_submit_and_a_wait_show_the_clip_that_came_of_them(console, visit):
    for task_id, map_index in (("each", 1), ("submit", -1), ("wait", -1)):
        video = inside(visit(tab_of(console, "studio", task_id, map_index))).locator("video")
        assert video.count() == 1, task_id
        assert video.evaluate("async video => { video.muted = true; await video.play(); return video.error }") is None


PLAY = "async video => { video.muted = true; await video.play(); return [video.error, video.videoWidth] }"
SEEK = """async video => {
    video.pause();
    const sought = new Promise(done => video.addEventListener('seeked', done, { once: true }));
    video.currentTime = 3;
    await sought;
    return video.currentTime;
}"""


def test_a_job_of_several_outputs_has_a_player_for_each_with_its_own_clip_and_poster(console, visit):
    frame = inside(visit(tab_of(console, "stored", "both")))
    videos = frame.locator("video")
    assert videos.count() == 2
    assert frame.locator("h3").all_inner_texts() == ["Output 1 of both", "Output 2 of both"]
    sources = {videos.nth(number).get_attribute("src") for number in range(2)}
    assert len(sources) == 2
    for number in range(2):
        assert videos.nth(number).evaluate(PLAY) == [None, 848]
        if HAS_DECODER:
            width = """async video => {
                const picture = new Image();
                picture.src = video.poster;
                await picture.decode();
                return picture.naturalWidth;
            }"""
            assert videos.nth(number).evaluate(width) > 0


def test_a_clip_in_a_bucket_is_played_and_sought_in_from_the_bucket_itself(console, visit):
    if console.bucket is None:
        pytest.skip("this environment has no emulator of a bucket")
    page = visit("about:blank")
    answers = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    with page.expect_response(lambda answer: "/video/task" in answer.url) as task:
        page.goto(f"{console.url}/{tab_of(console, 'stored', 'both')}")
    video = inside(page).locator("video").first
    assert video.evaluate(PLAY) == [None, 848]
    assert video.evaluate(SEEK) == pytest.approx(3, abs=0.1)
    served = [(url, status) for url, status in answers if url.startswith(console.bucket.endpoint)]
    assert served
    assert {status for _, status in served} == {206}
    assert {status for url, status in answers if "/video/clip" in url and "poster" not in url} == {302}
    assert not [url for url, _ in answers if "through=server" in url], "the browser could follow"
    policy = task.value.headers["content-security-policy"]
    assert f"media-src 'self' {console.bucket.endpoint};" in policy
    assert "ignature" not in task.value.text()


def test_where_the_browser_cannot_reach_the_bucket_the_server_passes_the_clip_on(console, visit):
    if console.bucket is None:
        pytest.skip("this environment has no emulator of a bucket")
    page = visit("about:blank")
    straight = re.compile(r"/video/clip\?(?!.*(through|poster)=)")  # what leads to the bucket
    page.route(straight, lambda route: route.abort())
    answers = []
    page.on("response", lambda answer: "through=server" in answer.url and answers.append(answer.status))
    page.goto(f"{console.url}/{tab_of(console, 'stored', 'both')}")
    video = inside(page).locator("video").first
    video.evaluate("video => video.load()")
    page.wait_for_function(
        "() => document.querySelector('iframe').contentDocument.querySelector('video').src.includes('through=server')"
    )
    assert video.evaluate(PLAY) == [None, 848]
    assert set(answers) <= {200, 206}
    assert answers


def test_the_run_shows_what_landed_and_what_is_missing_and_why(console, visit):
    frame = inside(visit(tab_of(console, "studio")))
    assert frame.locator("video").count() == 3
    missing = frame.locator("tbody tr").all_inner_texts()
    assert len(missing) == 4
    assert sum("Nobody knows" in row for row in missing) == 3
    assert any("refused" in row and "<b id=owned>busy</b>" in row for row in missing)


def test_html_in_a_prompt_and_in_a_vendor_s_message_is_shown_as_text_and_does_nothing(console, visit):
    for path in (
        tab_of(console, "studio", "land"),
        tab_of(console, "studio", "refused"),
        tab_of(console, "studio"),
        "plugin/videos",
    ):
        page = visit(path)
        frame = inside(page)
        assert frame.locator("#owned, img[src=x], script:not([src])").count() == 0, path
        assert "owned" not in page.title()
        assert "owned" not in frame.locator(":root").evaluate("root => root.ownerDocument.title")
    shown = inside(visit(tab_of(console, "studio", "land"))).locator("dl").all_inner_texts()
    assert any("<script>document.title = 'owned'</script>" in text for text in shown)


def test_while_a_job_is_made_its_tab_says_so_and_before_that_what_will_appear(console, visit):
    waiting = inside(visit(tab_of(console, "making", "wait"))).locator("main")
    assert "in the making" in waiting.inner_text()
    assert "landed after" in waiting.inner_text()
    assert "Nothing has landed yet." in inside(visit(tab_of(console, "making", "land"))).locator("main").inner_text()
    assert "makes no video" in inside(visit(tab_of(console, "studio", "quiet"))).locator("main").inner_text()


def test_a_clip_on_a_worker_s_own_disk_is_said_to_lie_there(console, visit):
    frame = inside(visit(tab_of(console, "other", "elsewhere")))
    assert frame.locator("video").count() == 0
    assert "worker's own disk" in frame.locator("[role=note]").inner_text()


def test_the_page_filters_by_dag_state_and_request_id_by_keyboard_alone(console, visit):
    page = visit("plugin/videos")
    frame = inside(page)
    found = console.job_of("Another house's film")
    frame.locator("#request_id").focus()
    page.keyboard.type(found)
    page.keyboard.press("Enter")
    frame.get_by_role("heading", name="1 found").wait_for()
    assert "other.each" in frame.get_by_role("table", name="Purchases that match").inner_text()
    frame.locator("#request_id").fill("")
    frame.locator("#dag").fill("stu")
    frame.locator("#state").select_option("landed")
    frame.get_by_role("button", name="Filter").click()
    frame.get_by_role("heading", name="3 found").wait_for()
    assert "other." not in frame.locator("main").inner_text()


def test_a_row_leads_to_its_task_in_airflow_itself(console, visit):
    page = visit("plugin/videos")
    inside(page).get_by_role("link", name="other.each").first.click()
    page.wait_for_url("**/dags/other/runs/*/tasks/each/plugin/video")
    assert inside(page).locator("video").count() == 1


def test_who_may_only_read_sees_what_there_is_and_no_button_to_change_it(console, visit):
    for path in ("plugin/videos", tab_of(console, "studio", "lost_c")):
        frame = inside(visit(path, user=VIEWER))
        assert "Nobody knows whether this was bought" in frame.locator("main").inner_text()
        assert frame.get_by_role("button").all_inner_texts() in ([], ["Filter"])
        assert frame.locator("input[type=checkbox], input[name^=request_id\\ ]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_shuts_anybody_out_in_either_theme_at_any_width(console, visit, chromium, theme, width):
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in console.query("studio", "land").items())
    lost = query.replace("task_id=land", "task_id=lost_c")
    both = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in console.query("stored", "both").items())
    for path in (
        "video/videos",
        "video/videos?dag=studio",
        f"video/run?{query}",
        f"video/task?{query}",
        f"video/task?{lost}",
        f"video/task?{both}",
    ):
        page = visit(path, theme=theme, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.evaluate(chromium[1])
        serious = page.evaluate(
            "async () => (await axe.run()).violations.filter(found => ['serious', 'critical'].includes(found.impact))"
            ".map(found => found.id + ': ' + found.nodes.map(node => node.html).join(' '))"
        )
        assert serious == [], path


def test_the_theme_is_that_of_the_page_around(console, visit):
    colours = []
    for theme in ("light", "dark"):
        page = visit("plugin/videos", theme=theme)
        frame = inside(page)
        own = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        around = page.evaluate(
            """() => {
                const probe = document.body.appendChild(document.createElement('div'));
                probe.style.background = 'var(--chakra-colors-bg)';
                return getComputedStyle(probe).backgroundColor;
            }"""
        )
        font = "body => getComputedStyle(body).fontFamily"
        assert own == around
        assert frame.locator("body").evaluate(font) == page.locator("body").evaluate(font)
        colours.append(own)
    assert colours[0] != colours[1]


@pytest.mark.skipif(not HAS_POLICIES, reason="with a ledger directory the task itself finds its job")
def test_find_is_asked_by_keyboard_for_two_at_once_and_what_came_of_it_is_said_of_each(console, visit):
    page = visit("plugin/videos")
    frame = inside(page)
    assert "Find asks fal's history for its job." in frame.locator("li", has_text="stored.lost_fal").inner_text()
    for name in ("stored.lost_fal", "studio.lost_a"):
        frame.get_by_label(f"Choose {name}").focus()
        page.keyboard.press("Space")
    frame.get_by_role("button", name="Find the chosen").focus()
    page.keyboard.press("Enter")
    said = frame.locator("[role=status]")
    said.nth(1).wait_for()
    texts = said.all_inner_texts()
    assert [name in text for name, text in zip(("lost_fal", "lost_a"), sorted(texts), strict=True)] == [True, True]
    assert all("Nothing was changed." in text for text in texts)
    assert ["ledger_path" in text or "shows no history" in text for text in texts] == [True, True]


def test_one_is_attached_and_two_are_forgotten_at_once_and_nothing_is_bought(console, visit):
    before = console.simulator.ledger()
    page = visit("plugin/videos")
    frame = inside(page)
    row = frame.locator("li", has_text="studio.lost_a")
    row.get_by_label("request_id of its job").fill(console.job_of("lost_a"))
    frame.get_by_role("button", name="Attach").click()
    said = frame.locator("[role=status]").filter(has_text="has job")
    said.wait_for()
    assert console.job_of("lost_a") in said.inner_text()
    for name in ("lost_b", "lost_c"):
        frame.get_by_label(f"Choose studio.{name}").check()
    frame.get_by_role("button", name="Forget").click()
    frame.locator("[role=status]").nth(1).wait_for()
    assert frame.locator("[role=status]").filter(has_text="1 forgotten").count() == 2
    assert frame.locator("li", has_text="Nobody knows").filter(has_text="studio.").count() == 0
    after = console.simulator.ledger()
    assert (after["accepted"], after["charges"]) == (before["accepted"], before["charges"])
    seen = frame.locator("li", has_text="studio.lost_a").inner_text()
    assert "bought" in seen
    assert console.job_of("lost_a") in seen
    (command,) = frame.locator("li", has_text="studio.lost_a").locator("pre").all_text_contents()
    words = shlex.split(command)
    answer = console.cluster.client.post(words[3], json={**json.loads(words[-1]), "dry_run": True})
    assert answer.status_code == 200, answer.text
    assert [one["task_id"] for one in answer.json()["task_instances"]] == ["lost_a"]
    audit = console.cluster.client.get("/eventLogs", params={"dag_id": "studio", "limit": 200}).json()["event_logs"]
    who = {(one["event"], one["task_id"], one["owner"]) for one in audit if one["event"].startswith("video_")}
    assert who == {
        ("video_attach", "lost_a", "edith"),
        ("video_forget", "lost_b", "edith"),
        ("video_forget", "lost_c", "edith"),
    }
