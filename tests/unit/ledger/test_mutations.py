"""The tests of this folder have to notice when a rule about money is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_video_providers

PURCHASE, RECORDS, STORES, DIRECTORY = "purchase.py", "records.py", "stores.py", "directory.py"

MUTATIONS = {
    "the intent is stored after the paid call": (
        PURCHASE,
        [
            ("    if not book.create(attempt):\n        return _lost_race(book, identity, log)\n", ""),
            ("    _store(attempt, job, book, log)\n", "    book.create(attempt)\n    _store(attempt, job, book, log)\n"),
        ],
    ),
    "the try number is in the identity": (
        PURCHASE,
        [("    book = ledger or", "    identity = Identity(**vars(identity) | {'run_id': str(try_number)})\n    book = ledger or")],
    ),
    "a Clear resubmits an unknown outcome": (
        PURCHASE,
        [
            (
                '    if unanswered and (on_unknown_outcome != "resubmit"',
                '    if unanswered and generation == unanswered[-1].generation and (on_unknown_outcome != "resubmit"',
            )
        ],
    ),
    "resubmit has no end": (PURCHASE, [(" or len(unanswered) > 1", "")]),
    "an unknown outcome counts as refused": (PURCHASE, [('if error.charged != "no":', 'if error.charged == "yes":')]),
    "any exception counts as refused": (PURCHASE, [("_note(attempt, AttemptState.UNKNOWN, error, book, log)\n        raise outcome_unknown(attempt, f\"", "_note(attempt, AttemptState.REJECTED, error, book, log)\n        raise outcome_unknown(attempt, f\"")]),
    "a retry after an answered Clear looks again": (PURCHASE, [("kept.generation != generation:", "False:")]),
    "who loses the race for the intent buys": (PURCHASE, [("if not book.create(attempt):", "if book.create(attempt) is None:")]),
    "an unreadable ledger is an empty one": (
        "book.py",
        [("value = self.store.read(identity.key(len(found) + 1))", "value = None")],
    ),
    "the request_id is not stored": (PURCHASE, [("book.replace(attempt.bought(job))", "pass")]),
    "outputs are stored": (RECORDS, [("job.but(outputs=()).to_dict()", "job.to_dict()")]),
    "the gate is not looked at": (STORES, [("if registers.get(gate) is not None:", "if False:")]),
    "the door is not looked at": (STORES, [('bool(registers.get(door) == value["claim"])', "True")]),
    "a local record is overwritten": (DIRECTORY, [("os.link(spool, path)", "os.replace(spool, path); spool.touch()")]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_rule_turns_the_tests_red(broken, tmp_path):
    done = run_tests_on_a_copy(tmp_path, *MUTATIONS[broken])
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_copy_itself_is_green(tmp_path):
    done = run_tests_on_a_copy(tmp_path, PURCHASE, [])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run_tests_on_a_copy(tmp_path, file, changes):
    package = Path(airflow_video_providers.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    shutil.copytree(package, tmp_path / package.name, ignore=ignore)
    tests = Path(__file__).parents[2]
    for folder in ("support", "unit/ledger"):
        shutil.copytree(tests / folder, tmp_path / "tests" / folder, ignore=ignore)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: -\n")
    path = tmp_path / package.name / "ledger" / file
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"this mutation no longer fits {file}: {old}"
        text = text.replace(old, new)
    path.write_text(text)

    command = [sys.executable, "-m", "pytest", "-qx", "-m", "not slow", "-p", "no:cacheprovider", "tests"]
    command += ["--import-mode", "importlib"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
