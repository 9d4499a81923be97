"""The tests about callbacks have to notice when one of their rules is broken."""

from __future__ import annotations

import pytest

from tests.support.mutation import BODY, Change, mutated, run_tests_on_a_copy

POLLER, TRUST, MAILBOX, TOKEN, IDENTIFY, NAMED, LEDGER = (
    "core/polling/poller.py",
    "core/polling/trust.py",
    "core/polling/mailbox.py",
    "core/callbacks/token.py",
    "core/callbacks/identify.py",
    "core/purchase/named.py",
    "core/purchase/ledger.py",
)
LOST, CALLS, MAIL, TOKENS, FIRST_EVENT = (
    "operators/test_lost_answers.py",
    "core/polling/test_calls.py",
    "core/polling/test_mailbox.py",
    "core/callbacks/test_token.py",
    "triggers/test_first_event.py",
)

#: What is broken: the module, what is changed in which of its functions, and the tests that have to notice.
MUTATIONS = {
    "the call's own state is believed": (
        POLLER,
        [Change("Poller._wait", 'scheduled.call = "read"', 'scheduled.call = "read"\nreturn scheduled.state.job')],
        CALLS,
    ),
    "a token is good for another attempt": (
        MAILBOX,
        [
            Change("Mailbox.ids_for", "mail.attempt != mark", "False"),
            Change("Mailbox.ids_for", 'record.get("attempt") == list(attempt)', "True"),
        ],
        MAIL,
    ),
    "a signature is not compared": (TOKEN, [Change("read", "not any(genuine)", "False")], TOKENS),
    "a token has no end": (TOKEN, [Change("read", "now < claim.expires", "True")], TOKENS),
    "a second id is taken silently": (
        IDENTIFY,
        [Change("Identification.answer", "len(named := sorted(set(ids))) > 1", "len(named := sorted(set(ids))) > 9")],
        LOST,
    ),
    "a job of another model is believed": (
        IDENTIFY,
        [Change("Identification._believed", "not found.same_model", "False")],
        LOST,
    ),
    "an older job is believed": (
        IDENTIFY,
        [Change("Identification._believed", "found.created_at < attempt.created_at - ALLOWANCE", "False")],
        LOST,
    ),
    "another attempt's job is believed": (NAMED, [Change("take", BODY, "return True")], LOST),
    "a job that an attempt of an older version holds is believed": (
        IDENTIFY,
        [Change("Identification._holder", BODY, "return None")],
        LOST,
    ),
    "an id is written to an attempt alone": (LEDGER, [Change("Ledger._name", BODY, "return None")], LOST),
    "calls are relied on before one was seen": (TRUST, [Change("Trust.earned", BODY, "return True")], CALLS),
    "a missing call costs no trust": (
        TRUST,
        [
            Change(
                "Trust.missed", 'self.lost(f"job {job.request_id} has ended, and no call about it has arrived")', "None"
            )
        ],
        CALLS,
    ),
    "mail has no bound": (
        MAILBOX,
        [Change("Mailbox.put", "len({known.job for known in there}) >= MOST_IDS", "False")],
        MAIL,
    ),
    "a call that came before the answer was lost is waited for": (
        "operators/callbacks.py",
        [Change("bought", "(given := named_already(waiting, log=log))", "False")],
        LOST,
    ),
    "a trigger fires before the scheduler has heard of the deferral": (
        "triggers/first_event.py",
        [Change("until_heard", BODY, "return None")],
        FIRST_EVENT,
    ),
}


@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_rule_is_broken_in_code_that_is_there(broken):
    module, changes, _ = MUTATIONS[broken]
    assert mutated(module, changes) != mutated(module, [])


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_rule_turns_the_tests_red(broken, tmp_path):
    module, changes, tests = MUTATIONS[broken]
    done = run(tmp_path, module, changes, [tests])
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_copy_itself_is_green(tmp_path):
    done = run(tmp_path, TOKEN, [], [LOST, CALLS, MAIL, TOKENS, FIRST_EVENT])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run(tmp_path, module, changes, tests):
    folders = ["operators", "triggers", "core/polling", "core/callbacks"]
    return run_tests_on_a_copy(tmp_path, module, changes, folders=folders, tests=tests)
