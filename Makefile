# Every target sets itself up and is quick when nothing changed. `make` alone lists them.
# Needed on the machine: make and Python 3.11 or newer; `make build` also wants a Python 3.13 to compile the layers for Lambda.

PYTHON ?= python3
PORT ?= 8080
DATA ?= .local
DEMO ?= 1

.DEFAULT_GOAL := help
.PHONY: help run test check bench build deploy clean lock .venv .venv-tools

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# ---- environments ----------------------------------------------------------------------------------------------------
# A stamp named after the lock's checksum says that an environment holds exactly what its lock lists.

key = $(shell cksum < $(1) | cut -d' ' -f1)
run_ready := .venv/.run-$(call key,requirements/run.txt)
test_ready := .venv/.test-$(call key,requirements/test.txt)
tools_ready := .venv-tools/.tools-$(call key,requirements/tools.txt)

define create_environment
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Atelier needs Python 3.11 or newer; say which with PYTHON=…")'
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@test -x $(1)/bin/uv || $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt || echo "uv cannot be used here: pip takes its place"
endef

# $(call install,environment,lock,uv's verb)
define install
	@echo "$(1): installing what $(2) pins"
	@if $(1)/bin/uv --version >/dev/null 2>&1; \
		then $(1)/bin/uv pip $(3) --quiet --python $(1)/bin/python --require-hashes $(2); \
		else $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2); fi
endef

.venv: $(test_ready) ## what runs the product and its tests (`make run` alone installs less)
.venv-tools: $(tools_ready)

$(run_ready): requirements/run.txt
	$(call create_environment,.venv)
	$(call install,.venv,requirements/run.txt,install -r)
	@rm -f .venv/.run-* .venv/.test-*; touch $@

$(test_ready): requirements/test.txt
	$(call create_environment,.venv)
	$(call install,.venv,requirements/test.txt,sync)
	@rm -f .venv/.run-* .venv/.test-*; touch $@ $(run_ready)

$(tools_ready): requirements/tools.txt
	$(call create_environment,.venv-tools)
	$(call install,.venv-tools,requirements/tools.txt,sync)
	@rm -f .venv-tools/.tools-*; touch $@

lock: .venv ## pin the newest versions that pyproject.toml allows
	@.venv/bin/python requirements/lock.py

run: $(run_ready) ## start the whole stack on this machine [PORT=8080] [DATA=.local] [DEMO=0]
	@.venv/bin/python -m infra.local --port $(PORT) --data $(DATA) --demo $(DEMO)
