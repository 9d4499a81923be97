"""The table of landing faults is what ``python -m tests.faults.landing`` prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_table_is_what_the_command_prints():
    ran = subprocess.run([sys.executable, "-m", "tests.faults.landing"], capture_output=True, text=True, check=True)
    printed = [line for line in ran.stdout.splitlines() if line.startswith("|")]
    assert printed == Path(__file__).with_name("landing").joinpath("table.md").read_text().splitlines()
