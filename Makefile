# Each target sets up .venv by itself, once; nothing is installed twice.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-cluster check app clean

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with everything, pinned by constraints.txt

# torch first and alone: later packages find their need met and pull no second build
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable '.[train,api,dev]'
	touch $@

demo: $(READY)  ## run the whole pipeline on two cores; ends with a report
	$(BIN)/spatialreasoner demo --out demo-out

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-cluster: $(READY)  ## run the tests that need Ray
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt ray
	$(BIN)/python -m pytest -q tests/search/test_cluster.py

check: $(READY)  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

app: $(READY)  ## draw a region and ask, in a browser (not there yet)
	$(BIN)/spatialreasoner app

clean:  ## remove .venv and the demo's output
	rm -rf .venv demo-out
