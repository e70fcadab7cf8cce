# Everything here needs Python 3.11 or newer and make; the rest is installed into .venv.
# `make run` and `make test` are complete on a fresh machine. A second run repeats nothing.

PYTHON ?= python3
PYTEST_ARGS ?= -n auto

VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
GUEST_BUILD := $(PY) -m examples.guests.build

.PHONY: run test check differential format perf build guests install clean
.DEFAULT_GOAL := run

install: $(VENV)/.installed

# Made anew when pyproject.toml changes: an updated environment would hide a dependency that is no longer declared.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/.perf: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev,perf]'
	touch $@

$(VENV)/.build: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check build
	touch $@

# The build script compares digests of sources and tools, and so does nothing when nothing changed.
guests: $(VENV)/.installed
	@$(GUEST_BUILD)

run: $(VENV)/.installed
	@$(GUEST_BUILD) --demonstration
	@$(PY) -m examples.demonstration

test: $(VENV)/.installed
	@$(GUEST_BUILD)
	$(PY) -m pytest $(PYTEST_ARGS)

# Ten minutes on every core, from a random seed that is printed; `make differential DIFFERENTIAL_ARGS='--seed 1 --minutes 1'`.
differential: $(VENV)/.installed
	$(PY) -m tests.differential $(DIFFERENTIAL_ARGS)

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases --exclude '(^|/)guests/.*/' tests perf examples
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

perf: $(VENV)/.perf
	@$(GUEST_BUILD) --perf
	@$(PY) -m perf

build: $(VENV)/.build
	$(PY) -m build

clean:
	rm -rf build dist $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
