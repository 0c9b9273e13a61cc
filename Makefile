# What each target does: make help. The logic is in local/ (Python); this file only names it.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
TOOLS  := .tools
PY     := $(TOOLS)/venv/bin/python
# Each worker starts parts of its own; most tests wait for one.
TEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run stop status clean distclean test unit lint lock smoke sql sources trace accept-gap backfill bench faults

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## bring the tool chain into .tools (implied by the others; done once)
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 is needed and none was found; install it, or name it with make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) -m local.setup $(SETUP_FOR)

# The client SDKs and a browser are for these only: `make run` does not wait for them.
test faults: SETUP_FOR := tests

run: setup ## run everything on this machine until Ctrl-C
	@$(PY) -m local.run $(ARGS)

stop: ## stop what `make run` started
	@if [ -x $(PY) ]; then $(PY) -m local stop; else echo "The stack does not run."; fi

status: ## what runs, where
	@if [ -x $(PY) ]; then $(PY) -m local status; else echo "The stack does not run."; fi

clean: ## delete the state of the stack
	@if [ -x $(PY) ]; then $(PY) -m local clean $(ARGS); fi

distclean: clean ## delete the tool chain as well
	rm -rf $(TOOLS) .mypy_cache .ruff_cache .pytest_cache

test: setup ## all tests on real parts, but the slow ones
	@$(PY) -m pytest -m "not slow" -n $(TEST_WORKERS) --dist loadfile

unit: setup ## the unit tests only
	@$(PY) -m pytest tests/unit

lint: setup ## ruff and mypy --strict
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy .

lock: setup ## resolve the locks again (make lock ARGS=--upgrade for newer versions)
	@$(PYTHON) -m local.setup lock $(ARGS)

smoke: setup ## post a known set, follow it to the vendor, compare ids at every hop
	@$(PY) -m local.smoke $(ARGS)

sql: export QUERY := $(value Q)
sql: setup ## a prompt on the warehouse stand-in (or make sql Q="SELECT …")
	@if [ -n "$$QUERY" ]; then $(PY) -m local.sql $(ARGS) "$$QUERY"; else $(PY) -m local.sql $(ARGS); fi

sources: setup ## the stack's sources and write keys (make sources ARGS="create my-app --name …"; ARGS=--help)
	@$(PY) -m local.sources $(or $(ARGS),list)

backfill: export FROM := $(value FROM)
backfill: export TO := $(value TO)
backfill: export MODE := $(value MODE)
backfill: export REASON := $(value REASON)
backfill: export PUBLISH := $(value PUBLISH)
backfill: export OCCURRED := $(value OCCURRED)
backfill: export RESUME := $(value RESUME)
backfill: setup ## rehearse or repair a range (make backfill FROM=2026-11-22 TO=2026-11-23 MODE=heal REASON="…"; ARGS=--help)
	@$(PY) -m local.backfill $(ARGS)

trace: export TRACE_ID := $(value ID)
trace: setup ## what became of one event, hop by hop (make trace ID=… [SOURCE=…])
	@$(PY) -m local.with_stack include.trace $(if $(SOURCE),--source "$(SOURCE)") $(ARGS) -- "$$TRACE_ID"

accept-gap: setup ## show what Kafka lost before it was staged (ARGS='--reason "…"' goes on without it)
	@$(PY) -m local.with_stack include.accept_gap $(ARGS)

bench: setup ## measure, and print one table with the limits
	@$(PY) -m bench

faults: setup ## the slow fault and load tests
	@$(PY) -m pytest -m slow
