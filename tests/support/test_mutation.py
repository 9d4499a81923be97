"""What breaks code on purpose fits the code, or says that it does not."""

from __future__ import annotations

import pytest

from tests.support.mutation import BODY, Change, MutationError, mutate

SOURCE = """
class Ledger:
    def holds(self, attempt):
        if attempt.open and (  # a comment
            attempt.state == "intent"
        ):
            return attempt.open
        return False


def holds(attempt):
    return attempt.state == "intent"
"""


@pytest.mark.parametrize(
    ("change", "there"),
    [
        (Change("Ledger.holds", "attempt.open and attempt.state == 'intent'", "True"), "        if True:\n"),
        (Change("Ledger.holds", "attempt.open", "True", nth=2), "            return True\n"),
        (
            Change("Ledger.holds", "return False", "attempt.close()\nreturn 1"),
            "        attempt.close()\n        return 1\n",
        ),
        (Change("Ledger.holds", BODY, "return True"), "    def holds(self, attempt):\n        return True\n"),
        (Change("holds", BODY, "return True"), "\ndef holds(attempt):\n    return True"),
    ],
    ids=["an expression over several lines", "the second", "a statement", "the body", "a function of the same name"],
)
def test_a_function_is_changed_and_nothing_else(change, there):
    changed, whole = mutate(SOURCE, [change]), mutate(SOURCE, [])
    assert there in changed
    assert there not in whole
    assert ('return attempt.state == "intent"'.replace('"', "'") in changed) == (change.function == "Ledger.holds")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change("Ledger.held", BODY, "pass"), "there is no Ledger.held"),
        (Change("Ledger.holds", "attempt.closed", "True"), "has 0 times"),
        (Change("Ledger.holds", "attempt.open", "True"), "has 2 times"),
        (Change("Ledger.holds", "attempt.open", "True", nth=3), "has 2 times"),
    ],
)
def test_a_change_that_does_not_fit_is_an_error(change, says):
    with pytest.raises(MutationError, match=says):
        mutate(SOURCE, [change])
