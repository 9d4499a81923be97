"""How faults spoil an answer after the call was carried out."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any

from .wire import Answer, Call, html

if TYPE_CHECKING:
    from .faults import Fault

_IDS = ("request_id", "requestId")
_URLS = ("polling_url", "status_url", "response_url", "poll_url")


def page(code: int) -> Answer:
    """An error page with a status."""
    return html(code, http.HTTPStatus(code).phrase if code in http.HTTPStatus._value2member_map_ else "Unknown")


def spoil(fault: Fault, answer: Answer, call: Call) -> Answer:
    """The answer as the fault leaves it."""
    body, headers = answer.encoded()
    match fault.kind:
        case "drop_after_accept":
            return Answer(delivery="close")
        case "hang_after_accept":
            return Answer(delivery="hang")
        case "http_after_accept":
            return page(fault.code)
        case "drop_mid_body":
            return answer.replace(delivery="half")
        case "slow_body":
            return answer.replace(delivery="slow", amount=fault.seconds(1))
        case "truncated_json":
            return answer.replace(content=body[: len(body) // 2], headers=headers)
        case "html_200":
            return html(200, "Welcome")
        case "empty_body":
            return answer.replace(status=200, content=b"")
        case "gzip":
            return answer.gzipped()
    if isinstance(answer.content, dict):
        return answer.replace(content=_reworded(fault, answer.content, call))
    return answer


def _reworded(fault: Fault, content: dict[str, Any], call: Call) -> dict[str, Any]:
    word = content.get("status")
    match fault.kind:
        case "no_id":
            return {name: value for name, value in content.items() if name not in (*_IDS, *_URLS)}
        case "rename":
            old, _, new = fault.arg.partition("=")
            return {new if name == old else name: value for name, value in content.items()}
        case "foreign_url":
            moved = {name: call.foreign + content[name].removeprefix(call.base) for name in _URLS if name in content}
            return content | moved
        case "other_id":
            named = [name for name in _IDS if name in content] or ["requestId"]  # Appy Pie's documents show none here
            return content | dict.fromkeys(named, "00000000-0000-7000-8000-00000000beef")
        case "status":
            return content | {"status": fault.arg}
        case "unknown_status":
            return content | {"status": "PONDERING"}
        case "odd_case" if isinstance(word, str):
            return content | {"status": word.swapcase()}
        case "status_backwards" if isinstance(word, str):
            return without_output(content) | {"status": "queued" if word.islower() else "QUEUED"}
        case "completed_without_url":
            return without_output(content)
        case _:
            return content


def without_output(content: dict[str, Any]) -> dict[str, Any]:
    """The same status without any address of a video."""
    emptied: dict[str, Any] = {"output": None, "video_url": ""}
    kept = {name: value for name, value in content.items() if name != "video"}
    return kept | {name: value for name, value in emptied.items() if name in kept}
