# `make help` lists what there is. Everything runs in .venv, made from pinned versions (constraints.txt).
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# A Python that the engine has wheels for; PYTHON=... names another. A shim of pyenv may stand for a version that is not there,
# and Debian's has no ensurepip until its package venv is installed: so each is tried. Only where one is used: $(call first,...).
TRY := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= python3.12 python3.11 python3 python
first = $(or $(firstword $(foreach python,$(1),$(shell $(python) -c '$(TRY)' >/dev/null 2>&1 && echo $(python)))),$(error $(2)))
NO_PYTHON = No Python 3.12 or 3.11 with venv is here (tried: $(PYTHON)): install one (Debian, Ubuntu: apt-get install python3.12-venv, or python3.11-venv) or name it: make PYTHON=/path/to/python3.12

.DEFAULT_GOAL := help
.PHONY: help venv demo dashboards test quick check audit tests faults simulate kills soak month game-day bench fuzz lock clean prometheus kafka contract

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

venv: $(INSTALLED) ## Create the virtual environment with everything for development

# Python compiles what is imported, and most of what comes never is.
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --quiet --no-compile
PIP_INSTALL_LOCKED := $(PIP_INSTALL) --no-deps --require-hashes --only-binary :all:

# First what has hashes, then whichever build of torch the index offers, then what a CUDA build needs besides; nothing
# is left for the last command to bring.
$(INSTALLED): setup.py pyproject.toml constraints.txt requirements.lock requirements-cuda.lock $(wildcard ralm/clustering/kmeans*)
	@echo "Installing everything for development into $(VENV), once: this takes some minutes"
	$(call first,$(PYTHON),$(NO_PYTHON)) -m venv $(VENV)
	$(PIP_INSTALL_LOCKED) -r requirements.lock
	$(PIP_INSTALL) --no-deps --only-binary :all: -c constraints.txt torch
	build=$$($(BIN)/python .ci/dependencies.py build) && { [ $$build = cpu ] || $(PIP_INSTALL_LOCKED) -r requirements-cuda.lock; }
	PYTHONWARNINGS=ignore $(PIP_INSTALL) --upgrade-strategy only-if-needed --no-build-isolation -c constraints.txt -e '.[dev]'
	@touch $@

# The demo and serving need no torch and no tools: a small environment will do, unless the one for development is there.
DEMO_VENV := $(VENV)-demo
DEMO_INSTALLED := $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(DEMO_VENV)/.installed)

$(DEMO_VENV)/.installed: setup.py pyproject.toml requirements-demo.lock $(wildcard ralm/clustering/kmeans*)
	@echo "Installing what the demo needs into $(DEMO_VENV), once: 570 MB, without torch"
	$(call first,$(PYTHON),$(NO_PYTHON)) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --disable-pip-version-check --quiet --no-compile --no-deps --require-hashes --only-binary :all: -r requirements-demo.lock
	PYTHONWARNINGS=ignore $(DEMO_VENV)/bin/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(DEMO_INSTALLED) ## Run the whole system on real clicks and print a summary (needs no torch)
	$(dir $(DEMO_INSTALLED))bin/ralm demo $(DEMO)

dashboards: $(DEMO_INSTALLED) prometheus ## Run the demo with live clicks, with Prometheus, alert rules and dashboards beside it
	$(dir $(DEMO_INSTALLED))bin/ralm demo --live --dashboards $(DEMO)

test: venv ## Run every check: lint, types, import rules, dependencies, tests
	@$(MAKE) --no-print-directory -j3 check audit tests || { echo "make test: something above FAILED; make check, make audit and make tests run alone"; exit 1; }

quick: venv ## Run the tests that are fast and need no broker
	$(BIN)/python -m pytest -m "not broker and not slow" $(PYTEST)

check: venv ## Run lint, format, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

audit: venv ## Check pins, lock files and installed files; look for known vulnerabilities where the data can be reached
	$(BIN)/python .ci/dependencies.py audit

# Most of a test is waiting. A file runs in one process, each of which has brokers of its own; PYTEST=-n0 runs all in one.
tests: venv prometheus kafka contract ## Run the tests, with a real broker and real processes, four at a time
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST)

prometheus: ## Install promtool for the tests of the alert rules, where that is allowed
	@command -v promtool >/dev/null || ( [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null ) \
		|| echo "promtool is not installed and may not be: the checks of the alert rules will be SKIPPED (Debian: apt-get install prometheus)"

kafka: venv ## Fetch Apache Kafka for the integration tests, if Java 17 and Maven are installed
	@$(BIN)/python -m tests.brokers.kafka_jars

contract: venv ## Fetch AsyncAPI's parser and generator for the contract tests, if Node is installed
	@$(BIN)/python -m tests.contract.node_modules

faults: venv ## Inject five kills and every other fault once, and compare with an independent oracle (docs/faults.md)
	$(BIN)/python -m tests.faults --kills 5 --pause 5 $(FAULTS)

KILLS := $(BIN)/python -m tests.faults --faults kill --kills 150 --rng-seed 14 --pause 5 --processes 1,2
kills: venv kafka ## Inject 150 kills on the embedded broker and 150 on Apache Kafka; run it again to resume after an interruption
	$(KILLS) --broker embedded --resume .ralm/kills-embedded.json
	$(KILLS) --broker kafka --resume .ralm/kills-kafka.json

simulate: venv ## Play 20,000 random schedules of the seed side in one thread, against a model (SIMULATE=--schedule=7 repeats one)
	$(BIN)/python -m tests.simulation $(SIMULATE)

soak: venv ## Inject fifty kills and every other fault at least once (SOAK=--rng-seed=7 ...)
	$(BIN)/python -m tests.faults --kills 50 --pause 20 --json .ralm/soak.json $(SOAK)

month: venv kafka ## Play thirty days in minutes and check that nothing grows: with restarts, then with four times the messages
	$(BIN)/python -m tests.month $(MONTH)
	$(BIN)/python -m tests.month --period 0 --times 4 $(MONTH)

game-day: venv prometheus ## Inject faults into a running flow: each must fire its alert in a real Prometheus, and no other page
	$(BIN)/python -m tests.game_day $(GAME_DAY)

bench: venv ## Measure how fast clicks are ingested, compared with the bare Kafka client
	$(BIN)/ralm bench ingest $(BENCH)

fuzz: venv ## Try a million inputs on everything that reads outside data: make fuzz FUZZ="--rng-seed 7"; more with atheris
	$(BIN)/python -m tests.fuzz --guided 100000 $(FUZZ)

COMPILE := $(VENV)-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host -c $(VENV)-lock/keep.txt

# With the oldest Python, whose needs include those of the newer ones.
lock: venv ## Pin what pyproject.toml asks for, with hashes (UPGRADE=1: the newest versions it allows; then run make test)
	$(call first,python3.11,make lock needs Python 3.11 with venv) -m venv --clear $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	$(BIN)/python .ci/dependencies.py ask $(VENV)-lock $(if $(UPGRADE),upgrade)
	$(COMPILE) --output-file $(VENV)-lock/main.txt $(VENV)-lock/main.in
	$(COMPILE) -c $(VENV)-lock/main.txt --output-file $(VENV)-lock/cuda.txt $(VENV)-lock/cuda.in
	$(BIN)/python .ci/dependencies.py pins $(VENV)-lock
	$(BIN)/python .ci/dependencies.py demo
	rm -rf $(VENV)-lock

clean: ## Remove what make created (but not .ralm, which holds data, bundles and state)
	rm -rf $(VENV) $(VENV)-demo $(VENV)-lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
