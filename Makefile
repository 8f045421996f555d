# `make help` lists what there is. Everything runs in .venv, made from pinned versions (constraints.txt).
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test check tests faults soak bench lock clean prometheus

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

venv: $(INSTALLED) ## The virtual environment with everything for development

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --upgrade-strategy only-if-needed -c constraints.txt -e '.[dev]'
	@touch $@

demo: venv ## The whole system on real clicks: train, stream, score, summary
	$(BIN)/ralm demo $(DEMO)

test: check tests ## Every check: lint, types, import rules, tests

check: venv ## Lint, format, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

tests: venv prometheus ## The tests, with a real broker and real processes
	$(BIN)/python -m pytest $(PYTEST)

prometheus: ## promtool, for the tests of the alert rules, where it may be installed
	@command -v promtool >/dev/null || ( [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null ) \
		|| echo "promtool is not installed and may not be: the checks of the alert rules will be SKIPPED (Debian: apt-get install prometheus)"

faults: venv ## Five kills and each other fault once, against an independent oracle (docs/faults.md)
	$(BIN)/python -m tests.faults --kills 5 --pause 5 $(FAULTS)

soak: venv ## The same for long: fifty kills and each other fault once or more (SOAK=--rng-seed=7 ...)
	$(BIN)/python -m tests.faults --kills 50 --pause 20 --json soak.json $(SOAK)

bench: venv ## How fast clicks are taken in, beside the raw client
	$(BIN)/ralm bench ingest $(BENCH)

lock: ## Pin the newest versions that pyproject.toml allows (then run make test)
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet -e '.[dev]'
	$(VENV)-lock/bin/pip freeze --exclude-editable | sed 's/+cpu//' > constraints.txt
	rm -rf $(VENV)-lock

clean: ## Remove what was made (not .ralm, which holds data, bundles and state)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
