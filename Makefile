PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
OLDEST = .cache/oldest
OLDEST_UNITS = tests/unit/node tests/unit/authoring tests/unit/test_prefect_private.py tests/unit/test_embedded_database.py tests/unit/test_embedded_schemas.py
PIP = $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)
NAME ?= start

.PHONY: demo docs test test-oldest test-kubernetes check unit parity corpus bench chaos services services-stop clean

# The environment, made once and again whenever what it is made of changes.
$(VENV)/run.stamp: pyproject.toml $(CONSTRAINTS)
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

$(VENV)/docs.stamp: $(VENV)/test.stamp
	@echo "Installing what makes the documentation ..."
	@$(PIP) --editable '.[test,docs]'
	@touch $@

demo: $(VENV)/run.stamp
	@$(VENV)/bin/skald demo $(ARGS)

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --cache-dir .cache/import-linter

# The reference from the code, and all of docs/ as a site in build/site.
docs: $(VENV)/docs.stamp
	@$(VENV)/bin/python -m tests.docs
	@$(VENV)/bin/zensical build --strict --clean

# Modules are given to a few processes, in the order of tests/conftest.py: one more than there are cores, as tests
# wait a third of their time.
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n + 1 : 4)))
SHARED_OUT = -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# Everything: up to an hour on two cores.
test: check
	$(VENV)/bin/pytest $(SHARED_OUT) $(ARGS)

# On the oldest Prefect that is supported: units of what leans on Prefect, the journeys marked so, the demo.
test-oldest: $(OLDEST)/constraints.txt
	@$(MAKE) --no-print-directory VENV=$(OLDEST)/venv CONSTRAINTS=$< $(OLDEST)/venv/test.stamp
	$(OLDEST)/venv/bin/pytest $(OLDEST_UNITS) $(SHARED_OUT) $(ARGS)
	$(OLDEST)/venv/bin/pytest tests/integration -m oldest $(SHARED_OUT) $(ARGS)
	$(OLDEST)/venv/bin/skald demo --out $(OLDEST)/demo

# constraints.txt with the lines of constraints-oldest.txt in place of its own.
$(OLDEST)/constraints.txt: constraints-oldest.txt constraints.txt
	@mkdir -p $(@D)
	@awk -F== 'FNR == NR { old[$$1]; print; next } !($$1 in old)' $^ > $@

# On a Kubernetes control plane of its own, which Go builds once, for some minutes; not a part of `make test`.
test-kubernetes: $(VENV)/kubernetes.stamp
	$(VENV)/bin/pytest tests/kubernetes -m kubernetes $(ARGS)

unit: $(VENV)/test.stamp
	$(VENV)/bin/pytest tests/unit $(ARGS)

# Every case of tests/parity on a stock worker and on a node, a quarter of an hour; make parity ARGS="-k sharing"
# START=cold (or forked, imported): as if every deployment said `start: cold`.
parity: $(VENV)/test.stamp
	@PARITY=all PARITY_START=$(START) $(VENV)/bin/pytest tests/parity $(ARGS)

# Every input of tests/media_corpus through the media tasks, of which `make test` takes a tenth.
corpus: $(VENV)/test.stamp
	@CORPUS=all $(VENV)/bin/pytest tests/media_corpus -n 2 $(ARGS)

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
