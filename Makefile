# `make start` runs the hub on this machine; `make test` runs every test. Both need Python 3.11 and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# One more than the two cores it is meant for: a fifth of what tests do is waiting.
WORKERS ?= 3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# Without bytecode every process that is started, in the tests hundreds, compiles the whole house again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: start test coverage check bench chaos lock

# The supervisor stops when make does, however make ends.
start: export HUB_STOP_WITH_PARENT = 1
start: .venv/local
	@exec $(BIN)/python -m hub start

test: .venv/test
	@CHROMIUM="$$(tests/browser.sh $(BIN)/playwright)" && export CHROMIUM && \
	exec $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(PYTEST)

# Counting lines doubles the work, so it is not part of every run; fewer than 90 % fail.
coverage: PYTEST = --cov=hub --cov-report=term
coverage: test

check: .venv/test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

# Measures the live path, with Django Channels beside it: `make bench BENCH="--connections 2000"` passes options on.
bench: .venv/local
	@$(BIN)/python -m bench.live --beside $(BENCH)

# Breaks everything, seed after seed: `make chaos CHAOS="--seed 17"` sees one again.
chaos: .venv/local
	@$(BIN)/python -m bench.chaos --seeds 200 $(CHAOS)

# Pins what pyproject.toml asks for: `make lock UPGRADE=--upgrade` takes the newest that fit.
lock: .venv/made
	@$(PIP) install uv
	@$(COMPILE) $(UPGRADE) --extra embedded --extra test -o locks/test.txt pyproject.toml
	@$(COMPILE) $(UPGRADE) --constraint locks/test.txt --extra embedded -o locks/local.txt pyproject.toml
	@$(COMPILE) $(UPGRADE) --constraint locks/test.txt -o locks/production.txt pyproject.toml

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON")'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/local: locks/local.txt | .venv/made
	@echo "Installing what the hub needs."
	@$(PIP) install --no-deps --require-hashes -r $<
	@touch $@

# The test lock holds all of the local one, in the same versions.
.venv/test: locks/test.txt | .venv/made
	@echo "Installing what the tests need."
	@$(PIP) install --no-deps --require-hashes -r $<
	@touch $@ .venv/local
