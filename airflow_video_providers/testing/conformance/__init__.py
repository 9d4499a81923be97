"""What every vendor must do, checked from outside: for whoever adds one, here or in a distribution of its own.

A check takes a :class:`Subject`, the vendor with a running stand-in for its gateway, and raises
:class:`ConformanceError` (an ``AssertionError``) with what is wrong and why it matters. It needs no plugin; with
pytest it reads::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_lanterna(check, subject):
        check(subject)

Between the client and the stand-in the checks put a gateway of their own that loses and spoils answers, so the
stand-in needs no faults: it only has to accept a submit, to report a status, and to refuse a bad key.
"""

from __future__ import annotations

from airflow_video_providers.testing.conformance import (
    calls,
    finding,
    models,
    outputs,
    polls,
    readings,
    submits,
    uploads,
)
from airflow_video_providers.testing.conformance.subject import Check, ConformanceError, Subject

#: Every check, the quick ones first.
CHECKS: tuple[Check, ...] = (
    *models.CHECKS,
    *submits.CHECKS,
    *polls.CHECKS,
    *readings.CHECKS,
    *outputs.CHECKS,
    *finding.CHECKS,
    *calls.CHECKS,
    *uploads.CHECKS,
)

__all__ = ["CHECKS", "Check", "ConformanceError", "Subject"]
