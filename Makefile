# Everything runs from a fresh clone: each target makes .venv first when it is missing or out of date.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS)

.PHONY: demo test test-slow test-all lint format docs bench clean

demo: .venv/.installed
	$(BIN)/curette demo --out curette-demo --workers $(JOBS)

test: .venv/.installed
	$(PYTEST) -m "not slow"

test-slow: .venv/.installed
	$(PYTEST) -m slow || [ $$? -eq 5 ]  # 5: there is no slow test

test-all: .venv/.installed
	$(PYTEST)

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/.installed
	$(BIN)/python docs/generate.py
	$(BIN)/python -m mkdocs build --strict

bench: .venv/.installed
	for script in benchmarks/*.py; do OMP_NUM_THREADS=$(JOBS) $(BIN)/python $$script || exit 1; done

.venv: .venv/.installed

# The stamp is written last, so an interrupted installation is done again.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("curette needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)."; rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	@touch $@

clean:
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
