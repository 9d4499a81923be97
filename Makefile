# What a newcomer needs: make demo, make test. Python 3.11 to 3.13 and make; everything else is installed here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHAOS := .venv-chaos
MODELS ?=
EXAMPLES ?=
PEERS ?=
FAST ?=
WRITE ?=
ONLY ?=
# Written once and read by every process: the tests start hundreds that import Airflow.
export PYTHONDONTWRITEBYTECODE =
PINNED := --quiet --constraint constraints.txt
# uv resolves in seconds what takes pip minutes; where it cannot reach a package index, pip may be set up to.
, := ,
INSTALL_INTO = $(1)/bin/python -m uv pip install --python $(1)/bin/python --quiet --constraint $(2) $(3) 2>/dev/null || $(1)/bin/python -m pip install --quiet --constraint $(2) $(3)
INSTALL = $(call INSTALL_INTO,$(VENV),constraints.txt,$(1))

.PHONY: audit demo dist docs test test-fast test-lowest test-matrix test-sdks sdks lint bench faults fuzz chaos clean

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing pinned versions into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check $(PINNED) --upgrade pip uv
	@$(call INSTALL,--editable .)
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed
	@echo "Installing what the tests need into $(VENV)"
	@$(call INSTALL,--editable ".[amazon$(,)google$(,)azure$(,)media]" --group test --group lint)
	@touch $@

demo: $(VENV)/installed  ## The pipeline on real Airflow against the simulator; MODELS=all for one of everything
	@$(BIN)/python scripts/demo.py --models "$(MODELS)"

lint: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-fast: $(VENV)/installed-tests  ## Unit tests only: no server, no process, no Airflow database, seconds
	$(BIN)/pytest -q -n 2 -m "not slow" tests

bench: $(VENV)/installed-tests  ## Every benchmark, with ratios against named peers; ONLY=finished for those of that name, WRITE=1 keeps them
	@$(call INSTALL,--group bench)
	$(BIN)/python scripts/bench.py $(ONLY) $(if $(WRITE),--write)

faults: $(VENV)/installed-tests  ## What faults do to the money and to the storage; PEERS=1 adds other clients
	$(BIN)/python -m tests.faults.money $(if $(PEERS),--peers)
	$(BIN)/python -m tests.faults.landing

fuzz: $(VENV)/installed-tests  ## The property tests for longer: answers, files, records; EXAMPLES=20000 for that many each
	HYPOTHESIS_PROFILE=fuzz EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -m fuzz --timeout 0 tests

docs: $(VENV)/installed-tests  ## The documentation as a site in build/docs; a warning or a link that leads nowhere is an error
	@$(call INSTALL,--group docs)
	$(BIN)/python scripts/docs.py --check
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs build/docs

audit: $(VENV)/installed  ## Known faults of the pinned distributions; asks a public database
	@$(call INSTALL,--group audit)
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

dist: $(VENV)/installed-tests  ## Wheel and sdist in dist, checked
	@! grep -n "\.example/" pyproject.toml || { echo "Write the forge's own addresses first: CONTRIBUTING.md, Releasing."; exit 1; }
	rm -rf dist && $(BIN)/python -m build --no-isolation && $(BIN)/twine check --strict dist/*

$(CHAOS)/installed: pyproject.toml constraints/chaos.txt
	@echo "Installing Airflow with Celery and PostgreSQL's drivers into $(CHAOS)"
	@$(PYTHON) -m venv $(CHAOS)
	@$(CHAOS)/bin/python -m pip install --disable-pip-version-check $(PINNED) --upgrade pip uv
	@$(call INSTALL_INTO,$(CHAOS),constraints/chaos.txt,--editable ".[amazon]" --group chaos)
	@touch $@

chaos: $(CHAOS)/installed  ## A cluster on PostgreSQL, Redis and Celery, killed while it buys; FAST=1 for four faults of it
	@$(CHAOS)/bin/python -m tests.chaos $(if $(FAST),--fast) $(if $(WRITE),--write)

.venv-sdks/installed: tests/contract/sdks/requirements.txt
	@echo "Installing the vendors' own clients into .venv-sdks"
	@$(PYTHON) -m venv .venv-sdks
	@.venv-sdks/bin/python -m pip install --disable-pip-version-check --quiet --requirement $<
	@touch $@

sdks: .venv-sdks/installed  ## The vendors' own clients, in an environment of their own

test-sdks: $(VENV)/installed-tests  ## The newest releases of the vendors' own clients against the simulator
	@$(PYTHON) -m venv --clear .venv-sdks-newest
	@.venv-sdks-newest/bin/python -m pip install --disable-pip-version-check --quiet fal-client replicate segmind
	@.venv-sdks-newest/bin/python -m pip list --disable-pip-version-check | grep -E "^(fal.client|replicate|segmind) "
	VIDEO_SDKS=.venv-sdks-newest $(BIN)/pytest -q tests/contract/test_sdks.py

test-lowest:  ## The oldest supported Airflow with the Python at hand, in an environment of its own
	@HYPOTHESIS_PROFILE=ci $(PYTHON) scripts/matrix.py --airflow 3.1 --python $$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

test-matrix:  ## Every supported Airflow and Python
	@HYPOTHESIS_PROFILE=ci $(PYTHON) scripts/matrix.py

test: lint sdks  ## Everything on the newest Airflow; three processes, because some wait for a scheduler more than they compute; the browser alone
	HYPOTHESIS_PROFILE=ci $(BIN)/pytest -q -n 3 --dist worksteal --ignore tests/plugin/browser tests
	$(BIN)/pytest -q tests/plugin/browser

clean:
	rm -rf $(VENV) $(CHAOS) .venv-sdks .venv-sdks-newest .demo build dist
