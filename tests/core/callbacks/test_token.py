"""A token names one attempt, for as long as it says, and nothing else passes for one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.callbacks.token import LONGEST, Claim, address, issue, read
from airflow_video_providers.core.purchase.records import Identity

SECRET, OTHER = "a-secret-of-thirty-two-characters", "another-secret-of-thirty-two-chars"
NOW = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)


def claim(**changes):
    fields = {
        "vendor": "pixazo", "conn_id": "pixazo_default", "identity": Identity("dag", "manual__2026-01-01T00:00:00+00:00", "submit", 3),
        "number": 2, "expires": NOW + timedelta(days=7),
    }  # fmt: skip
    return Claim(**fields | changes)


def test_what_is_issued_is_read():
    assert read(issue(claim(), SECRET), [SECRET], NOW) == claim()


def test_two_secrets_are_accepted_while_one_is_changed_and_none_afterwards():
    token = issue(claim(), OTHER)
    assert read(token, [SECRET, OTHER], NOW) == claim()
    assert read(token, [SECRET], NOW) is None
    assert read(token, [], NOW) is None


def test_it_has_an_end():
    token = issue(claim(), SECRET)
    assert read(token, [SECRET], NOW + timedelta(days=7, seconds=-1)) is not None
    assert read(token, [SECRET], NOW + timedelta(days=7)) is None


@pytest.mark.parametrize(
    "changes", [{"number": 1}, {"identity": Identity("dag", "other", "submit", 3)}, {"conn_id": "mine"}]
)
def test_a_payload_under_another_claims_signature_is_none(changes):
    payload, signature = issue(claim(**changes), SECRET).split(".")[0], issue(claim(), SECRET).split(".")[1]
    assert read(f"{payload}.{signature}", [SECRET], NOW) is None


@given(st.integers(min_value=0), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_changed_character_is_noticed_wherever_it_stands(where, character):
    token = issue(claim(), SECRET)
    where %= len(token)
    changed = token[:where] + character + token[where + 1 :]
    assert (read(changed, [SECRET], NOW) is None) == (changed != token)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "ä.ö", "=.=", "A" * 10_000, "null.null", "\x00.\x00", "e30.e30"]
)
def test_nonsense_is_no_token(text):
    assert read(text, [SECRET], NOW) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_whatever_breaks_the_reader(first, second):
    assert read(f"{first}.{second}", [SECRET], NOW) is None


def test_a_signed_payload_of_another_version_is_none(monkeypatch):
    monkeypatch.setattr("airflow_video_providers.core.callbacks.token._VERSION", 2)
    token = issue(claim(), SECRET)
    monkeypatch.undo()
    assert read(token, [SECRET], NOW) is None


def test_it_holds_no_secret_and_fits_an_address():
    token = issue(claim(identity=Identity("d" * 250, "r" * 250, "t" * 250, 10_000)), SECRET)
    assert len(token) < LONGEST
    payload = base64.urlsafe_b64decode(token.split(".")[0] + "==").decode()
    assert SECRET not in payload
    assert address("https://a.example/x", "t") == "https://a.example/x?token=t"
    assert address("https://a.example/x?y=1", "t") == "https://a.example/x?y=1&token=t"
