# The first command on a fresh machine with Python 3.11 or later, make and gcc: `make demo` or `make test`.
# Everything is set up in .venv, from pinned versions.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.gatepost-setup
PINS := deploy/constraints.txt

.PHONY: help setup demo test lint types imports pytest bench openapi format clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1|/' | column -t -s '|'

setup: $(STAMP)  ## the development install in .venv (quick when nothing changed)

# The build backend is pinned like everything else, hence no build isolation.
$(STAMP): pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatepost needs Python 3.11 or later, found %s: set PYTHON=" % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(PINS) hatchling
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(PINS) --no-build-isolation -e '.[dev]'
	@touch $@

demo: setup  ## the main job from end to end, on loopback, in a temporary folder
	@$(BIN)/python -m deploy.demo

test: setup  ## every check
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) imports
	@$(MAKE) pytest

lint: setup  ## style and likely bugs
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup  ## mypy --strict
	$(BIN)/mypy

imports: setup  ## who imports what
	$(BIN)/lint-imports --no-logo

pytest: setup  ## the tests; T=tests/policy for some of them
	$(BIN)/pytest $(if $(T),$(T),--numprocesses=2 --dist=loadfile)

bench: setup  ## ratios, measured side by side on this machine
	@$(BIN)/python tests/bench/run.py

openapi: setup  ## write openapi/openapi.json
	@mkdir -p openapi
	@$(BIN)/python -m gatepost_api.openapi > openapi/openapi.json

format: setup  ## put the source into its form
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

clean:  ## remove what the checks leave behind; .venv stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
