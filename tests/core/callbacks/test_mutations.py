"""The tests about callbacks have to notice when one of their rules is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_video_providers

POLLER, TRUST, MAILBOX, TOKEN, IDENTIFY = (
    "core/polling/poller.py",
    "core/polling/trust.py",
    "core/polling/mailbox.py",
    "core/callbacks/token.py",
    "core/callbacks/identify.py",
)
LOST, CALLS, MAIL, TOKENS = (
    "operators/test_lost_answers.py",
    "core/polling/test_calls.py",
    "core/polling/test_mailbox.py",
    "core/callbacks/test_token.py",
)

MUTATIONS = {
    "the call's own state is believed": (
        POLLER,
        [('scheduled.call = "read"\n', 'scheduled.call = "read"\n                return scheduled.state.job\n')],
        CALLS,
    ),
    "a token is good for another attempt": (
        MAILBOX,
        [("if mail.attempt != mark or mail.job in named", "if mail.job in named"), (' and record.get("attempt") == list(attempt)', "")],
        MAIL,
    ),
    "a signature is not compared": (TOKEN, [("if not any(genuine):", "if False:")], TOKENS),
    "a token has no end": (TOKEN, [(" and now < claim.expires", "")], TOKENS),
    "a second id is taken silently": (IDENTIFY, [("if len(named := sorted(set(ids))) > 1:", "if len(named := sorted(set(ids))) > 9:")], LOST),
    "a job of another model is believed": (IDENTIFY, [("elif not found.same_model:", "elif False:")], LOST),
    "an older job is believed": (IDENTIFY, [("found.created_at < attempt.created_at - ALLOWANCE", "False")], LOST),
    "another attempt's job is believed": (IDENTIFY, [("(holder := self._holder(attempt, request_id)) is not None", "(holder := None) is not None")], LOST),
    "calls are relied on before one was seen": (TRUST, [("self._arrived >= 2**self._losses", "True")], CALLS),
    "a missing call costs no trust": (TRUST, [("        self.lost(f", "        str(f")], CALLS),
    "mail has no bound": (MAILBOX, [(">= MOST_IDS:", ">= 10**9:")], MAIL),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_rule_turns_the_tests_red(broken, tmp_path):
    file, changes, tests = MUTATIONS[broken]
    done = run_on_a_copy(tmp_path, file, changes, [tests])
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_copy_itself_is_green(tmp_path):
    done = run_on_a_copy(tmp_path, TOKEN, [], [LOST, CALLS, MAIL, TOKENS])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run_on_a_copy(tmp_path, file, changes, tests):
    package, here = Path(airflow_video_providers.__file__).parent, Path(__file__).parents[2]
    ignore = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    shutil.copytree(package, tmp_path / package.name, ignore=ignore)
    for folder in ("support", "operators", "core/polling", "core/callbacks"):
        shutil.copytree(here / folder, tmp_path / "tests" / folder, ignore=ignore)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: -\n")
    path = tmp_path / package.name / file
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"this mutation no longer fits {file}: {old}"
        text = text.replace(old, new)
    path.write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-qx",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        "--import-mode",
        "importlib",
    ]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, *(f"tests/{name}" for name in tests)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
