"""The proxies of the page on callbacks expose one path, for POST, with a bounded body, and log no token."""

from __future__ import annotations

import re

import yaml

from airflow_video_providers.core.polling.mailbox import EVERY
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.plugin.entry import RECEIVER
from airflow_video_providers.plugin.receiver import MOST_BYTES
from tests.support.pages import PAGES

(PAGE,) = [page for page in PAGES if page.name == "docs/how-to/callbacks.md"]


def nginx() -> str:
    return shown("callbacks-nginx.conf")


def shown(name: str) -> str:
    """A file that the page includes."""
    assert f"{{include}} {name}" in PAGE.text
    return (PAGE.path.parent / name).read_text()


def directives(text: str) -> list[list[str]]:
    """The directives of an nginx configuration with the blocks around them; a wrong nesting or ending raises."""
    found, around = [], []
    for token in re.findall(r"[^;{}]*[;{}]", re.sub(r"#[^\n]*", "", text)):
        words, end = token[:-1].split(), token[-1]
        if end == "}":
            assert not words, f"no ; behind {words}"
            around.pop()
        elif end == "{":
            assert words
            around.append(" ".join(words))
        else:
            assert words
            found.append([*around, " ".join(words)])
    assert not around, "a block is not closed"
    assert not re.sub(r"[^;{}]*[;{}]", "", text).strip()
    return found


def test_nginx_exposes_the_path_alone_for_post_with_a_bounded_body():
    found = directives(nginx())
    place = ["server", f"location = {RECEIVER}"]
    assert [*place, "limit_except POST", "deny all"] in found
    assert [*place, f"client_max_body_size {MOST_BYTES // 1024}k"] in found
    assert ["server", "location /", "return 404"] in found
    assert {path[1] for path in found if path[0] == "server" and len(path) > 2} == {place[1], "location /"}
    assert [path[-1] for path in found if "listen" in path[-1]] == ["listen 443 ssl"]


def test_nginx_logs_no_token():
    (form,) = re.findall(r"log_format callbacks '([^']*)'", nginx())
    assert not {"$request", "$request_uri", "$args", "$query_string", "$http_referer"} & set(re.findall(r"\$\w+", form))
    assert any(path[-1].endswith(" callbacks") and path[-1].startswith("access_log") for path in directives(nginx()))


def test_the_ingress_exposes_the_path_alone_and_logs_nothing():
    ingress = yaml.safe_load(shown("callbacks-ingress.yaml"))
    assert (ingress["apiVersion"], ingress["kind"]) == ("networking.k8s.io/v1", "Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == (RECEIVER, "Exact")
    assert path["backend"]["service"].keys() == {"name", "port"}
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    notes = ingress["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/enable-access-log"] == "false"
    assert notes["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{MOST_BYTES // 1024}k"


def test_the_table_of_vendors_is_what_their_classes_say():
    rows = dict(re.findall(r"^\| (\S[^|]*?) \| (yes|no)[^|]* \|", PAGE.text, re.MULTILINE))
    said = {kind.title: "yes" if kind.webhook_modes else "no" for kind in catalogue.vendors().values()}
    assert {name: word for name, word in rows.items() if name in said} == said


def test_the_cost_of_listings_is_computed():
    a_day = 24 * 3600 / EVERY
    assert f"{a_day:,.0f} listings a day" in PAGE.text
    assert f"{a_day / 1000 * 0.005 * 100:.0f} US cents" in PAGE.text
