"""How long the property tests run: ``make fuzz`` runs all of them for longer, EXAMPLES=n for so many examples each."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

# what is slow here is another process on the same machine; the tests have bounds of their own, in CPU seconds
settings.register_profile("package", deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz", settings.get_profile("package"), max_examples=int(os.environ.get("EXAMPLES") or 5_000), print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "package"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every property test is one to run for longer."""
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.fuzz)
