"""How long the property tests run: ``HYPOTHESIS_PROFILE=fuzz pytest -m fuzz tests`` runs them for longer."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# what is slow here is another process on the same machine; the tests have bounds of their own, in CPU seconds
settings.register_profile("package", deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("package"), max_examples=20_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "package"))
