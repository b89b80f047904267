# Everything here works on a fresh Debian or Ubuntu with python3 (3.11 or newer), python3-venv and make.
# `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# ── The environment ──────────────────────────────────────────────────────────────────────────────────────────────
# One .venv serves both: `start` puts requirements/base.txt into it, `test` adds requirements/dev.txt. What has been
# installed is remembered in stamp files named after a checksum of all that decides it (the requirement files, this
# project's own metadata, the interpreter, the folder), so that something is installed again when, and only when,
# one of these changes. After the first install nothing here asks the network for anything.

checksum = $(shell { $(1); } 2>/dev/null | cksum | tr ' ' '-')
VENV_STAMP := $(VENV)/.made-$(call checksum,$(PYTHON) -VV; pwd)
BASE_STAMP := $(VENV)/.base-$(call checksum,cat requirements/base.txt pyproject.toml)
DEV_STAMP := $(VENV)/.dev-$(call checksum,cat requirements/base.txt requirements/dev.txt pyproject.toml)

# dev.txt holds all of base.txt, so a development environment is good enough to run in.
RUNTIME := $(if $(wildcard $(DEV_STAMP)),$(DEV_STAMP),$(BASE_STAMP))

say = @printf '▸ %s\n'

# --require-hashes: nothing is installed but what the requirement files name, byte for byte.
# --only-binary: a machine for which there is no built package says so, rather than looking for a compiler.
# --no-compile: bytecode is written when a module is first used; most of an exchange library never is. What every
# command starts with is compiled all the same, for machines on which Python may not write it (COMPILE).
# -qq: errors only.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq --no-compile
PIP_PINNED := $(PIP_INSTALL) --require-hashes --only-binary :all:
# The working tree itself: an editable install, made by the build backend that the requirement files have just
# pinned (--no-build-isolation), and therefore without fetching anything.
PIP_PROJECT := $(PIP_INSTALL) --no-deps --no-build-isolation --no-index --editable .

COMPILE := $(BIN)/python -m compileall -q src/ringfence $(VENV)/lib/python3*/site-packages/rich \
  $(VENV)/lib/python3*/site-packages/typer
# What the compiled screen starts with: reading numba from source would take longer than all the rest of a warm start.
COMPILE_SCREEN := $(BIN)/python -m compileall -q $(VENV)/lib/python3*/site-packages/numba \
  $(VENV)/lib/python3*/site-packages/llvmlite $(VENV)/lib/python3*/site-packages/numpy

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help start test soak replay bench fix lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ringfence needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo 'not there')."; \
	  echo "  Debian 12, Ubuntu 24.04 or newer:  sudo apt-get install python3 python3-venv"; \
	  echo "  another interpreter on this machine:  make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: its venv module is a package of its own here."; \
	  echo "  sudo apt-get install python3-venv"; exit 1; } >&2
	@printf '▸ Making %s with %s\n' '$(VENV)' "$$($(PYTHON) -V)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(BASE_STAMP): $(VENV_STAMP)
	@printf '▸ Installing %s packages, pinned and hashed, from requirements/base.txt\n' \
	  "$$(grep -c '==' requirements/base.txt)"
	@$(PIP_PINNED) -r requirements/base.txt
	@$(PIP_PROJECT)
	@$(COMPILE)
	@rm -f $(VENV)/.base-* && touch $@

$(DEV_STAMP): $(VENV_STAMP)
	@printf '▸ Installing %s packages, pinned and hashed, from requirements/dev.txt (about 1.2 GB on disk, once)\n' \
	  "$$(grep -c '==' requirements/dev.txt)"
	@$(PIP_PINNED) -r requirements/dev.txt
	@$(PIP_PROJECT)
	@$(COMPILE)
	@-$(COMPILE_SCREEN) >/dev/null 2>&1
	@rm -f $(VENV)/.dev-* && touch $@

# ── The main job ─────────────────────────────────────────────────────────────────────────────────────────────────

start: $(RUNTIME) ## replay the crash of 10 October 2025 under isolated and under cross margin
	$(say) 'Replaying an example account through the crash of 10 October 2025'
	@mkdir -p out
	@$(BIN)/ringfence replay --example crash-book --tape 2025-10-10 --report out/replay-2025-10-10.html

replay: $(RUNTIME) ## replay an account of yours: make replay ARGS="my-account.json --tape 2024-08-05"
	@$(BIN)/ringfence replay $(or $(ARGS),--help)

# ── The checks ───────────────────────────────────────────────────────────────────────────────────────────────────

test: $(DEV_STAMP) ## run every check: format, lint, types, import contracts, tests
	$(say) 'Format (ruff format)'
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo '  not formatted; run: make fix' >&2; exit 1; }
	$(say) 'Lint (ruff, every rule)'
	@$(BIN)/ruff check --quiet --output-format concise .
	$(say) 'Types (mypy --strict)'
	@$(BIN)/mypy --no-error-summary
	$(say) 'Import contracts (import-linter)'
	@$(BIN)/lint-imports --no-logo
	$(say) 'Tests (pytest)'
	@$(BIN)/python -m pytest $(ARGS)

SOAK_MINUTES ?= 60

soak: $(DEV_STAMP) ## kill a venue 1,000 times, screen ten million pools, simulate for an hour; another time: make soak SOAK_MINUTES=600
	$(say) 'Killing a venue 1,000 times under load'
	@RINGFENCE_KILLS=1000 $(BIN)/python -m pytest -q tests/contracts/test_host_kill.py
	$(say) 'Screening 10,000,000 pools within 1e-7 of the line'
	@RINGFENCE_LINE_POOLS=10000000 $(BIN)/python -m pytest -q tests/laws/test_screen_line.py
	$(say) 'Simulating for $(SOAK_MINUTES) minutes'
	@end=$$(( $$(date +%s) + 60 * $(SOAK_MINUTES) )); seed=$(or $(SEED),$$(date +%s)); \
	while [ $$(date +%s) -lt $$end ]; do \
	  $(BIN)/ringfence sim --seed $$seed --steps 20000 || exit $$?; seed=$$(( seed + 1 )); done

bench: $(DEV_STAMP) ## run the benchmarks, one script per claim in the docs; one of them: make bench ONLY=assess
	@for script in $(sort $(wildcard bench/$(or $(ONLY),*).py)); do \
	  printf '▸ %s\n' "$$script"; $(BIN)/python "$$script" $(ARGS) || exit 1; done
	@echo '▸ every claim against its target'; $(BIN)/python bench/measuring/claims.py

fix: $(DEV_STAMP) ## format, and repair what the linter can repair
	$(say) 'Format and autofix (ruff)'
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lock: ## pin the newest versions in requirements/*.txt (needs uv)
	@command -v uv >/dev/null || { echo 'make lock needs uv: https://docs.astral.sh/uv' >&2; exit 1; }
	$(say) 'Resolving requirements/base.txt'
	@$(UV_COMPILE) -o requirements/base.txt
	$(say) 'Resolving requirements/dev.txt'
	@$(UV_COMPILE) --extra dev --constraint requirements/base.txt -o requirements/dev.txt

# For every platform and Python ≥ 3.11 at once; without the address of the index that was asked.
UV_COMPILE = uv pip compile pyproject.toml --group build --upgrade --quiet --universal --python-version 3.11 \
  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

clean: ## remove the environment, caches and outputs
	@rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
