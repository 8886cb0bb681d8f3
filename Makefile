# The first Python on this machine that is new enough; PYTHON=... names another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python; done) python3)

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What tests and linters need is not asked of who only uses it.
WORKSHOP := $(VENV)/.workshop
# Tests of hosts and engines mostly wait: more of them than a small machine has cores go side by side.
JOBS ?= 6
KEEPERS := tests/keepers $(patsubst %,tests/contracts/test_%.py,booted_over_ssh compose containers given given_services \
	lxc lxc_service owned_containers owned_services pct)
PURE := $(wildcard tests/unit tests/properties tests/cases tests/cli)

.PHONY: demo engine demo-power test rigs test-keepers test-power test-builds test-clients test-install test-gpu check crash fuzz load bench schemas coverage lock
# Where it is set, each of the many programs that tests start would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE
# What tests need of the machine may be what makes the virtual environment.
.NOTPARALLEL:

demo: engine $(INSTALLED)
	$(BIN)/reconciler demo

# What Debian has in packages of their own, and nothing goes without: what makes a virtual environment, and a library of the engine.
engine:
	@PYTHON="$(PYTHON)" tests/rigs/install demo

# Hosts that sleep: booted Debians where this is root and tests/rigs/install was run, hosts without privileges elsewhere.
demo-power: $(WORKSHOP)
	$(BIN)/python -m tests.rigs.demo

# What the machine lacks is installed where this may; what needs it otherwise is left out, and the last line says so.
test: rigs $(WORKSHOP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(addprefix --ignore=,$(KEEPERS) tests/power)

# What each keeper of units promises alone, and the command line beside all of them: dockerd, Podman, compose, LXC, Proxmox's pct and systemd.
test-keepers: rigs $(WORKSHOP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(KEEPERS)

# Hosts that boot, sleep, hang and lose their power, and the command line beside them.
test-power: rigs $(WORKSHOP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/power

rigs: engine
	@PYTHON="$(PYTHON)" tests/rigs/install || true

check: $(WORKSHOP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every byte of the journal and its log, and 100,000 schedules of deaths, where `make test` takes samples of fixed seeds.
crash: $(WORKSHOP)
	CRASH_COMPLETE=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/crash

# 100,000 mutations of requests and as many of answers, framed by the gateway and by h11, where `make test` takes a sample.
fuzz: $(WORKSHOP)
	FUZZ_COMPLETE=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/fuzz

# Fifty clients and three models of one port: 1,000 switches, and 250 during which `serve` is killed, on each server.
# LOAD="--switches 50 --seed 7" makes it shorter, or the same again.
load: $(WORKSHOP)
	$(BIN)/python -m tests.load $(LOAD)

# What every engine promises, on older builds of servers: each file of tests/builds is one, installed once into .venv/builds.
test-builds: $(WORKSHOP)
	$(BIN)/python -m tests.builds

# Clients of several ages and coding agents before a gateway: each lock file of tests/clients is one, installed once into
# .venv/clients, and what its npm/ names where npm is (800 MB).
test-clients: $(WORKSHOP)
	$(BIN)/python -m tests.clients

# Both locks with old and new pips, a wheel, and the oldest versions that pyproject.toml allows, on every Python that is here.
test-install: $(WORKSHOP)
	$(BIN)/python -m tests.install

# Needs an NVIDIA GPU, and nvcc, cmake and a C++ compiler to build llama.cpp once; ends with 1 where there is none.
test-gpu: $(WORKSHOP)
	$(BIN)/python -m tests.gpu

bench: $(WORKSHOP)
	$(BIN)/python -m tests.bench

schemas: $(WORKSHOP)
	$(BIN)/python -m reconciler.schemas
	$(BIN)/python -m reconciler.reference

coverage: $(WORKSHOP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report= $(PURE)
	$(BIN)/coverage report --fail-under=100 \
		--include='reconciler/model/*,reconciler/steps/*,reconciler/core/*,reconciler/config/*,reconciler/store/*'

# One file for use and one for development, each for every platform and Python that the project runs on, with the hashes of
# all their wheels. Extras stay in them: pip before 23.3 takes `name` and `name[extra]` for two requirements.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --extra embedded --extra serve

lock: $(WORKSHOP)
	$(LOCK) --extra fast --group dev --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "reconciler needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there)." >&2; \
		echo "Name a newer one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(WORKSHOP): requirements-dev.lock $(INSTALLED)
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
