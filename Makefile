# Everything here needs Python 3.11 or newer and make; the rest is installed into .venv.
# `make run` and `make test` are complete on a fresh machine. A second run repeats nothing.

PYTHON ?= python3
PYTEST_ARGS ?= -n auto

# Interpreters on which the engine is tested besides: those of these that are there. Each has to be a Python >= 3.11.
PYTHONS ?= python3.11 python3.12 python3.13 python3.14 $(wildcard $(HOME)/.pyenv/versions/3.1[1-4].*/bin/python)

VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
BORDER_TESTS := $(wildcard tests/engine/test_border_*.py) tests/engine/test_relied_on.py tests/engine/test_hostile_guests.py \
    tests/engine/test_scheduler.py
GUEST_BUILD := $(PY) -m examples.guests.build

.PHONY: run test pythons test-pythons check differential fuzz coverage format perf build guests install clean
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

# The targets that feed files and requests made at random, for longer than `make test` does.
fuzz: $(VENV)/.installed
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(PY) -m pytest $(PYTEST_ARGS) --timeout 0 tests/security/fuzz

# Branches of the authority package that its own tests do not take; fewer than 95 % covered is a failure.
coverage: $(VENV)/.installed
	$(PY) -m pytest -q $(PYTEST_ARGS) --cov airssys_security --cov-branch --cov-report term-missing:skip-covered \
	    --cov-fail-under 95 tests/security tests/cli

# One environment for each minor version that is installed. One that cannot be made is named, and left out.
pythons: $(VENV)/.installed
	@for python in $(PYTHONS); do \
	    version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	    made=build/pythons/$$version; \
	    [ $$made/.installed -nt pyproject.toml ] && continue; \
	    [ $$version = $$($(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])') ] && continue; \
	    echo "making an environment for Python $$version ($$python)"; \
	    { $$python -m venv --clear $$made \
	        && $$made/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]' \
	        && touch $$made/.installed; } \
	    || { echo "Python $$version is left out: its environment could not be made"; rm -rf $$made; }; \
	done

# The engine's border with C, on each of them. The random run over 200 instances is part of `make test`.
test-pythons: pythons
	@for python in build/pythons/*/bin/python; do \
	    [ -x $$python ] || continue; \
	    $$python -VV; \
	    $$python -m pytest -q $(PYTEST_ARGS) $(BORDER_TESTS) || exit 1; \
	done

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
