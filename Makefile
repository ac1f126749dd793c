# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/
# In random order, whose seed is printed; -p no:randomly has the order of the files. A worker that is done takes over
# from the other, and tests of a file, which share what is slow to make, mostly stay together.
PYTEST  = $(RUN)python -m pytest -q -n 2 --dist worksteal
STAMP   = $(VENV)/.installed
DOCS    = $(VENV)/.docs-installed
TOOLS_VENV ?= .venv-integrations
TOOLS   = $(TOOLS_VENV)/.installed
BANDIT    ?= bandit
PIP_AUDIT ?= pip-audit

.DEFAULT_GOAL := help
.PHONY: help install demo demo-compress test test-slow slow-tests test-integrations check format lint types contracts audit docs house figures clean

help: ## Print this help
	@echo "asng: one-shot neural architecture search that needs no tuning"
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

install: $(STAMP) ## Make the virtual environment and install what is needed (the others call it)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "asng needs Python 3.10 or newer, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(RUN)python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[nas,report,notebook,onnx,images,examples,dev]'
	@# Of aeon the data files alone are wanted, not what it depends on.
	$(RUN)python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps aeon
	@touch $@

demo: $(STAMP) ## Search a network for real images, train it, compare it, open runs/demo/report.html
	$(RUN)asng search --run-dir runs/demo --overwrite

demo-compress: $(STAMP) ## Halve and quarter a trained network, open runs/compress/report.html
	$(RUN)python examples/compress.py

test: $(STAMP) ## Run the tests
	$(PYTEST)

test-slow: $(STAMP) ## Run the slow tests as well: those that are marked, and those of tests/slow_tests.txt
	$(PYTEST) -m 'slow or not slow'

slow-tests: $(STAMP) ## Measure which tests are slow, and list them in tests/slow_tests.txt: on an idle machine
	$(PYTEST) --durations=0 -m 'slow or not slow' | tee /dev/stderr | $(RUN)python tools/slow_tests.py

test-integrations: $(TOOLS) ## Run the tests beside Optuna, Ray, Lightning and others, in an environment of their own
	$(TOOLS_VENV)/bin/python -m pytest -q -n 2 --dist worksteal tests/integrations

$(TOOLS): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(TOOLS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[report,integrations]' hypothesis pytest pytest-randomly pytest-xdist
	@touch $@

check: format lint types contracts test ## Format, lint, types, import contracts, tests with examples and README code

format: $(STAMP)
	$(RUN)ruff format --check .

lint: $(STAMP)
	$(RUN)ruff check .

types: $(STAMP)
	$(RUN)mypy

contracts: $(STAMP)
	$(RUN)lint-imports

docs: $(DOCS) ## Build the documentation into build/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(RUN)mkdocs build --clean
	@echo "The documentation is in build/site/index.html; its search needs a server: $(RUN)mkdocs serve"

$(DOCS): $(STAMP)
	$(RUN)python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

audit: ## Look for known faults in the code by bandit, in what it needs by pip-audit, where they are installed
	@if command -v $(BANDIT) > /dev/null; then $(BANDIT) -q -c pyproject.toml -r src; else echo "audit: no bandit here: pip install 'bandit[toml]'"; fi
	@if command -v $(PIP_AUDIT) > /dev/null; then $(PIP_AUDIT) -r constraints.txt; else echo "audit: no pip-audit here: pip install pip-audit"; fi

house: $(STAMP) ## Count what the plan of the house sets: import circles, files, lines, doubles, files a step enters
	$(RUN)python tools/house.py

figures: $(STAMP) ## Write the measured figures of the pages anew, from benchmarks/results
	$(RUN)python tools/figures.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) $(TOOLS_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
