# Everything a person does with this repository. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BACKEND ?= embedded
PORT ?= 8080
# The data of one backend is of no use to the other.
DATA_DIR ?= $(if $(filter gcp,$(BACKEND)),.local-gcp,.local)
# The demo empties its folder, so it has one of its own unless a folder is given.
DEMO_DIR := $(if $(filter file default undefined,$(origin DATA_DIR)),.local-demo,$(DATA_DIR))
ARGS ?=
V := .venv/bin
export BACKEND
# The suite is a dozen processes, its tests start hundreds: none should compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo run test test-slow test-clients check bench peers clients stage plan lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  Settings: BACKEND=embedded|gcp PORT=8080 DATA_DIR=.local PYTHON=python3.11 ARGS="more flags"'

setup: .venv/.ready ## Install the pinned dependencies into .venv (the other targets do it when needed)

.venv/.ready: requirements.txt requirements-dev.txt
	@command -v "$(firstword $(PYTHON))" >/dev/null || \
	  { echo 'Python 3.11, 3.12 or 3.13 is needed; say where it is with PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; say which with PYTHON=/path/to/python3.11")'
	@echo 'Installing the pinned dependencies into .venv (a minute or so, once) ...'
	@$(V)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
	  { rm -rf .venv; echo 'python -m venv failed; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(V)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: .venv/.ready ## A customer's whole life, on free ports with a fresh data folder, every figure checked
	@$(V)/python -m local.demo --data-dir "$(DEMO_DIR)" $(ARGS)

run: .venv/.ready ## The suite behind its gateway on 127.0.0.1:8080 (PORT=, DATA_DIR=); Ctrl-C stops it
	@$(V)/python -m local.run --port $(PORT) --data-dir "$(DATA_DIR)" $(ARGS)

# Three workers for two cores: a third of their time they wait for servers.
test: .venv/.ready ## All tests (ARGS="tests/unit -k name" for some)
	@$(V)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder $(ARGS)

test-slow: .venv/.ready ## Long runs on Google's emulators: races by the hundred, kills in an event stream
	@$(V)/python -m pytest tests/slow $(ARGS)

test-clients: .venv/.ready clients ## OAuth clients that nobody here wrote, on both backends, none left out
	@REQUIRE_CLIENTS=1 REQUIRE_EMULATORS=1 $(V)/python -m pytest tests/system/clients $(ARGS)

check: .venv/.ready ## ruff, mypy --strict, import arrows
	@$(V)/ruff format --check .
	@$(V)/ruff check .
	@$(V)/mypy --strict shared functions local deploy bench tests
	@$(V)/lint-imports

bench: .venv/.ready ## Measure speed, start-up and memory on this machine (a few minutes)
	@GRPC_VERBOSITY=ERROR $(V)/python -m bench $(ARGS)

peers: bench/peers/.ready ## Install what `make bench ARGS=--peers` measures against (npm and PyPI)

bench/peers/.ready: bench/peers/package-lock.json bench/peers/requirements.txt
	@cd bench/peers && npm ci --ignore-scripts --no-audit --no-fund
	@$(PYTHON) -m venv --clear .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/peers/requirements.txt
	@touch $@

NPM_CLIENTS := tests/system/clients/node_modules/.package-lock.json
clients: $(NPM_CLIENTS) ## Install the npm clients (others: apt-get install apache2-bin libapache2-mod-auth-openidc)

$(NPM_CLIENTS): tests/system/clients/package-lock.json
	@cd tests/system/clients && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

stage: .venv/.ready ## Fill build/<function>/ with exactly what is deployed
	@$(V)/python -m deploy.stage $(ARGS)

plan: .venv/.ready ## Print what a deployment would run, without a network (ARGS="--lint --environment staging")
	@$(V)/python -m deploy.plan $(ARGS)

lock: ## Compile every requirements*.in to a pinned file with hashes
	@for one in requirements requirements-dev bench/peers/requirements; do \
	  $(V)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links $$one.in -o $$one.txt; done

clean: ## Remove build/ and the data folders (.venv stays)
	@rm -rf build .local .local-*
