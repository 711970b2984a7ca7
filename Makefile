# Everything runs in a virtual environment of its own; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
REF ?= HEAD
PYTEST_ARGS ?=
# Most tests wait for servers, so three processes fit on two cores. Each process has its own
# servers, and runs whole files: tests of one file share what they set up.
PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test check unit faults bench bench-peers bench-modes bench-check clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(VENV)/demo  ## the bridge on an embedded MongoDB and broker; ARGS="--jobs 20 --crash"
	@$(BIN)/job-bridge demo $(ARGS)

test: check  ## all checks and all tests, with coverage
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(PYTEST_ARGS)

check: $(VENV)/test  ## ruff and mypy
	$(BIN)/ruff check bridge tests benchmarks
	$(BIN)/mypy

unit: $(VENV)/test  ## the tests that need no server
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py $(PYTEST_ARGS)

faults: $(VENV)/test  ## SIGKILL at random and at each named point of the loop, 20 times each
	FAULT_REPEATS=20 $(BIN)/python -m pytest tests/e2e/test_kill_points.py tests/e2e/test_crash.py $(PYTEST_ARGS)

bench: $(VENV)/bench  ## rate, memory, latency and start-up, beside the raw change stream; five minutes
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/bench  ## everything, beside other connectors; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks peers $(ARGS)

bench-modes: $(VENV)/bench  ## what each delivery mode costs; writes docs/delivery-modes.md
	$(BIN)/python -m benchmarks modes $(ARGS)

bench-check: $(VENV)/bench  ## the working tree beside another commit; REF=main~1
	$(BIN)/python -m benchmarks check $(REF) $(ARGS)

clean:  ## remove what was made here
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .hypothesis build *.egg-info .coverage*

# One stamp a purpose: packages are installed again when setup.cfg asks for others.
$(VENV)/demo $(VENV)/test $(VENV)/bench: $(VENV)/%: setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "job-bridge needs Python 3.11 or later; try make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
