# Needs python3 (3.11 or newer) and make. Everything else is installed into .venv from the lock files in envs/: every
# package at the recorded version, and only if the file has the recorded digest.

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
VENV := .venv
# Extra arguments for Snakemake: make table1 ARGS="--config seed=2 results=results/seed2"
ARGS ?=
# Processes of the tests; each takes up to 1.5 GB, and where the golden arrays are one of them 9 GB.
TEST_PROCESSES ?= 2
# `make lock`: --upgrade, or "--upgrade-package NAME"
UPGRADE ?=
export OMP_NUM_THREADS := 1
# Python compiles a file when it is first imported: pip would compile all of them, for half of the installation's time.
export PIP_COMPILE := 0

.DEFAULT_GOAL := help
.PHONY: help lock table1 paper local report test benchmarks clean

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml envs/lock.txt | $(VENV)/bin/python
	bash envs/install.sh $(VENV)/bin/python envs/lock.txt
	touch $@

$(VENV)/installed-test: pyproject.toml envs/lock-test.txt | $(VENV)/bin/python
	bash envs/install.sh $(VENV)/bin/python envs/lock-test.txt
	touch $@

lock: pyproject.toml  ## write envs/lock*.txt again from pyproject.toml; newer versions: make lock UPGRADE=--upgrade
	test -x $(VENV)-lock/bin/uv || ($(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet uv==0.13.9)
	$(VENV)-lock/bin/python envs/lock.py $(UPGRADE)

table1: $(VENV)/installed  ## the miniature from nothing: tables, figure, examples and the report, in results/
	$(VENV)/bin/snakemake --cores $(CORES) --report results/report.html --report-after-run $(ARGS)

paper: $(VENV)/installed  ## more of the paper in miniature, from what table1 made or from nothing, in results/whole_paper/
	$(VENV)/bin/snakemake --cores $(CORES) --configfile config/paper_miniature.yaml --report results/whole_paper/report.html --report-after-run $(ARGS)

local: $(VENV)/installed  ## the same on your own clips: edit config/local.yaml first; tables in results/local/
	$(VENV)/bin/snakemake --cores $(CORES) --configfile config/local.yaml --report results/local/report.html --report-after-run $(ARGS)

report: $(VENV)/installed  ## write results/report.html again
	$(VENV)/bin/snakemake --report results/report.html $(ARGS)

test: $(VENV)/installed-test  ## the tests
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

benchmarks: $(VENV)/installed  ## this way of working beside the usual one, some 15 minutes: benchmarks/measured/, docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks $(ARGS)

clean:  ## remove the results and what Snakemake remembers of them; the environment stays
	find results -mindepth 1 -not -name .gitkeep -delete
	rm -rf .snakemake
