SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
# Pinned, and installed by pip: it then installs the other requirements in a fifth of pip's time.
# Nothing is resolved: the pins are all there is. What pyproject.toml overrides for who makes them would lose its hash here.
# Where Python may not write bytecode, every process would compile TensorFlow anew, and start in twice the time.
INSTALL := $(BIN)/uv pip install --no-config --no-deps --compile-bytecode --quiet --python $(BIN)/python
EDITABLE := $(INSTALL) --no-build-isolation
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --silent --prefix clients/js
DIST := dist
# The wheel is built from the source distribution, so that both are whole.
BUILD = $(BIN)/uv build --no-config --no-build-isolation --quiet --python $(BIN)/python --out-dir $(DIST)
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate $(UPGRADE)

.PHONY: help install run test test-wide test-clusters fuzz soak check generate docs gallery compare screenshots dist bench bench-peers requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.runtime ## Install the service into .venv (PYTHON=... picks the interpreter, 3.11 to 3.13)

run: .venv/.runtime ## Serve the demo models at http://127.0.0.1:8000
	$(BIN)/layerscope demo

# A third of the time a test waits, for a browser, a process or a deadline: three workers keep two cores busy.
test: .venv/.dev clients/js/node_modules ## Run the tests, except those of the soak
	$(BIN)/pytest --numprocesses 3

test-wide: .venv/.dev clients/js/node_modules ## Run the tests of many more models, files, pages and processes
	$(BIN)/pytest -m "wide and not soak" --numprocesses 3

test-clusters: .venv/.clusters ## Run the tests of Ray and Dask, on clusters of this machine
	$(BIN)/pytest -m "cluster and not soak"

fuzz: .venv/.dev ## Run the property tests on ten times as many examples, of which chance makes other ones each time
	$(BIN)/pytest -m "hypothesis and not soak" --hypothesis-profile fuzz --numprocesses 3

soak: .venv/.clusters ## Run the tests that take minutes: every architecture of keras.applications, long attacks
	$(BIN)/pytest -m soak

check: .venv/.dev clients/js/contract.d.ts ## Lint, check types, imports, generated files and rules; ask the service for all its contract knows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) run check
	$(BIN)/layerscope openapi | diff -u openapi/openapi.json -
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/build_site.py
	$(BIN)/pytest --quiet tests/test_project.py
	$(BIN)/pytest --quiet -m contract tests/api/test_http_schemathesis.py

generate: .venv/.dev ## Write the generated files: openapi/openapi.json and pages of docs/
	$(BIN)/layerscope openapi > openapi/openapi.json
	$(BIN)/python docs/generate.py

docs: .venv/.dev ## Build the documentation into build/docs/site, and check its links
	$(BIN)/python docs/build_site.py

gallery: .venv/.dev ## Draw the pictures of docs/reference/gallery.md (OTHERS=... has models and photos of others)
	$(BIN)/python docs/gallery.py $(OTHERS)
	$(BIN)/python docs/generate.py

compare: .venv/.dev ## Compare every tap of the model files in OTHERS=... with Keras, and write the table in docs/how-to/models.md
	$(BIN)/python -W ignore tests/service/compared_files.py $(OTHERS)

screenshots: .venv/.dev ## Take the screenshots of the explorer in docs/images, with Chromium
	$(BIN)/python docs/screenshots.py

dist: .venv/.dev clients/js/contract.d.ts ## Build what is published into dist/: wheels, source distributions, the npm package; check them
	rm -rf $(DIST) && mkdir -p $(DIST)
	$(BUILD) .
	$(BUILD) clients/python
	$(NPM) pack ./clients/js --pack-destination $(DIST)
	$(BIN)/twine check --strict $(DIST)/*.whl $(DIST)/*.tar.gz

bench: .venv/.dev ## Measure speed and memory
	$(BIN)/python benchmarks/run.py

bench-peers: .venv/.dev ## Measure against other software, each in an environment of its own
	$(BIN)/python benchmarks/run.py peers

requirements: .venv/.build ## Pin requirements/*.txt again (UPGRADE=--upgrade moves to the newest versions)
	$(COMPILE) pyproject.toml --extra cpu --extra keras2 --extra photos --extra tracing -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra gpu --extra keras2 --extra photos --extra tracing -c requirements/runtime.txt -o requirements/gpu.txt
	$(COMPILE) --group build -c requirements/runtime.txt -o requirements/build.txt
	$(COMPILE) pyproject.toml clients/python/pyproject.toml --extra cpu --extra keras2 --extra photos --group dev \
		-c requirements/runtime.txt -c requirements/build.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra cpu --extra dask --extra extract --extra ray \
		-c requirements/runtime.txt -c requirements/dev.txt -o requirements/clusters.txt

clean: ## Remove .venv, caches and builds
	rm -rf .venv clients/js/node_modules clients/js/*.d.ts .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.build: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Layerscope needs Python 3.11, 3.12 or 3.13 and $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
			"try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/build.txt
	@touch $@

.venv/.runtime: .venv/.build requirements/runtime.txt pyproject.toml
	$(INSTALL) --require-hashes -r requirements/runtime.txt
	$(EDITABLE) --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt clients/python/pyproject.toml
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(EDITABLE) --editable clients/python
	@touch $@

clients/js/node_modules: clients/js/package-lock.json | .venv/.dev
	$(NPM) ci
	@touch $@

.venv/.clusters: .venv/.dev requirements/clusters.txt
	$(INSTALL) --require-hashes -r requirements/clusters.txt
	@touch $@

# The contract as types, which the JavaScript client is checked with.
clients/js/contract.d.ts: openapi/openapi.json clients/js/node_modules
	$(NPM) run contract
