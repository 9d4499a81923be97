"""The tests of this folder have to notice when a rule about money is broken."""

from __future__ import annotations

import pytest

from tests.support.mutation import BODY, Change, mutated, run_tests_on_a_copy

PURCHASE, DECISION, KEEPING, RECORDS = (
    "core/purchase/submit_once.py",
    "core/purchase/decision.py",
    "core/purchase/keeping.py",
    "core/purchase/records.py",
)
STORES, LOCAL, LEDGER, PATIENCE, VIEW = (
    "integration/state_store.py",
    "core/purchase/stores/local_directory.py",
    "core/purchase/ledger.py",
    "core/purchase/patience.py",
    "integration/airflow_view.py",
)
RESERVATIONS, HOLD, SETTLEMENTS, RECEIPTS = (
    "core/purchase/reservations.py",
    "core/purchase/hold.py",
    "core/purchase/settlements.py",
    "core/purchase/receipts.py",
)
BULK, CONFIG = "integration/ledger_bulk.py", "integration/ledger_config.py"

#: What is broken: the module, and what is changed in which of its functions.
MUTATIONS = {
    "the intent is stored after the paid call": (
        PURCHASE,
        [
            Change("submit_once", "not _open(attempt, ledger, outside)", "False"),
            Change("_send", 'log.info("Bought request_id=%s.", job.request_id)', "ledger.create(attempt)"),
        ],
    ),
    "the try number is in the identity": (
        PURCHASE,
        [
            Change(
                "submit_once",
                "attempts = _earlier(order, ledger, this, outside.log)",
                "this = Try(type(this.identity)(**vars(this.identity) | {'run_id': str(this.try_number)}), this.max_tries, this.try_number, this.run)\n"
                "attempts = _earlier(order, ledger, this, outside.log)",
            )
        ],
    ),
    "a Clear resubmits an unknown outcome": (
        DECISION,
        [
            Change(
                "decide",
                'unanswered and (on_unknown_outcome != "resubmit" or len(unanswered) > 1)',
                'unanswered and this.max_tries == unanswered[-1].max_tries and (on_unknown_outcome != "resubmit" or len(unanswered) > 1)',
            )
        ],
    ),
    "resubmit has no end": (DECISION, [Change("decide", "len(unanswered) > 1", "False")]),
    "an unknown outcome counts as refused": (PURCHASE, [Change("_send", 'error.charged != "no"', 'error.charged == "yes"')]),
    "any exception counts as refused": (
        PURCHASE,
        [Change("_send", "_note_unknown(attempt, error, ledger, log)", "ledger.replace(attempt.replace(state=AttemptState.REJECTED))", nth=2)],
    ),
    "a retry after an answered Clear looks again": (KEEPING, [Change("keep", "kept.max_tries != this.max_tries", "False")]),
    "who loses the race for the intent buys": (
        PURCHASE,
        [Change("submit_once", "not _open(attempt, ledger, outside)", "_open(attempt, ledger, outside) is None")],
    ),
    "an unreadable ledger is an empty one": (LEDGER, [Change("Ledger.survey", "self.store.read(identity.key(number))", "None")]),
    "the request_id is not stored": (PURCHASE, [Change("_send", "ledger.replace(attempt.bought(job))", "None")]),
    "outputs are stored": (RECORDS, [Change("Attempt.bought", "job.replace(outputs=())", "job")]),
    "the gate is not looked at": (STORES, [Change("create_once", "registers.get(gate) is not None", "False")]),
    "the door is not looked at": (STORES, [Change("create_once", 'bool(registers.get(door) == value["claim"])', "True", nth=2)]),
    "a local record is overwritten": (LOCAL, [Change("LocalDirectory.create", "os.link(spool, path)", "os.replace(spool, path)")]),
    "the receipt is written once": (PATIENCE, [Change("persist", "refused = refused if final else 0.0", "return False")]),
    "an outage has an end": (PATIENCE, [Change("persist", "refused_for_good(failure)", "True")]),
    "a refusal has no end": (PATIENCE, [Change("persist", "refused >= PATIENCE", "False")]),
    "what was stored and reported as failed stays open": (PURCHASE, [Change("_open", "ledger.holds(attempt)", "False")]),
    "another process's intent is closed": (LEDGER, [Change("Ledger.holds", BODY, "return True")]),
    "the job forgets where its receipt is due": (PURCHASE, [Change("_send", "job.replace(receipt_due=attempt.key)", "job")]),
    "a repair writes over a person's answer": (RECEIPTS, [Change("repair", "attempt.open", "True")]),
    "a repair reaches into other rows": (RECEIPTS, [Change("repair", "not (ledger.store.shared or identity == own)", "False")]),
    "the loser of a race does not wait": (KEEPING, [Change("take_winners_job", "waited >= _WINNERS_TIME", "True")]),
    "a retry waits for a dead try": (PURCHASE, [Change("_refused", "other.try_number == this.try_number", "True")]),
    "a run made anew is the old one": (DECISION, [Change("decide", "attempts[-1].of_earlier_run(this.run, this.try_number)", "False")]),
    "a run that begins again is a new one": (RECORDS, [Change("Attempt.of_earlier_run", "try_number <= self.try_number", "True")]),
    "fewer clears mean nothing": (RECORDS, [Change("Attempt.of_earlier_run", "(run.clears or 0) < (self.run_clears or 0)", "False")]),
    "a run that begins again is no Clear": (DECISION, [Change("decide", "kept.begun_again(this.run) and not by_hand", "False")]),
    "a hole is the end of the log": (LEDGER, [Change("Ledger.survey", "number > known", "True")]),
    "a hole in the state store is the end of the log": (LEDGER, [Change("Ledger.survey", "not self._beyond(identity, number)", "True")]),
    "a damaged record is no attempt": (LEDGER, [Change("Ledger.survey", "why = str(damage)", "return attempts, flaws")]),
    "a hole in the budget is its end": (RESERVATIONS, [Change("Reservations._read", "entry is None and number <= highest", "False")]),
    "a living holder's reservation is given back": (RESERVATIONS, [Change("Reservations._take_place", BODY, "return True")]),
    "a holder's place is written over": (
        RESERVATIONS,
        [
            Change(
                "Reservations._take_place",
                "return self._store.create(taken.key, taken.to_dict())",
                "self._store.replace(taken.key, taken.to_dict())\nreturn True",
            )
        ],
    ),
    "nobody waits for a holder": (
        RESERVATIONS,
        [Change("Reservations._take_place", "(now - attempt.created_at).total_seconds() < HOLD", "False")],
    ),
    "what cost nothing is never given back": (RESERVATIONS, [Change("Reservations._take_back", "state in _COSTLESS", "False")]),
    "a sum is not asked": (RESERVATIONS, [Change("Reservations.reserve.entry", "others + usd > limit", "False")]),
    "an intent without an answer is given back": (
        RESERVATIONS,
        [Change("Reservations._take_back", "state in _COSTLESS", "state in _COSTLESS or state == 'unknown'")],
    ),
    "all try again when a hold is over": (
        HOLD,
        [Change("AccountHold.check", 'self._append(number + 1, "probe", until)', 'self._append(number + 1, "probe", until) or True')],
    ),
    "an empty account is on hold for nobody": (
        HOLD,
        [Change("AccountHold.check", "raise self._away(now, until, attempts)", "self._away(now, until, attempts)")],
    ),
    "a hold never ends": (HOLD, [Change("AccountHold.end", BODY, "pass")]),
    "a task waits for credits for ever": (HOLD, [Change("AccountHold._away", "now - since >= self._timeout", "False")]),
    "links are followed": (
        LOCAL,
        [Change("_read", "not stat.S_ISREG(kind)", "False"), Change("_read", "os.O_NOFOLLOW", "0")],
    ),
    "a file system that cannot sync is refused": (LOCAL, [Change("_sync", "error.errno not in _NO_SYNC", "True")]),
    "the id alone names a job": (SETTLEMENTS, [Change("settled_key", "[model, request_id]", "request_id")]),
    "a kept file is lost": (
        SETTLEMENTS,
        [Change("Settlements.mark_lost", "known.ending not in (Ending.LANDED, Ending.REJECTED)", "True")],
    ),
    "a Clear ignores a kept file": (PURCHASE, [Change("_kept", "(finished := outside.finished(job)) is not None", "False")]),
    "what is in flight is answered": (BULK, [Change("refuse_in_flight", "not view.in_flight(attempt, now)", "True")]),
    "an earlier try is in flight": (VIEW, [Change("AirflowView.in_flight", "own and task.state in _AT_WORK", "task.state in _AT_WORK")]),
    "an unknown outcome is in flight": (
        VIEW,
        [Change("AirflowView.in_flight", "attempt.state is not AttemptState.INTENT", "not attempt.open")],
    ),
    "a connection of any type opens a ledger": (
        CONFIG,
        [Change("_open", "(wrong := wrong_type(parts.scheme, conn_id, str(connection.conn_type))) is not None", "False")],
    ),
    "a splitter that begins again takes the door": (
        STORES,
        [Change("create_once", '_claim(registers.get(gate)) == value["claim"]', "False")],
    ),
}  # fmt: skip


#: Which tests have to notice.
NOTICED_BY = {
    PATIENCE: "receipts", RECEIPTS: "receipts", RECORDS: "submit_once runs", DECISION: "submit_once runs",
    LEDGER: "submit_once damage receipts", KEEPING: "submit_once receipts", PURCHASE: "submit_once receipts settlements",
    STORES: "stores", LOCAL: "stores damage", RESERVATIONS: "damage limits budget", HOLD: "hold",
    SETTLEMENTS: "settlements", BULK: "cli", VIEW: "cli", CONFIG: "config",
}  # fmt: skip


#: Those that do not stand beside this file.
ELSEWHERE = {
    "stores": "core/purchase/stores/test_stores.py",
    "cli": "integration/test_ledger_cli.py",
    "config": "integration/test_ledger_config.py",
}


@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_rule_is_broken_in_code_that_is_there(broken):
    assert mutated(*MUTATIONS[broken]) != mutated(MUTATIONS[broken][0], [])


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_rule_turns_the_tests_red(broken, tmp_path):
    module, changes = MUTATIONS[broken]
    done = run(tmp_path, module, changes, NOTICED_BY[module].split())
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_copy_itself_is_green(tmp_path):
    every = sorted({name for names in NOTICED_BY.values() for name in names.split()})
    done = run(tmp_path, PURCHASE, [], every)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run(tmp_path, module, changes, names):
    tests = [ELSEWHERE.get(name, f"core/purchase/test_{name}.py") for name in names]
    return run_tests_on_a_copy(tmp_path, module, changes, folders=["core/purchase", "integration"], tests=tests)
