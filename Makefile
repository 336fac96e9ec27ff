# Needs python3 (3.11 or newer) and make. Everything else is installed into .venv from the lock files in envs/: every
# package at the recorded version, and only if the file has the recorded digest.

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
# Extra arguments for Snakemake: make table1 ARGS="--config seed=2 results=results/seed2"
ARGS ?=
# Processes of the tests; each takes up to 1.5 GB, and where the golden arrays are one of them 9 GB.
TEST_PROCESSES ?= 2
# `make lock`: --upgrade, or "--upgrade-package NAME"
UPGRADE ?=
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help lock table1 local report test clean

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# $(call install,LOCK): what a lock file lists, and this checkout. On Linux, torch of the package index asks for CUDA
# libraries, which a build for CPUs does without: they are installed where `pip check` finds them missing.
define install
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes --no-deps -r $(1)
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check >/dev/null || $(PIP) install --quiet --require-hashes --no-deps -r envs/lock-cuda.txt
	$(PIP) check
	touch $@
endef

$(VENV)/installed: pyproject.toml envs/lock.txt
	$(call install,envs/lock.txt)

$(VENV)/installed-test: pyproject.toml envs/lock-test.txt
	$(call install,envs/lock-test.txt)

lock: pyproject.toml  ## write envs/lock*.txt again from pyproject.toml; newer versions: make lock UPGRADE=--upgrade
	test -x $(VENV)-lock/bin/uv || ($(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet uv==0.13.9)
	$(VENV)-lock/bin/python envs/lock.py $(UPGRADE)

table1: $(VENV)/installed  ## the miniature from nothing: tables, figure, examples and the report, in results/
	$(VENV)/bin/snakemake --cores $(CORES) $(ARGS)
	$(VENV)/bin/snakemake --report results/report.html $(ARGS)

local: $(VENV)/installed  ## the same on your own clips: edit config/local.yaml first; tables in results/local/
	$(VENV)/bin/snakemake --cores $(CORES) --configfile config/local.yaml $(ARGS)
	$(VENV)/bin/snakemake --configfile config/local.yaml --report results/local/report.html $(ARGS)

report: $(VENV)/installed  ## write results/report.html again
	$(VENV)/bin/snakemake --report results/report.html $(ARGS)

test: $(VENV)/installed-test  ## the tests
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

clean:  ## remove the results and what Snakemake remembers of them; the environment stays
	find results -mindepth 1 -not -name .gitkeep -delete
	rm -rf .snakemake
