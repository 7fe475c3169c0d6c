PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
NAME ?= start

.PHONY: demo test test-kubernetes check unit parity bench chaos services services-stop clean

# The environment, made once and again whenever what it is made of changes.
$(VENV)/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; say which: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (once) into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/kubernetes.stamp: $(VENV)/test.stamp
	@echo "Installing Kubernetes' clients ..."
	@$(PIP) --editable '.[test,kubernetes]'
	@touch $@

demo: $(VENV)/run.stamp
	@$(VENV)/bin/skald demo $(ARGS)

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --cache-dir .cache/import-linter

# Everything: a quarter of an hour on two cores.
test: check
	$(VENV)/bin/pytest -n 2 --dist loadscope $(ARGS)

# On a Kubernetes control plane of its own, which Go builds once, for some minutes; not a part of `make test`.
test-kubernetes: $(VENV)/kubernetes.stamp
	$(VENV)/bin/pytest tests/kubernetes -m kubernetes $(ARGS)

unit: $(VENV)/test.stamp
	$(VENV)/bin/pytest tests/unit $(ARGS)

# Every case of tests/parity on a stock worker and on a node, a quarter of an hour; make parity ARGS="-k sharing"
parity: $(VENV)/test.stamp
	@PARITY=all $(VENV)/bin/pytest tests/parity $(ARGS)

bench: $(VENV)/test.stamp
	@$(VENV)/bin/python -m tests.benchmarks.$(NAME) $(ARGS)

# A quarter of an hour of kills and freezes on the real services; make chaos ARGS="--tasks 100 --faults 8 --seed 7"
chaos: $(VENV)/test.stamp
	@$(VENV)/bin/python -m tests.chaos $(ARGS)

# Kafka, Redis and MongoDB's protocol on this machine, without containers; other ports: make services KAFKA_PORT=19092
services: $(VENV)/test.stamp
	@$(VENV)/bin/python -m tests.services start

services-stop: $(VENV)/test.stamp
	@$(VENV)/bin/python -m tests.services stop

clean:
	@test ! -d .cache/services || $(VENV)/bin/python -m tests.services stop
	rm -rf .cache dist build *.egg-info
