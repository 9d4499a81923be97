"""With what a vendor signs its calls: what the configuration says, or what it publishes, kept for a day."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, VendorUnavailableError
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.integration.callback_keys import KEPT, RENEWED_AFTER, SigningKeys, configured, verifiable
from airflow_video_providers.integration.callbacks import receiver_for

JWKS = "https://rest.fal.ai/.well-known/jwks.json"


def option(monkeypatch, name, value):
    monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__{name}", value)


class Published:
    def __init__(self):
        self.asked, self.now, self.away = [], 1000.0, False
        self.keys = SigningKeys(self.fetch, clock=lambda: self.now)

    def fetch(self, url):
        self.asked.append(url)
        if self.away:
            raise VendorUnavailableError("away")
        return [f"key-{len(self.asked)}"]


def test_published_keys_are_kept_for_a_day():
    published = Published()
    assert [published.keys(Fal) for _ in range(3)] == [["key-1"]] * 3
    assert published.asked == [JWKS]
    published.now += KEPT + 1
    assert published.keys(Fal) == ["key-2"]


def test_where_none_fits_they_are_asked_for_again_and_not_at_every_call():
    published = Published()
    published.keys(Fal)
    published.now += RENEWED_AFTER - 1
    assert published.keys(Fal, renew=True) == ["key-1"]
    published.now += 2
    assert [published.keys(Fal, renew=True) for _ in range(2)] == [["key-2"]] * 2


def test_keys_that_cannot_be_had_are_an_error_and_are_asked_for_again():
    published = Published()
    published.away = True
    with pytest.raises(VendorUnavailableError):
        published.keys(Fal)
    published.away = False
    assert published.keys(Fal) == ["key-2"]


def test_what_the_configuration_says_wins(monkeypatch):
    option(monkeypatch, "CALLBACK_SIGNING_SECRET_FAL", "abc, def")
    option(monkeypatch, "CALLBACK_SIGNING_SECRET_REPLICATE", "whsec_a,\nwhsec_b")
    published = Published()
    assert published.keys(Fal) == ["abc", "def"]
    assert published.keys(Replicate) == ["whsec_a", "whsec_b"]
    assert published.asked == []


def test_it_may_name_another_address_with_tls(monkeypatch):
    option(monkeypatch, "CALLBACK_SIGNING_SECRET_FAL", "https://keys.example/jwks.json")
    published = Published()
    assert published.keys(Fal) == ["key-1"]
    assert published.asked == ["https://keys.example/jwks.json"]
    option(monkeypatch, "CALLBACK_SIGNING_SECRET_FAL", "http://keys.example/jwks.json")
    with pytest.raises(InvalidRequestError, match="not https"):
        published.keys(Fal)


def test_nobody_is_asked_for_calls_that_nobody_here_could_verify(monkeypatch, tmp_path):
    option(monkeypatch, "LEDGER_PATH", str(tmp_path))
    option(monkeypatch, "CALLBACK_URL", "https://airflow.example.com/video-callbacks")
    option(monkeypatch, "CALLBACK_SECRET", "the-secret-of-this-test")
    settings = Settings("mine", api_key="k-0123456789abcdef")
    asked = {vendor: receiver_for(vendor, settings, 0.0) is not None for vendor in (Pixazo, Fal, Replicate)}
    assert asked == {Pixazo: True, Fal: True, Replicate: False}
    assert (configured(Replicate), verifiable(Replicate)) == ([], False)
    option(monkeypatch, "CALLBACK_SIGNING_SECRET_REPLICATE", "whsec_a")
    assert receiver_for(Replicate, settings, 0.0) is not None
