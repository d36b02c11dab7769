# `make run` opens the console on this machine; `make test` proves the checkout. Nothing else is needed first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint types contracts unit bench crash docs screenshots clean

run: $(STAMP)
	@$(BIN)/watchfloor

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Watchfloor needs Python 3.11 or newer; try make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

test: lint types contracts unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/python -m pytest

bench: $(STAMP)
	PYTHONPATH=tests:. $(BIN)/python -m bench.run

crash: $(STAMP)
	$(BIN)/python -m pytest tests/crash

docs: $(STAMP)
	$(BIN)/python -m console.cli.reference > docs/commands.md

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots/make.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .build
