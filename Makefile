# The project's commands. They need python3 (3.11 or newer), make and git; everything else goes to .venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
BENCH_PY ?= $(PY)
BENCH_OUT ?= experiments/speed
PARALLEL := --numprocesses=logical --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help sweep test test-all test-fast stress ui lint bench lock docs clean

help:  ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

sweep: $(VENV)/ready  ## run the main sweep: 36 runs, about two minutes on two cores
	$(PY) src/train.py -m sweep

test: $(VENV)/ready-to-test  ## run the tests: about seven minutes on two cores
	$(PY) -m pytest $(PARALLEL) --durations=20 -m "not long"

test-all: $(VENV)/ready-to-test  ## also those of kills and of the wheel: ten minutes
	$(PY) -m pytest $(PARALLEL) --durations=20

test-fast: $(VENV)/ready-to-test  ## run the tests that start no command: under 40 seconds
	$(PY) -m pytest $(PARALLEL) -m "not slow"

stress: $(VENV)/ready-to-test  ## kill a sweep 100 times, and a cluster 30 times, and check that nothing is lost; 15 minutes
	$(PY) tests/stress.py --kills 100 --first-starts 20 --claims 10 --lost-answers 8 --cluster-faults 30

ui: $(VENV)/ready  ## compare runs in a browser, at http://127.0.0.1:5000
	@$(PY) src/ui.py

lint: $(VENV)/ready-to-test  ## check style and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

# Peers that are not installed are skipped and listed. Pass BENCH_PY=path/to/python to use an
# environment that has scikit-learn, PyTorch and JAX.
bench: $(VENV)/ready  ## time an epoch beside other libraries, and more; about twenty minutes
	for script in bench update parts numerical recording scaling figure; do \
	  PYTHONPATH=src $(BENCH_PY) tests/benchmarks/$$script.py --out $(BENCH_OUT) || exit 1; \
	done

lock: $(VENV)/ready-to-test  ## resolve the dependencies again into the lock files
	$(PY) -m uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" --output-file requirements.txt --quiet
	$(PY) -m uv pip compile --group cluster --constraint requirements.txt --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" --output-file requirements-cluster.txt --quiet
	$(PY) -m uv pip compile --group test --constraint requirements.txt --constraint requirements-cluster.txt --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" --output-file requirements-test.txt --quiet
	$(PY) -m uv pip compile --group docs --constraint requirements.txt --constraint requirements-test.txt --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" --output-file requirements-docs.txt --quiet

docs: $(VENV)/ready-for-docs  ## regenerate the generated pages, then build the website in build/site/
	$(PY) docs/regenerate.py
	$(PY) docs/site.py

clean:  ## remove caches, and .venv if make made it; runs stay
	[ ! -e $(VENV)/made-by-make ] || rm -rf $(VENV)
	rm -rf build src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made from the lock file, and made again when the lock file is newer. A .venv
# that was made by hand is used as it is, and never removed.
$(VENV)/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "sgdprobe needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@if [ -e $(VENV) ] && [ ! -e $(VENV)/made-by-make ]; then \
	  $(PY) -c 'import sgdprobe, hydra, joblib, mlflow.version, matplotlib' || { \
	    echo "$(VENV) was not made by make and lacks libraries. Type: $(PY) -m pip install -e .   (or remove it)"; exit 1; }; \
	else \
	  rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && touch $(VENV)/made-by-make && \
	  $(PY) -m pip install --quiet --require-hashes --requirement requirements.txt && \
	  $(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready requirements-cluster.txt requirements-test.txt
	$(PY) -m pip install --quiet --require-hashes --requirement requirements-cluster.txt
	$(PY) -m pip install --quiet --require-hashes --requirement requirements-test.txt
	@touch $@

$(VENV)/ready-for-docs: $(VENV)/ready requirements-docs.txt
	$(PY) -m pip install --quiet --require-hashes --requirement requirements-docs.txt
	@touch $@
