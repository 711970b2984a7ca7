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
# Other servers: MONGOD=6.0.27 for tests and 'make run', KAFKA=4.3.0 for tests.
MONGOD := $(TEST_MONGOD)
KAFKA := $(TEST_KAFKA)
export TEST_MONGOD := $(MONGOD)
export TEST_KAFKA := $(KAFKA)
# The tests of faults that depend on chance.
FAULTS := kill_points crash read_back_kills \
	exactly_once_kills exactly_once_faults exactly_once_events hot_standby member_chaos rolling_brokers
ON_SERVERS := $(BIN)/python -m tests.support.servers

.DEFAULT_GOAL := help
.PHONY: help run test servers check docs pictures licences site lock dist sbom drill unit faults soak bench bench-peers bench-modes bench-exactly-once bench-check clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(VENV)/demo  ## the bridge on an embedded MongoDB and broker; ARGS="--jobs 20 --crash"
	@$(if $(MONGOD),$(ON_SERVERS)) $(BIN)/job-bridge demo $(ARGS)

test: servers check  ## all checks and all tests, with coverage; MONGOD=6.0.27 KAFKA=4.3.0
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(PYTEST_ARGS)

servers: $(VENV)/test
	@$(ON_SERVERS)

check: $(VENV)/test  ## ruff, mypy and the documents
	$(BIN)/ruff format --check bridge tests benchmarks docs examples config
	$(BIN)/ruff check bridge tests benchmarks docs examples config
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs: $(VENV)/test  ## write the references of settings, commands and metrics from the code
	$(BIN)/python -m docs.references

licences: $(VENV)/bench  ## write the page of licences from the installed packages
	$(BIN)/python -m docs.licences

pictures: $(VENV)/bench  ## take the pictures of the status page again, with headless Chromium
	$(BIN)/python -m docs.pictures

site: $(VENV)/test  ## build the documents into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock: $(VENV)/test  ## write config/requirements.lock, the versions and hashes that the image installs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.4,<8'
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --upgrade --all-build-deps --allow-unsafe \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
		--extra librdkafka --extra codecs --output-file config/requirements.lock setup.cfg

dist: $(VENV)/test  ## build the wheel and the source archive of REF into build/dist, with equal bytes everywhere
	rm -rf build/dist build/sources && mkdir -p build/dist build/sources
	git archive $(REF) | tar -x -C build/sources
	cd build/sources && SOURCE_DATE_EPOCH=$$(git -C "$(CURDIR)" log -1 --format=%ct $(REF)) \
		"$(abspath $(BIN))/pyproject-build" --no-isolation --outdir "$(CURDIR)/build/dist"
	cd build/dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

sbom: $(VENV)/test  ## write build/dist/sbom.cdx.json, a bill of the locked packages
	mkdir -p build/dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8'
	$(BIN)/cyclonedx-py requirements config/requirements.lock --output-reproducible --spec-version 1.6 \
		--output-format JSON --output-file build/dist/sbom.cdx.json

drill: $(VENV)/test  ## change between the last release, or REF, and this version under load
	$(BIN)/python -m tests.soak.drill $(if $(REF),--ref $(REF)) $(ARGS)

unit: $(VENV)/test  ## the tests that need no server
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py $(PYTEST_ARGS)

faults: $(VENV)/test  ## SIGKILL at random and at each named point, 20 times each, faults of Kafka, and a table of kills
	FAULT_REPEATS=20 FAULT_SECONDS=600 $(BIN)/python -m pytest $(addprefix tests/e2e/test_,$(addsuffix .py,$(FAULTS))) $(PYTEST_ARGS)
	$(BIN)/python -m tests.soak.kills

soak: $(VENV)/test  ## an hour of random faults; ARGS="--minutes 10"
	$(BIN)/python -m tests.soak $(ARGS)

bench: $(VENV)/bench  ## rate, memory, latency and start-up, beside the raw change stream; six minutes
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/bench  ## everything, beside other connectors; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks peers $(ARGS)

bench-modes: $(VENV)/bench  ## the cost of each delivery mode; writes docs/delivery-modes.md
	$(BIN)/python -m benchmarks modes $(ARGS)

bench-exactly-once: $(VENV)/bench  ## exactly-once beside at-least-once; four minutes
	$(BIN)/python -m benchmarks exactly-once $(ARGS)

bench-check: $(VENV)/bench  ## the working tree beside another commit; REF=main~1
	$(BIN)/python -m benchmarks check $(REF) $(ARGS)

clean:  ## remove everything that these targets created
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .hypothesis build *.egg-info .coverage*

# One stamp per extra: packages are installed again when setup.cfg changes.
$(VENV)/demo $(VENV)/test $(VENV)/bench: $(VENV)/%: setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "job-bridge needs Python 3.11 or later; try make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
