"""The media host: ranges, validators, expiring addresses, and each fault of a download."""

from __future__ import annotations

import contextlib
import gzip
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from .conftest import Desk


def test_a_video_has_length_type_validators_and_ranges(desk: Desk) -> None:
    answer = desk.http.get(desk.finished("pixazo"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["last-modified"].endswith("GMT")


def test_head_is_get_without_a_body(desk: Desk) -> None:
    url = desk.finished("segmind")
    head, get = desk.http.head(url), desk.http.get(url)
    assert head.content == b""
    drop = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in drop} == {
        k: v for k, v in get.headers.items() if k not in drop
    }


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, None),
        ("bytes=-50", -50, None),
        ("bytes=0-", 0, None),
        ("bytes=10-999999", 10, None),
        ("bytes=-999999", 0, None),
    ],
)
def test_a_range_is_answered_with_206_and_its_place(desk: Desk, asked: str, first: int, last: int | None) -> None:
    url = desk.finished("pixazo")
    whole = desk.http.get(url).content
    answer = desk.http.get(url, headers={"Range": asked})
    wanted = whole[first:] if last is None else whole[first : last + 1]
    start = first % len(whole)
    assert answer.status_code == 206
    assert answer.content == wanted
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=9-3", "bytes=-0"])
def test_a_range_that_does_not_exist_is_416(desk: Desk, asked: str) -> None:
    url = desk.finished("pixazo")
    answer = desk.http.get(url, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(desk.http.get(url).content)}"


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "bytes=1-2,4-5", "lines=1-2"])
def test_a_range_that_is_not_understood_is_ignored(desk: Desk, asked: str) -> None:
    assert desk.http.get(desk.finished("pixazo"), headers={"Range": asked}).status_code == 200


def test_if_range_sends_the_rest_only_of_the_same_file(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_changed]] a fox")
    first = desk.http.get(url)
    second = desk.http.get(url, headers={"Range": "bytes=10-", "If-Range": first.headers["etag"]})
    assert second.status_code == 206
    by_date = {"Range": "bytes=10-", "If-Range": first.headers["last-modified"]}
    assert desk.http.get(url, headers=by_date).status_code == 206
    assert desk.http.get(url, headers={"Range": "bytes=10-", "If-Range": '"other"'}).status_code == 200


def test_a_file_that_changes_gets_another_etag_and_other_bytes_of_the_same_length(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_changed]] a fox")
    before = desk.http.head(url)
    after = desk.http.get(url)
    assert before.headers["etag"] != after.headers["etag"]
    assert int(before.headers["content-length"]) == len(after.content)
    assert desk.http.get(url).content == after.content


@pytest.mark.parametrize("code", [403, 404])
def test_an_expired_url_stays_expired_and_the_status_names_a_fresh_one(desk: Desk, code: int) -> None:
    request_id = desk.buy("pixazo", f"[[fault:media_{code}]] a fox")
    desk.finish()
    url = desk.url("pixazo", request_id)
    assert [desk.http.get(url).status_code, desk.http.head(url).status_code] == [code, code]
    fresh = desk.url("pixazo", request_id)
    assert fresh != url
    assert desk.http.get(fresh).status_code == 200


def test_asking_an_expired_url_again_wears_no_fault_out(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:media_404*2]] a fox")
    desk.finish()
    found = []
    for _ in range(3):
        url = desk.url("pixazo", request_id)
        found.append([desk.http.get(url).status_code for _ in range(2)])
    assert found == [[404, 404], [404, 404], [200, 200]]


@pytest.mark.parametrize(("fault", "code"), [("media_late:5", 404), ("media_late_403:5", 403), ("media_late", 404)])
def test_a_file_may_come_seconds_after_its_address(desk: Desk, fault: str, code: int) -> None:
    request_id = desk.buy("pixazo", f"[[fault:{fault}]] a fox")
    desk.finish()
    url = desk.url("pixazo", request_id)
    assert desk.http.get(url).status_code == code
    desk.simulator.advance(4)
    assert desk.http.get(url).status_code == code
    assert desk.url("pixazo", request_id) == url, "the vendor goes on naming this address"
    desk.simulator.advance(2)
    assert desk.http.get(url).status_code == 200


def test_urls_expire_by_time_when_they_are_told_to(desk: Desk) -> None:
    desk.simulator.configure(media_ttl=100)
    request_id = desk.buy("segmind")
    desk.finish()
    url = desk.url("segmind", request_id)
    assert desk.http.get(url).status_code == 200
    desk.simulator.advance(101)
    assert desk.http.get(url).status_code == 403
    assert desk.http.get(desk.url("segmind", request_id)).status_code == 200


def test_nothing_is_served_before_the_job_is_done_or_outside_of_it(desk: Desk) -> None:
    url = desk.finished("pixazo")
    for wrong in (
        url.replace("/0/0/", "/1/0/"),
        url.replace("/0/0/", "/0/1/"),
        url.replace("/pixazo/", "/segmind/"),
        desk.simulator.url + "/media/pixazo/nobody/0/0/output.mp4",
        desk.simulator.url + "/media/_upload/nothing.png",
    ):
        assert desk.http.get(wrong).status_code == 404
    running = f"{desk.simulator.url}/media/pixazo/{desk.buy('pixazo')}/0/0/output.mp4"
    assert desk.http.get(running).status_code == 404
    assert desk.http.post(url).status_code == 405


def test_wrong_type_half_a_file_an_html_page_and_nothing_last(desk: Desk) -> None:
    whole = len(desk.http.get(desk.finished("pixazo")).content)
    url = desk.finished("pixazo", "[[fault:media_wrong_type]] a fox")
    assert [desk.http.get(url).headers["content-type"] for _ in range(2)] == ["image/jpeg"] * 2
    url = desk.finished("pixazo", "[[fault:media_wrong_type:text/plain]] a fox")
    assert desk.http.get(url).headers["content-type"] == "text/plain"
    url = desk.finished("pixazo", "[[fault:media_half]] a fox")
    assert [len(desk.http.get(url).content) for _ in range(2)] == [whole // 2] * 2
    assert desk.http.get(url).headers["content-length"] == str(whole // 2)
    answer = desk.http.get(desk.finished("pixazo", "[[fault:media_html]] a fox"))
    assert (answer.headers["content-type"], answer.content[:9]) == ("video/mp4", b"<!DOCTYPE")
    assert desk.http.get(desk.finished("pixazo", "[[fault:media_empty]] a fox")).content == b""


def received(desk: Desk, url: str, **how: str) -> tuple[bytes, int]:
    """What came before the connection closed, and what was announced."""
    got = bytearray()
    with desk.http.stream("GET", url, headers=how) as answer, contextlib.suppress(httpx.RemoteProtocolError):
        for piece in answer.iter_raw():
            got += piece
        pytest.fail("the connection did not break")
    return bytes(got), int(answer.headers["content-length"])


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 0.9])
def test_a_download_drops_at_a_fraction_and_can_be_resumed(desk: Desk, fraction: float) -> None:
    url = desk.finished("pixazo", f"[[fault:media_drop:{fraction}]] a fox")
    got, announced = received(desk, url)
    assert len(got) == int(announced * fraction)
    rest = desk.http.get(url, headers={"Range": f"bytes={len(got)}-"}).content
    assert got + rest == desk.http.get(url).content


def test_a_wrong_content_length_announces_more_than_comes(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_wrong_length]] a fox")
    got, announced = received(desk, url)
    assert announced == 2 * len(got)
    assert got == desk.http.get(url).content


def test_no_length_and_no_ranges(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_no_length]] a fox")
    answer = desk.http.get(url, headers={"Range": "bytes=10-"})
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert answer.headers["transfer-encoding"] == "chunked"
    url = desk.finished("pixazo", "[[fault:media_no_range]] a fox")
    assert desk.http.get(url, headers={"Range": "bytes=10-"}).status_code == 200


def test_gzip_slow_and_proxy_errors(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_gzip]] a fox")
    with desk.http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw)[4:8] == b"ftyp"
    url = desk.finished("pixazo", "[[fault:media_slow:0.2]] a fox")
    assert desk.http.get(url).elapsed.total_seconds() >= 0.2
    url = desk.finished("pixazo", "[[fault:media_http_502*2]] a fox")
    assert [desk.http.get(url).status_code for _ in range(3)] == [502, 502, 200]
    with pytest.raises(httpx.ReadTimeout):
        desk.http.get(desk.finished("pixazo", "[[fault:media_hang]] a fox"), timeout=0.2)


def test_a_redirect_leads_to_another_host_or_where_it_was_told(desk: Desk) -> None:
    url = desk.finished("pixazo", "[[fault:media_redirect]] a fox")
    answer = desk.http.get(url)
    assert (answer.status_code, answer.headers["location"]) == (302, url.replace("127.0.0.1", "localhost"))
    assert desk.http.get(url).status_code == 200
    url = desk.finished("pixazo", "[[fault:media_redirect:http://169.254.169.254/latest]] a fox")
    assert desk.http.get(url).headers["location"] == "http://169.254.169.254/latest"


def test_media_faults_can_be_asked_for_by_header_and_admin_route(desk: Desk) -> None:
    url = desk.finished("appypie")
    assert desk.http.get(url, headers={"X-Sim-Fault": "media_http_500"}).status_code == 500
    desk.simulator.fault("media_half", count=1)
    halved, whole = desk.http.get(url), desk.http.get(url)
    assert len(halved.content) == len(whole.content) // 2


def test_a_stream_of_any_size_is_a_valid_file_in_pieces(desk: Desk) -> None:
    size = 3_000_001
    url = f"{desk.simulator.url}/media/_stream/{size}.mp4"
    with desk.http.stream("GET", url) as answer:
        pieces = list(answer.iter_raw())
    whole = b"".join(pieces)
    assert len(whole) == size == int(answer.headers["content-length"])
    assert len(pieces) > 5
    kinds, position = [], 0
    while position < size:
        length = int.from_bytes(whole[position : position + 4], "big")
        kinds.append(whole[position + 4 : position + 8])
        position += length if length != 1 else int.from_bytes(whole[position + 8 : position + 16], "big")
    assert (kinds, position) == ([b"ftyp", b"moov", b"mdat"], size)
    middle = desk.http.get(url, headers={"Range": "bytes=500-300000", "If-Range": answer.headers["etag"]})
    assert middle.content == whole[500:300001]


def test_a_stream_may_be_many_gigabytes_and_is_not_made_before_it_is_sent(desk: Desk) -> None:
    url = f"{desk.simulator.url}/media/_stream/{10**13}.mp4"
    assert desk.http.head(url).headers["content-length"] == str(10**13)
    tail = desk.http.get(url, headers={"Range": "bytes=-10"})
    assert (tail.status_code, tail.content) == (206, bytes(10))
    assert desk.http.get(url, headers={"Range": f"bytes={10**13}-"}).status_code == 416


def test_a_stream_can_drop_and_cannot_be_too_small(desk: Desk) -> None:
    desk.simulator.fault("media_drop:0.5")
    got, announced = received(desk, f"{desk.simulator.url}/media/_stream/4000000.mp4")
    assert 0.4 < len(got) / announced < 0.6
    answer = desk.http.get(f"{desk.simulator.url}/media/_stream/10.mp4")
    assert (answer.status_code, answer.json()["error"]) == (400, "Simulator")
