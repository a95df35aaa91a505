PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo paper test check bench clean

demo: $(VENV)/.base  ## the paper's methods on the bundled model
	$(BIN)/optigram demo

paper: $(VENV)/.figures  ## the whole paper at a small scale, half an hour on two cores
	$(BIN)/optigram study poerner2018

test: $(VENV)/.dev  ## all tests
	$(BIN)/pytest -n 2

check: $(VENV)/.dev  ## what continuous integration runs: format, lint, types, layers, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

bench: $(VENV)/.base  ## speed, as ratios measured side by side
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/training.py

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.base: $(VENV)/.pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.figures: $(VENV)/.base
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[figures]'
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist
