"""What somebody tries who knows the addresses, against a real api-server."""

from __future__ import annotations

import re

import pytest

from airflow_video_providers.testing.simulator.handle import KEYS
from tests.plugin.browser.scene import EDITOR, VIEWER

pytestmark = pytest.mark.slow

PAGES = ("videos", "run", "task", "clip", "static/console.css")


def test_nobody_gets_nothing_and_a_bad_token_is_refused(console):
    with console.client(None) as nobody:
        for path in PAGES:
            assert nobody.get(path, params=console.query("studio", "land", output=0)).status_code == 401, path
        assert nobody.post("videos").status_code == 401
        for path in PAGES:
            assert nobody.get(path, headers={"Authorization": "Bearer made-up"}).status_code == 403, path


def test_a_clip_comes_in_ranges_and_whole_and_is_kept_by_no_cache(console):
    query = console.query("studio", "land", output=0)
    with console.client(VIEWER) as viewer:
        whole = viewer.get("clip", params=query)
        part = viewer.get("clip", params=query, headers={"Range": "bytes=4-7"})
        beyond = viewer.get("clip", params=query, headers={"Range": "bytes=999999999-"})
    assert (whole.status_code, part.status_code, beyond.status_code) == (200, 206, 416)
    assert (part.content, part.headers["content-range"]) == (b"ftyp", f"bytes 4-7/{len(whole.content)}")
    (file,) = [path for path in console.videos.rglob("0.mp4") if path.read_bytes() == whole.content]
    assert file.parent.name == console.job_of("A kettle begins")
    assert whole.headers["cache-control"] == "private, no-store"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-type"] == "video/mp4"


def test_another_dag_s_clip_is_not_found_by_changed_ids(console):
    own = console.query("studio", "land", output=0)
    with console.client(EDITOR) as editor:
        for changes in (
            {"dag_id": "other"}, {"run_id": console.runs["other"]}, {"task_id": "each"}, {"task_id": "../land"}, {"map_index": 7},
            {"output": 1}, {"output": "-1"}, {"output": "0/../0"}, {"task_id": "..%2f..%2fland"}, {"dag_id": "~"}, {"dag_id": ""},
        ):  # fmt: skip
            assert editor.get("clip", params={**own, **changes}).status_code in (403, 404), changes
        for path in (
            "clip/..%2f..%2fetc%2fpasswd",
            "static/..%2fapp.py",
            "static/%2e%2e%2f%2e%2e%2fentry.py",
            "static/app.py",
        ):
            assert editor.get(path).status_code == 404, path


@pytest.mark.parametrize("task_id", ["passwd", "climbs", "elsewhere"])
def test_a_manifest_that_names_a_foreign_path_serves_nothing(console, task_id):
    with console.client(EDITOR) as editor:
        for more in ({}, {"through": "server"}, {"download": "1"}):
            answer = editor.get("clip", params=console.query("other", task_id, output=0, **more))
            assert answer.status_code == 404
            assert "root:" not in answer.text
        page = editor.get("task", params=console.query("other", task_id))
        assert page.status_code == 200
        assert "<video" not in page.text


def token_in(page: str) -> str:
    (found,) = set(re.findall(r'name="token" value="([^"]+)"', page))
    return found


def test_a_form_from_another_site_changes_nothing(console):
    with console.client(EDITOR) as editor, console.client(VIEWER) as viewer:
        own = token_in(editor.get("videos").text)
        seen = viewer.get("videos").text
        who = f'["studio", "{console.runs["studio"]}", "refused", -1]'
        form = {"action": "forget", "who": who, "token": own}

        def status(client, data, **headers):
            return client.post("videos", data=data, headers=headers).status_code

        assert status(editor, {**form, "token": ""}) == 403
        assert status(editor, {**form, "token": own[:-1]}) == 403
        assert status(editor, form, **{"Sec-Fetch-Site": "cross-site"}) == 403
        assert status(editor, form, **{"Sec-Fetch-Site": "same-site"}) == 403
        assert status(editor, form, Origin="https://elsewhere.example") == 403
        assert status(viewer, form) == 403
        assert editor.get("videos", params=form).status_code == 200  # a GET changes nothing
        assert status(editor, {**form, "action": "delete"}) == 400
        assert status(editor, {**form, "who": "no task instance"}) == 400
        assert status(editor, form, **{"Sec-Fetch-Site": "same-origin"}) == 200
        assert "You may not edit" not in seen


def test_who_may_not_edit_cannot_by_a_form_of_their_own_making_either(console):
    who = f'["studio", "{console.runs["studio"]}", "lost_c", -1]'
    with console.client(VIEWER) as viewer, console.client(EDITOR) as editor:
        page = viewer.get("task", params=console.query("studio", "lost_c")).text
        token = token_in(page)
        for action in ("forget", "attach", "find"):
            answer = viewer.post(
                "videos", data={"action": action, "who": who, f"request_id {who}": "job-1", "token": token}
            )
            assert "You may not edit the DAG studio: nothing was changed." in answer.text
        assert "unknown" in editor.get("task", params=console.query("studio", "lost_c")).text


def test_what_no_page_of_ours_sends_is_refused_and_breaks_nothing(console):
    with console.client(EDITOR) as editor:
        token = token_in(editor.get("videos").text)
        for who in (
            "[" * 100_000, '["a", "b", "c", Infinity]', '["a", "b", "c", NaN]', '["a", "b", "c", 1e400]', '["a", "b", "c"]', "{}", "null",
            '["a", "b", "c", true]', '["a", "b", "c", -2]', '["a\\u0000", "b", "c", -1]', '[["a"], "b", "c", -1]', '"abcd"', "4",
        ):  # fmt: skip
            for action in ("forget", "find"):
                answer = editor.post("videos", data={"action": action, "who": who, "token": token})
                assert answer.status_code == 400, (who[:40], answer.status_code)
        assert editor.post("videos", data={"token": token, "x": "y" * 2_000_000}).status_code == 413
        assert editor.post("videos", content=iter([b"token=", token.encode()])).status_code == 413
        for offset in (-1, 10**30):
            assert editor.get("videos", params={"dag": "studio", "offset": offset}).status_code == 200
        own = console.query("studio", "land", output=0)
        for changes in ({"task_id": "a\0b"}, {"dag_id": "studio\0"}, {"map_index": "\0"}):
            assert editor.get("clip", params={**own, **changes}).status_code == 400
        assert editor.get("videos?dag=%00&request_id=%ed%a0%80&state=%3Cb%3E").status_code == 200


def test_no_key_no_signed_address_and_no_prompt_that_was_not_kept_stands_on_any_page(console):
    hidden = [*KEYS.values(), "A lamp is switched on", "A fox", "Another house", f"{console.simulator.url}/"]
    with console.client(EDITOR) as editor:
        texts = [editor.get("videos").text]
        for dag_id, run_id in console.runs.items():
            texts.append(editor.get("run", params={"dag_id": dag_id, "run_id": run_id}).text)
            for name in console.cluster.tasks(dag_id, run_id):
                task_id, _, index = name.partition("[")
                texts.append(
                    editor.get("task", params=console.query(dag_id, task_id, int(index.rstrip("]") or -1))).text
                )
    assert len(texts) > 15
    for text in texts:
        assert "<h1>" in text
        assert [word for word in hidden if word in text] == []
        assert not re.search(r"[?&](?:X-Amz-Signature|Signature|sig|token)=", text)


def test_every_answer_carries_the_policy_that_lets_nothing_in_from_elsewhere(console):
    with console.client(EDITOR) as editor:
        for path in (*PAGES, "nothing"):
            answer = editor.get(path, params=console.query("studio", "land", output=0))
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'self'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script(?! src=)|<[^<>]*\s(?:on\w+|style)=", answer.text if path != "clip" else "")
