# Everyday commands. `make` alone lists them.
#
# Each command prepares its own environment in .venv once, from envs/constraints.txt; only python3
# and make are needed.  Variables:
#   PYTHON=python3.12       which Python builds .venv
#   VENV=/elsewhere/env     another place for the environment
#   USE_ACTIVE_ENV=1        use the environment that is active now, install nothing
#   SNAKEMAKE_ARGS="..."    more arguments for snakemake in `make demo`
#   PYTEST_ARGS="..."       more arguments for pytest in `make test`
#   TEST_PROCESSES=2        how many processes run the tests; 0 for this one alone

PYTHON ?= python3
VENV ?= .venv
TEST_PROCESSES ?= 2
SHELL := /bin/bash

VERSIONS := $(shell cat pyproject.toml envs/constraints.txt | cksum | cut -d' ' -f1)
ifdef USE_ACTIVE_ENV
BIN :=
RUN_ENV := active-env
DEV_ENV := active-env
else
# Not abspath: it takes a space in the path for the end of a name.
HERE := $(if $(filter /%,$(VENV)),,$(CURDIR)/)
BIN := $(HERE)$(VENV)/bin/
RUN_ENV := $(VENV)/.ready-run-$(VERSIONS)
DEV_ENV := $(VENV)/.ready-dev-$(VERSIONS)
endif
# Jobs find the same tools whether or not the environment is activated.
export PATH := $(if $(BIN),$(BIN):)$(PATH)

.PHONY: help install demo test lint format test-slurm bench active-env clean-demo
.DEFAULT_GOAL := help

help:
	@echo "make demo        run the whole workflow on miniature data; ends with the result page's path"
	@echo "make test        run every test (those that need Slurm or real data say why they skip)"
	@echo "make lint        check style, imports, types, workflow and generated files"
	@echo "make format      rewrite Python and Snakemake files in the project's style"
	@echo "make test-slurm  run all tests that start a real Slurm on this machine, with and without accounts"
	@echo "make bench       race this project against its peers; minutes, prints tables"
	@echo "make install     only prepare the environment in $(VENV)"
	@sed -n 's/^#   /  /p' Makefile

install: $(DEV_ENV)

demo: $(RUN_ENV)
	@"$(BIN)snakemake" --profile profiles/demo $(SNAKEMAKE_ARGS)
	@echo "Result page: $(CURDIR)/results/demo/index.html"

test: $(DEV_ENV)
	"$(BIN)python" -m pytest -n $(TEST_PROCESSES) $(PYTEST_ARGS)

test-slurm: $(DEV_ENV)
	HEARSAY_SLURM=all "$(BIN)python" -m pytest -m slurm $(PYTEST_ARGS)

lint: $(DEV_ENV)
	"$(BIN)ruff" check .
	"$(BIN)ruff" format --check .
	"$(BIN)snakefmt" --check Snakefile workflow
	PYTHONPATH=workflow "$(BIN)lint-imports"
	"$(BIN)mypy"
	PYTHONPATH=workflow "$(BIN)python" -m hearsay.settings_documents --check
	"$(BIN)snakemake" --lint --configfile config/demo.yaml

format: $(DEV_ENV)
	"$(BIN)ruff" check --fix .
	"$(BIN)ruff" format .
	"$(BIN)snakefmt" Snakefile workflow
	PYTHONPATH=workflow "$(BIN)python" -m hearsay.settings_documents --write

bench: $(RUN_ENV)
	"$(BIN)python" benchmarks/spectral.py
	"$(BIN)python" benchmarks/brain.py
	"$(BIN)python" benchmarks/lm.py
	"$(BIN)python" benchmarks/asr.py
	"$(BIN)snakemake" --configfile config/demo.yaml benchmarks/asr_transfer.yaml --cores 2 asr
	"$(BIN)python" benchmarks/asr_transfer.py results/asr-transfer --out benchmarks/asr_transfer.md
	"$(BIN)python" benchmarks/asr_digits.py prepare results/asr-digits/corpora
	"$(BIN)snakemake" --configfile benchmarks/asr_digits.yaml --cores 2 asr
	"$(BIN)python" benchmarks/asr_digits.py record results/asr-digits --out benchmarks/asr_digits.md
	"$(BIN)python" benchmarks/slu.py
	"$(BIN)python" benchmarks/slu_digits.py prepare results/slu-digits/corpora
	"$(BIN)snakemake" --configfile benchmarks/slu_digits.yaml --cores 2 slu
	"$(BIN)python" benchmarks/slu_digits.py record results/slu-digits --out benchmarks/slu_digits.md
	"$(BIN)snakemake" --configfile config/demo.yaml benchmarks/slu_ablation.yaml --cores 2 slu
	"$(BIN)python" benchmarks/slu_digits.py record results/slu-ablation --out benchmarks/slu_ablation.md

active-env:
	@python -c "import snakemake, torch, hearsay" || { \
	  echo "USE_ACTIVE_ENV=1: the active environment lacks the packages above;" \
	       "install them with: pip install -c envs/constraints.txt -e '.[dev]'" >&2; exit 1; }

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "hearsay needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -rf "$(VENV)"; \
	  echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)," \
	       "or name another with: make PYTHON=/path/to/python3" >&2; exit 1; }

$(VENV)/.ready-run-$(VERSIONS): | $(VENV)/bin/python
	@echo "Preparing $(VENV) (once; a few minutes)"
	"$(BIN)python" -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e .
	@rm -f "$(VENV)"/.ready-run-*; touch "$@"

$(VENV)/.ready-dev-$(VERSIONS): $(VENV)/.ready-run-$(VERSIONS)
	"$(BIN)python" -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[dev]'
	@rm -f "$(VENV)"/.ready-dev-*; touch "$@"

clean-demo:
	rm -rf results/demo logs/demo
