from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.core.vendors.models import VideoModel
from airflow_video_providers.core.vendors.pixazo import Pixazo, PixazoModel
from tests.support.vendors import SMALLEST


def test_there_are_nine_models_of_three_vendors():
    assert set(catalogue.vendors()) >= {"pixazo", "appypie", "segmind"}
    assert set(SMALLEST) <= set(catalogue.models())
    assert len(SMALLEST) == 9


@pytest.mark.parametrize("model", SMALLEST)
def test_a_model_is_found_by_its_id_and_belongs_to_its_vendor(model):
    assert catalogue.find(model).id == model
    assert catalogue.vendor_of(model).id == model.partition(":")[0]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("pixazo:mochi", "pixazo:mochi-v1"),
        ("pixverse-v6-text-to-video", "pixazo:pixverse-v6-text-to-video"),
        ("segmind:mochi-v1", "segmind:mochi-1"),
        ("Segmind:Mochi-1", "segmind:mochi-1"),
    ],
)
def test_an_unknown_model_is_refused_with_the_nearest_one(wrong, nearest):
    with pytest.raises(InvalidRequestError, match="There is no model") as caught:
        catalogue.find(wrong)
    assert f"The nearest are {nearest!r}, " in str(caught.value)
    assert (caught.value.field, caught.value.value, caught.value.charged) == ("model", wrong, "no")


@pytest.mark.parametrize(
    "wrong", ["", ":", "nobody:nothing", None, 7, ["pixazo:mochi-v1"], b"pixazo:mochi-v1", "x" * 10_000]
)
def test_whatever_is_no_model_id_is_refused_with_three_of_them(wrong):
    with pytest.raises(InvalidRequestError) as caught:
        catalogue.find(wrong)
    assert len([model for model in catalogue.models() if repr(model) in caught.value.remedy]) == 3


def forget():
    catalogue._vendor.cache_clear()
    catalogue.vendors.cache_clear()


@pytest.fixture
def _private_registry(monkeypatch):
    monkeypatch.setattr(VideoModel, "registry", dict(VideoModel.registry))
    forget()
    yield
    forget()


@pytest.mark.usefixtures("_private_registry")
def test_a_new_model_of_a_known_vendor_is_one_subclass():
    class Ltx(PixazoModel):
        """LTX."""

        id = "pixazo:ltx-2.3"
        path = "/ltx-video/v1/text-to-video"

    assert catalogue.find("pixazo:ltx-2.3") is Ltx
    assert catalogue.vendor_of("pixazo:ltx-2.3") is Pixazo


class Private(Vendor):
    """Somebody's own."""

    id = "private"
    title = "Private"


@pytest.mark.usefixtures("_private_registry")
def test_another_distribution_adds_a_vendor_by_an_entry_point(monkeypatch):
    class PrivateModel(VideoModel):
        """A model."""

        id = "private:model"
        path = "/generate"

    class Point(EntryPoint):
        def load(self):
            return Private

    def entry_points(*, group, **asked):
        return EntryPoints([Point("private", "somewhere:Private", group)]).select(group=group, **asked)

    monkeypatch.setattr(catalogue, "entry_points", entry_points)
    assert catalogue.vendor_of("private:model") is Private
    assert set(catalogue.vendors()) == {"pixazo", "appypie", "segmind", "fal", "replicate", "private"}


@pytest.mark.usefixtures("_private_registry")
def test_a_model_that_nobody_serves_says_how_to_register_its_vendor():
    class Orphan(VideoModel):
        """A model without a vendor."""

        id = "orphan:model"
        path = "/generate"

    with pytest.raises(InvalidRequestError, match=r"airflow_video_providers\.vendors"):
        catalogue.vendor_of("orphan:model")


@pytest.mark.usefixtures("_private_registry")
@pytest.mark.parametrize("group", [catalogue.ENTRY_POINT_GROUP, catalogue.MODELS_GROUP])
def test_a_distribution_that_cannot_be_imported_is_named_in_an_error_of_ours(monkeypatch, group):
    broken = EntryPoints([EntryPoint("studio", "nowhere_to_be_found:Studio", group)])
    monkeypatch.setattr(catalogue, "entry_points", lambda **wanted: broken.select(**wanted))
    catalogue._load_private_models.cache_clear()
    with pytest.raises(InvalidRequestError, match="nowhere_to_be_found") as caught:
        catalogue.find("studio:one")
    assert caught.value.charged == "no"
    catalogue._load_private_models.cache_clear()
