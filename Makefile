# Every target makes the virtual environment it needs and is quick the second time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SITE := "import sysconfig; print(sysconfig.get_path('purelib'))"

# The tests start hundreds of processes; each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE
# Tests wait for processes and pages too, so one more of them than there are cores runs at a time.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

.PHONY: help demo test test-transformers5 families soak lint browser servers test-servers docs notebooks screenshots bench clean

help:
	@echo "make demo          find wrong labels in a real news data set (no torch is installed)"
	@echo "make test          run the tests (with COVERAGE=1, each package must be covered to 90% too)"
	@echo "make test-transformers5  test exports beside transformers 5, in an environment of its own"
	@echo "make families      export all model families by all routes, and write docs/models.md (an hour on two cores)"
	@echo "make soak          the long forms of the kill, fuzz and scale tests (minutes)"
	@echo "make lint          ruff and mypy"
	@echo "make browser       install Chromium for the tests of the review page, where there is none (Debian, as root)"
	@echo "make test-servers  test against real Rubrix, Argilla and Label Studio servers (needs Java 17 and Maven)"
	@echo "make servers       install those servers, which make test-servers does too"
	@echo "make docs          write docs/cli.md and docs/python.md anew"
	@echo "make notebooks     run the notebooks in docs/ and keep their outputs"
	@echo "make screenshots   take the pictures in docs/ anew (needs Chromium)"
	@echo "make bench         time lossrank and its peers, and write docs/benchmarks.md (15 minutes, and the installation)"
	@echo "make clean         remove the virtual environment, the servers and the demo's run"

demo: $(VENV)/.demo
	$(BIN)/lossrank demo --overwrite
	@echo; echo "Here, lossrank is $(BIN)/lossrank; after '. $(BIN)/activate' it is lossrank."

# Counting the lines that run takes a third more time.
test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(if $(COVERAGE),--cov --cov-report=term)
	@test -z "$(COVERAGE)" || for package in scorer exporter lossrank cli; do \
	    $(BIN)/coverage report --include="$$package/*" --fail-under=90 --format=total > /dev/null || { \
	        echo "$$package/ is covered below 90%"; exit 1; }; done

# The same tests with more seeds, kills and rows; `make test` runs their short forms.
soak: $(VENV)/.dev
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile -m soak

# optimum holds transformers below 4.58. A newer one has an environment of its own, which takes all else from this one.
test-transformers5: $(VENV)-transformers5/.done
	$(VENV)-transformers5/bin/python -m pytest --numprocesses 2 --dist load tests/families

# An interrupted run goes on where it was. With KINDS="gpt2 opt", only kinds whose names begin so are run anew.
families: $(VENV)/.dev $(VENV)-transformers5/.done
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.families.matrix .families/4.jsonl $(KINDS)
	OMP_NUM_THREADS=1 $(VENV)-transformers5/bin/python -m tests.families.matrix .families/5.jsonl $(KINDS)
	$(BIN)/python -m docs.make_models .families/4.jsonl .families/5.jsonl; status=$$?; rm -rf .families; exit $$status

$(VENV)-transformers5/.done: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)-transformers5
	$(BIN)/python -c $(SITE) > $$($(VENV)-transformers5/bin/python -c $(SITE))/the-other-environment.pth
	$(VENV)-transformers5/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
	    'transformers==5.24.0' 'huggingface_hub<2'
	@touch $@

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Without a browser the tests of the page in one are skipped, but not in CI.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    if command -v $$name > /dev/null; then exit 0; fi; done; \
	    apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends chromium

servers:
	LOSSRANK_PYTHON=$(PYTHON) tests/servers/install .servers

test-servers: $(VENV)/.dev
	PATH="$(abspath $(BIN)):$$PATH" tests/servers/run .servers

docs: $(VENV)/.dev
	$(BIN)/python docs/make_cli.py
	$(BIN)/python -m docs.make_python

notebooks: $(VENV)/.dev
	$(BIN)/python -m docs.make_notebooks

screenshots: $(VENV)/.dev
	$(BIN)/python -m docs.make_screenshots

# The peers have an environment of their own, and infinity_emb, whose numpy is older, another one.
BENCH_VENV ?= .venv-bench
BENCH_OPTIONS ?=

bench: $(BENCH_VENV)/.done
	BENCH_PYTHON_INFINITY=$(abspath $(BENCH_VENV)-infinity/bin/python) \
	    $(BENCH_VENV)/bin/python -m benchmarks --docs docs $(BENCH_OPTIONS)

$(BENCH_VENV)/.done: pyproject.toml constraints.txt benchmarks/requirements.txt benchmarks/infinity.txt
	@echo "installing torch and the peers: several minutes the first time"
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --editable '.[cpu,export,optimum,datasets]' --requirement benchmarks/requirements.txt
	@# What can't be installed is reported by name; the others are measured all the same.
	-$(PYTHON) -m venv $(BENCH_VENV)-infinity && $(BENCH_VENV)-infinity/bin/python -m pip install --quiet \
	    --disable-pip-version-check --requirement benchmarks/infinity.txt
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Error: $(PYTHON) is older than Python 3.11; name a newer one, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[cpu]'
	@touch $@

# torch, for the exporter, makes this the long one: a few minutes the first time.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing torch, transformers and the test tools: a few minutes the first time"
	$(PIP) --editable '.[cpu,export,optimum,datasets,remote,argilla,dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) $(VENV)-transformers5 .servers .families lossrank-demo $(BENCH_VENV) $(BENCH_VENV)-infinity .bench
