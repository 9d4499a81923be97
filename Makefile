# What a newcomer needs: make demo, make test. Python 3.11 to 3.13 and make; everything else is installed here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
MODELS ?=

.PHONY: demo test test-fast lint bench faults clean

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing pinned versions into $(VENV) (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed
	@echo "Installing what the tests need into $(VENV)"
	$(PIP) --editable ".[amazon,google,azure,media,aiohttp]" --group test --group lint
	@touch $@

demo: $(VENV)/installed  ## The pipeline on real Airflow against the simulator; MODELS=all for all nine
	@$(BIN)/python scripts/demo.py --models "$(MODELS)"

lint: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-fast: $(VENV)/installed-tests  ## Unit tests only: no network, no Airflow database, seconds
	$(BIN)/pytest -q -m "not slow" tests

test: lint  ## Everything that CI runs
	$(BIN)/pytest -q -n 2 tests

clean:
	rm -rf $(VENV) .demo build dist
