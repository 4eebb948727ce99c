# `make demo` and `make test` set up everything they need; nothing has to be installed before but Python 3.11+ and make.
# Where `uv` is on the PATH it makes the environment, elsewhere `python3 -m venv` and pip do.

PYTHON ?= python3
VENV := .venv
RELEASE := .release
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
  NEW_VENV = uv venv --quiet --python $(PYTHON) $(VENV)
  INSTALL = uv pip install --quiet --python $(BIN)/python
else
  NEW_VENV = $(PYTHON) -m venv $(VENV)
  INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: demo test conformance crash-test soak fuzz check servers browser dist sbom audit lint format types clean

demo: $(VENV)/.demo ## a real model, run locally without any key, calls a real MCP server
	$(BIN)/tiny-agents run clock --provider local --prompt "What time is it in Tokyo?" < /dev/null

test: $(VENV)/.dev ## the whole suite, on up to four cores
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 5 --dist worksteal

conformance: $(VENV)/.dev ## the official suite of MCP against our client; needs npm, and fetches the suite
	$(BIN)/python tests/conformance/run.py

crash-test: $(VENV)/.dev ## kill processes in the middle of conversations, 200 times
	TINY_AGENTS_CRASHES=200 $(BIN)/python -m pytest -s tests/integration/test_sessions_crash.py

soak: $(VENV)/.dev ## 1,000 conversations, a hundred at a time, one in five of which goes wrong; takes minutes
	$(BIN)/python -m tests.soak

fuzz: $(VENV)/.dev ## what is said of any input, with 20,000 inputs each in place of 100; takes an hour
	TINY_AGENTS_FUZZ=20000 $(BIN)/python -m pytest -m hypothesis --numprocesses logical --dist worksteal tests/unit tests/integration/test_agent_properties.py

check: lint types test ## what CI runs

servers: $(VENV)/.dev ## MCP servers made by others, installed into .servers/, and what takes long (a network is needed, Node.js is used if it is there)
	@PYTHON=$(PYTHON) tests/servers/install.sh .servers time git sqlite fastmcp node
	$(BIN)/python -m pytest tests/servers

browser: $(VENV)/.dev ## a browser that a model drives: needs Node.js, and a chromium on the PATH
	@PYTHON=$(PYTHON) tests/servers/install.sh .servers browser
	$(BIN)/python -m pytest tests/browser

dist: $(RELEASE)/.tools ## wheel and source archive of the last commit, built twice, which must come out the same
	$(RELEASE)/bin/python scripts/release/build_twice.py dist

sbom: dist ## what an installed wheel consists of, as CycloneDX JSON
	scripts/release/sbom.sh $(RELEASE) dist/*.whl dist/tiny-agents.cdx.json

audit: $(RELEASE)/.tools ## known vulnerabilities in what is pinned (a network is needed; what can't be looked up is a failure)
	$(RELEASE)/bin/python scripts/release/audit.py constraints.txt scripts/release/constraints.txt

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(RELEASE) dist .servers .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tiny-agents needs Python 3.11 or newer; '$(PYTHON)' is `$(PYTHON) --version`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making the environment $(VENV) ..."
	@$(NEW_VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing tiny-agents and what the demo needs ..."
	@$(INSTALL) --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing tiny-agents and what its tests need ..."
	@$(INSTALL) --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(RELEASE)/.tools: scripts/release/constraints.txt
	@echo "Making the environment $(RELEASE) ..."
	@$(MAKE) --no-print-directory VENV=$(RELEASE) $(RELEASE)/bin/python
	@$(INSTALL:$(BIN)%=$(RELEASE)/bin%) --constraint scripts/release/constraints.txt hatchling build cyclonedx-bom pip-audit pip
	@touch $@
