"""The tests of this folder have to notice when a rule about money is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_video_providers

PURCHASE, DECISION, KEEPING, RECORDS = (
    "core/purchase/submit_once.py",
    "core/purchase/decision.py",
    "core/purchase/keeping.py",
    "core/purchase/records.py",
)
STORES, LOCAL, BOOK, PATIENCE, VIEW = (
    "integration/state_store.py",
    "core/purchase/stores/local_directory.py",
    "core/purchase/ledger.py",
    "core/purchase/patience.py",
    "integration/airflow_view.py",
)

RESERVATIONS, HOLD = "core/purchase/reservations.py", "core/purchase/hold.py"

MUTATIONS = {
    "the intent is stored after the paid call": (
        PURCHASE,
        [
            ("    if not _open(attempt, ledger, outside):\n        return take_winners_job(attempt, ledger, outside.sleep, outside.log)\n", ""),
            ("    log.info(\"Bought request_id=%s.\", job.request_id)\n", "    ledger.create(attempt)\n"),
        ],
    ),
    "the try number is in the identity": (
        PURCHASE,
        [("    attempts = _earlier(", "    this = Try(type(this.identity)(**vars(this.identity) | {'run_id': str(this.try_number)}), this.max_tries, this.try_number, this.run)\n    attempts = _earlier(")],
    ),
    "a Clear resubmits an unknown outcome": (
        DECISION,
        [
            (
                '    if unanswered and (on_unknown_outcome != "resubmit"',
                '    if unanswered and this.max_tries == unanswered[-1].max_tries and (on_unknown_outcome != "resubmit"',
            )
        ],
    ),
    "resubmit has no end": (DECISION, [(" or len(unanswered) > 1", "")]),
    "an unknown outcome counts as refused": (PURCHASE, [('if error.charged != "no":', 'if error.charged == "yes":')]),
    "any exception counts as refused": (PURCHASE, [("    except Exception as error:\n        _note_unknown(attempt, error, ledger, log)\n", "    except Exception as error:\n        ledger.replace(attempt.replace(state=AttemptState.REJECTED))\n")]),
    "a retry after an answered Clear looks again": (KEEPING, [("kept.max_tries != this.max_tries)", "False)")]),
    "who loses the race for the intent buys": (PURCHASE, [("if not _open(attempt, ledger, outside):", "if _open(attempt, ledger, outside) is None:")]),
    "an unreadable ledger is an empty one": (
        BOOK,
        [("value = self.store.read(identity.key(number))", "value = None")],
    ),
    "the request_id is not stored": (PURCHASE, [("ledger.replace(attempt.bought(job))", "None")]),
    "outputs are stored": (RECORDS, [("without_texts(job.replace(outputs=()))", "without_texts(job)")]),
    "the gate is not looked at": (STORES, [("if registers.get(gate) is not None:", "if False:")]),
    "the door is not looked at": (STORES, [('registers.set(gate, value)\n    return bool(registers.get(door) == value["claim"])', "registers.set(gate, value)\n    return True")]),
    "a local record is overwritten": (LOCAL, [("os.link(spool, path)", "os.replace(spool, path)")]),
    "the receipt is written once": (PATIENCE, [("refused = refused if final else 0.0", "return False")]),
    "an outage has an end": (PATIENCE, [("final = refused_for_good(failure)", "final = True")]),
    "a refusal has no end": (PATIENCE, [("            if refused >= PATIENCE:", "            if False:")]),
    "what was stored and reported as failed stays open": (PURCHASE, [("if ledger.holds(attempt):", "if False:")]),
    "another process's intent is closed": (PURCHASE, [("if ledger.holds(attempt):", "if True:")]),
    "the job forgets where its receipt is due": (PURCHASE, [("job if stored else job.replace(receipt_due=attempt.key)", "job")]),
    "a repair writes over a person's answer": ("core/purchase/receipts.py", [("attempt.open and ", "")]),
    "a repair reaches into other rows": ("core/purchase/receipts.py", [("not (ledger.store.shared or identity == own)", "False")]),
    "the loser of a race does not wait": (KEEPING, [("or waited >= _WINNERS_TIME", "or True")]),
    "a retry waits for a dead try": (PURCHASE, [("        and other.try_number == this.try_number\n", "")]),
    "a run made anew is the old one": (DECISION, [("if attempts[-1].of_earlier_run(this.run, this.try_number):", "if False:")]),
    "a run that begins again is a new one": (RECORDS, [(" and try_number <= self.try_number", "")]),
    "fewer clears mean nothing": (RECORDS, [("(run.clears or 0) < (self.run_clears or 0)", "False")]),
    "a run that begins again is no Clear": (DECISION, [("cleared or (kept.begun_again(this.run) and not by_hand)", "cleared")]),
    "a hole is the end of the log": (BOOK, [("if number > known and self.store.shared:", "if self.store.shared:")]),
    "a hole in the state store is the end of the log": (BOOK, [("not self._beyond(identity, number)", "True")]),
    "a damaged record is no attempt": (BOOK, [("why = str(damage)", "return attempts, flaws")]),
    "a hole in the budget is its end": (RESERVATIONS, [("if entry is None and number <= highest:", "if False:")]),
    "a living holder's reservation is given back": (RESERVATIONS, [("if self._take_place(held.attempt, now):", "if True:")]),
    "a holder's place is written over": (RESERVATIONS, [("return self._store.create(taken.key, taken.to_dict())", "self._store.replace(taken.key, taken.to_dict())\n        return True")]),
    "nobody waits for a holder": (RESERVATIONS, [("if (now - attempt.created_at).total_seconds() < HOLD:", "if False:")]),
    "what cost nothing is never given back": (RESERVATIONS, [("if state in _COSTLESS:", "if False:")]),
    "a sum is not asked": (RESERVATIONS, [("if others + usd > limit:", "if False:")]),
    "an intent without an answer is given back": (RESERVATIONS, [("if state in _COSTLESS:", "if state in _COSTLESS or state == 'unknown':")]),
    "all try again when a hold is over": (HOLD, [('if self._append(number + 1, "probe", until):', 'if self._append(number + 1, "probe", until) or True:')]),
    "an empty account is on hold for nobody": (HOLD, [("        raise self._away(now, until, attempts)", "        self._away(now, until, attempts)")]),
    "a hold never ends": (HOLD, [('self._append(number + 1, "free", None)', "pass")]),
    "a task waits for credits for ever": (HOLD, [("if now - since >= self._timeout:", "if False:")]),
    "links are followed": (LOCAL, [("if not stat.S_ISREG(kind):", "if False:"), (" | os.O_NOFOLLOW", "")]),
    "a file system that cannot sync is refused": (LOCAL, [("        if error.errno not in _NO_SYNC:", "        if True:")]),
    "the id alone names a job": ("core/purchase/settlements.py", [("request_id if model is None else [model, request_id]", "request_id")]),
    "a kept file is lost": ("core/purchase/settlements.py", [("known.ending not in (Ending.LANDED, Ending.REJECTED)", "True")]),
    "a Clear ignores a kept file": (PURCHASE, [("(finished := outside.finished(job)) is not None", "(finished := None)")]),
    "what is in flight is answered": ("integration/ledger_bulk.py", [("if not view.in_flight(attempt, now):", "if True:")]),
    "an earlier try is in flight": (VIEW, [("return own and task.state", "return task.state")]),
    "an unknown outcome is in flight": (VIEW, [("if attempt.state is not AttemptState.INTENT:", "if not attempt.open:")]),
    "a connection of any type opens a ledger": ("integration/ledger_config.py", [("is not None:\n            raise ValueError(wrong)", "is None and False:\n            raise ValueError(wrong)")]),
    "a splitter that begins again takes the door": (STORES, [('if _claim(registers.get(gate)) == value["claim"]:', "if registers.get(gate) is False:")]),
}  # fmt: skip


#: Which tests have to notice; where nothing is named, those of the purchase.
NOTICED_BY = {
    PATIENCE: "receipts", "core/purchase/receipts.py": "receipts", RECORDS: "submit_once runs", DECISION: "submit_once runs", BOOK: "submit_once damage",
    KEEPING: "submit_once receipts", PURCHASE: "submit_once receipts settlements", STORES: "stores", LOCAL: "stores damage",
    RESERVATIONS: "damage limits budget", HOLD: "hold", "core/purchase/settlements.py": "settlements", "integration/ledger_bulk.py": "cli", VIEW: "cli", "integration/ledger_config.py": "config",
}  # fmt: skip


#: Those that do not stand beside this file.
TESTS = {
    "stores": "core/purchase/stores/test_stores.py",
    "cli": "integration/test_ledger_cli.py",
    "config": "integration/test_ledger_config.py",
}


@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_rule_is_broken_in_code_that_is_there(broken):
    file, changes = MUTATIONS[broken]
    text = (Path(airflow_video_providers.__file__).parent / file).read_text()
    assert [old for old, _ in changes if text.count(old) != 1] == [], f"this mutation no longer fits {file}"


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_rule_turns_the_tests_red(broken, tmp_path):
    file, changes = MUTATIONS[broken]
    done = run_tests_on_a_copy(tmp_path, file, changes, NOTICED_BY[file].split())
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_copy_itself_is_green(tmp_path):
    every = sorted({name for names in NOTICED_BY.values() for name in names.split()})
    done = run_tests_on_a_copy(tmp_path, PURCHASE, [], every)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run_tests_on_a_copy(tmp_path, file, changes, noticed_by):
    package = Path(airflow_video_providers.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    shutil.copytree(package, tmp_path / package.name, ignore=ignore)
    tests = Path(__file__).parents[2]
    for folder in ("support", "core/purchase", "integration"):
        shutil.copytree(tests / folder, tmp_path / "tests" / folder, ignore=ignore)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: -\n")
    path = tmp_path / package.name / file
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"this mutation no longer fits {file}: {old}"
        text = text.replace(old, new)
    path.write_text(text)

    command = [sys.executable, "-m", "pytest", "-qx", "-m", "not slow", "-p", "no:cacheprovider"]
    command += [f"tests/{TESTS.get(name, f'core/purchase/test_{name}.py')}" for name in noticed_by]
    command += ["--import-mode", "importlib"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
