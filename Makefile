# Every target installs what it needs and is quick when nothing has changed. `make` alone lists the targets.
# Requirements: make and Python 3.11 or newer; `make build` also needs a Python 3.13 to compile the layers for Lambda.

PYTHON ?= python3
PORT ?= 8080
DATA ?= .local
DEMO ?= 1
SIMULATORS ?= 0
STACK ?= atelier
STAGE ?= production

.DEFAULT_GOAL := help
.PHONY: help run backup restore test check bench scale build deploy verify-email admin stripe-sync analytics-rebuild sql fire-alarm clean lock .venv .venv-tools .venv-clients

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# ---- environments ----------------------------------------------------------------------------------------------------
# A stamp file named after the lock's checksum shows that an environment contains exactly what its lock lists.

key = $(shell cksum < $(1) | cut -d' ' -f1)
run_ready := .venv/.run-$(call key,.ci/locks/run.txt)
test_ready := .venv/.test-$(call key,.ci/locks/test.txt)
tools_ready := .venv-tools/.tools-$(call key,.ci/locks/tools.txt)
checkov_ready := .venv-checkov/.checkov-$(call key,.ci/locks/checkov.txt)
clients_ready := .venv-clients/.clients-$(call key,.ci/locks/clients.txt)
judges_ready := tests/judges/node_modules/.ready-$(call key,tests/judges/package-lock.json)

define create_environment
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Atelier needs Python 3.11 or newer; say which with PYTHON=…")'
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@test -x $(1)/bin/uv || $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/locks/bootstrap.txt || echo "uv cannot be used here: pip takes its place"
endef

# $(call install,environment,lock,uv's verb,and its name for a lock). A lock names everything that is needed, so nothing else
# is looked for.
define install
	@echo "$(1): installing what $(2) pins"
	@if $(1)/bin/uv --version >/dev/null 2>&1; \
		then $(1)/bin/uv pip $(3) --quiet --python $(1)/bin/python --require-hashes $(4) $(2); \
		else $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(2); fi
endef

.venv: $(test_ready) ## what runs the product and its tests (`make run` alone installs less)
.venv-tools: $(tools_ready)
.venv-clients: $(clients_ready)

$(run_ready):
	$(call create_environment,.venv)
	$(call install,.venv,.ci/locks/run.txt,install --no-deps,--requirement)
	@rm -f .venv/.run-* .venv/.test-*; touch $@

$(test_ready):
	$(call create_environment,.venv)
	$(call install,.venv,.ci/locks/test.txt,sync)
	@rm -f .venv/.run-* .venv/.test-*; touch $@ $(run_ready)

$(tools_ready):
	$(call create_environment,.venv-tools)
	$(call install,.venv-tools,.ci/locks/tools.txt,sync)
	@rm -f .venv-tools/.tools-*; touch $@

# Third-party clients of the API, for tests. Where they cannot be installed, the tests that need them report that they do
# not run. uv comes from .venv, because this environment contains only what its lock lists.
$(clients_ready): $(test_ready)
	@echo ".venv-clients: installing what .ci/locks/clients.txt pins"
	@{ $(PYTHON) -m venv .venv-clients && \
		if .venv/bin/uv --version >/dev/null 2>&1; \
			then .venv/bin/uv pip sync --quiet --python .venv-clients/bin/python --require-hashes .ci/locks/clients.txt; \
			else .venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/locks/clients.txt; \
		fi; } && rm -f .venv-clients/.clients-* && touch $@ || echo "they cannot be installed here, and are left out"

# Checks of security rules for templates. Where it cannot be installed, `make check` says that this check is not run.
$(checkov_ready): $(tools_ready)
	@echo ".venv-checkov: installing what .ci/locks/checkov.txt pins"
	@{ $(PYTHON) -m venv .venv-checkov && \
		if .venv-tools/bin/uv --version >/dev/null 2>&1; \
			then .venv-tools/bin/uv pip sync --quiet --python .venv-checkov/bin/python --require-hashes .ci/locks/checkov.txt; \
			else .venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/locks/checkov.txt; \
		fi; } && rm -f .venv-checkov/.checkov-* && touch $@ || echo "checkov cannot be installed here, and is left out"

compile = .venv/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --annotation-style line \
	--python-version

lock: .venv ## pin the newest versions that pyproject.toml allows
	@for group in bootstrap test tools clients checkov; do \
		$(compile) 3.11 --group $$group --output-file .ci/locks/$$group.txt || exit 1; done
	@$(compile) 3.11 --group run --constraint .ci/locks/test.txt --output-file .ci/locks/run.txt
	@for layer in runtime media ai video webauthn oauth mail charts duckdb age pages sentry calendar dns studio; do $(compile) 3.13 --group layer-$$layer --constraint .ci/locks/test.txt \
		--output-file layers/dependencies/$$layer/requirements.txt || exit 1; done
	@$(compile) 3.13 --no-deps --group layer-stripe --constraint .ci/locks/test.txt \
		--output-file layers/dependencies/stripe/requirements.txt

# Third-party npm packages that check our API, for tests. Without npm, the tests that need them report that they do not run.
$(judges_ready):
	@if command -v npm >/dev/null; then echo "tests/judges: installing what package-lock.json pins"; \
		npm ci --prefix tests/judges --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch $@ \
		|| echo "npm cannot be used here: its judges are left out"; fi

# Programs that tests need. Where one cannot be installed, the tests that need it report that they do not run.
.PHONY: programs
programs:
	@.ci/programs

# ---- the product on this machine -------------------------------------------------------------------------------------

run: $(run_ready) ## start the whole stack on this machine [PORT=8080] [DATA=.local] [DEMO=0] [SIMULATORS=1: all providers, offline]
	@.venv/bin/python -m infra.local --port $(PORT) --data $(DATA) --demo $(DEMO) --simulators $(SIMULATORS)

# The folder has the stack's secrets, so it is readable by its owner alone.
backup: $(run_ready) ## back up a local stack, running or not: TO=folder [DATA=.local]
	@test -n "$(TO)" || { echo "say where to: TO=folder"; exit 1; }
	@.venv/bin/python -m infra.local.backup backup --data $(DATA) --to $(TO)

# With BACKUP=bak_… it restores a deployment's backup on AWS: docs/backups.md.
restore: $(run_ready) ## restore: FROM=folder [DATA=.local], a new one; or STACK=… BACKUP=bak_… or AT=time [BUCKET=…] [KNOWN=key.pem] [ERASURES=table] [ONLY=wsp_… TO=folder] [APPLY=1]
	@test -n "$(FROM)$(BACKUP)$(AT)" || { echo "say from where: FROM=folder, or STACK=… BACKUP=bak_…"; exit 1; }
	@.venv/bin/python $(if $(BACKUP)$(AT),-m infra.restore --stack-name $(STACK) $(if $(BACKUP),--backup "$(BACKUP)") $(if $(AT),--at "$(AT)") $(if $(BUCKET),--bucket $(BUCKET)) \
		$(if $(KNOWN),--known "$(KNOWN)") $(if $(ERASURES),--erasures $(ERASURES)) $(if $(ONLY),--only $(ONLY)) $(if $(TO),--to "$(TO)") \
		$(if $(APPLY),--apply) $(ARGS),-m infra.local.backup restore --data $(DATA) --from $(FROM))

bench: $(test_ready) ## measure against references in the same run: a table, and .bench/results.json [ROWS=1,2,…], or beside an older commit [BESIDE=450f53c RUNS=3]
	@.venv/bin/python -m $(if $(BESIDE),tests.bench.beside $(BESIDE) --runs $(or $(RUNS),3),tests.bench) $(if $(ROWS),--rows $(ROWS))

scale: $(test_ready) ## compute and simulate which limit of AWS gives way first at 1, 100 and 5,000 generations a second
	@PYTHONPATH=layers/atelier/python .venv/bin/python -m tests.bench.scale

# ---- what must hold --------------------------------------------------------------------------------------------------

# The checks run beside the tests, which leave a part of two processors unused. `make check` alone is the quick way to them.
test: $(test_ready) $(tools_ready) $(judges_ready) $(clients_ready) programs ## everything that CI runs [ARGS=pytest's arguments]
	@$(MAKE) --no-print-directory check & checks=$$!; failed=$$(mktemp); \
	FAILED_TESTS=$$failed .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS); tests=$$?; \
	if [ $$tests = 1 ]; then .venv/bin/python -m tests.second_try $$failed; tests=$$?; fi; rm -f $$failed; \
	wait $$checks || { echo "a check has failed: run make check"; exit 1; }; exit $$tests

together := --no-print-directory -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
checks := check-types check-sam check-template check-style check-arrows check-security check-rules check-machines check-openapi check-static

check: $(test_ready) $(tools_ready) ## style, types, imports between contexts, templates, state machines, security
	@passed=$$(mktemp -d) failed=; $(MAKE) --keep-going $(together) PASSED=$$passed $(checks) || failed=yes; \
	if [ "$$failed" ]; then failed=; for name in $(checks); do [ -e $$passed/$$name ] || failed="$$failed $$name"; done; fi; \
	rm -r $$passed; [ -z "$$failed" ] || { echo "failed:$$failed (each also runs alone: make$$failed)"; exit 1; }

tool := @.venv-tools/bin
templates := $(wildcard template.yaml infra/*.yaml)
machines := $(wildcard statemachines/*.asl.yaml)

# `check` names the checks that left no note here.
note_success = @[ -z "$(PASSED)" ] || touch "$(PASSED)/$@"

.PHONY: $(checks)
check-style:
	$(tool)/ruff check --quiet .
	$(tool)/ruff format --check --quiet . || { echo "run .venv-tools/bin/ruff format"; exit 1; }
	@echo "style: ok"
	$(note_success)

check-types:
	$(tool)/basedpyright --warnings
	$(note_success)

check-arrows:
	@PYTHONPATH=layers/atelier/python:layers/studio/python .venv-tools/bin/lint-imports --no-cache --no-logo
	$(note_success)

check-security:
	$(tool)/bandit --quiet --configfile pyproject.toml --recursive functions layers/atelier
	$(tool)/bandit --quiet --configfile pyproject.toml --recursive --severity-level medium infra layers/dependencies layers/studio
	@echo "security: ok"
	$(note_success)

# .checkov.yaml says why each rule that is not held is not held. It is offline: nothing is sent, and no rule is downloaded.
check-rules: $(checkov_ready)
	@if [ -e $(checkov_ready) ]; then .venv-checkov/bin/python -m checkov.main --config-file .checkov.yaml --file $(templates) \
		&& echo "rules of security: ok"; else echo "rules of security: not run, checkov is not installed"; fi
	$(note_success)

check-template:
	$(tool)/cfn-lint $(templates)
	@echo "templates: ok"
	$(note_success)

# This needs neither credentials nor network: the region only tells the linter which resource types exist.
check-sam: export AWS_DEFAULT_REGION := us-east-1
check-sam: export SAM_CLI_TELEMETRY := 0
check-sam:
	$(tool)/sam validate --lint --template template.yaml
	$(note_success)

check-machines:
	@for machine in $(machines); do .venv-tools/bin/statelint --yaml $$machine || exit 1; done
	@echo "state machines: ok"
	$(note_success)

check-openapi:
	@.venv/bin/python -m infra.openapi --check && echo "openapi.json: ok"
	$(note_success)

check-static:
	@.venv/bin/python -m infra.static_files --check && echo "Studio's static files: ok"
	$(note_success)

# ---- AWS -------------------------------------------------------------------------------------------------------------

# The interpreter that compiles for Lambda: $LAMBDA_PYTHON, or one on the path, or one that a version manager installed.
lambda_python = $(shell for python in "$$LAMBDA_PYTHON" python3.13 "$$HOME"/.pyenv/versions/3.13.*/bin/python3.13 \
	"$$HOME"/.local/share/uv/python/cpython-3.13.*/bin/python3.13; do \
	"$$python" -c "import sys" 2>/dev/null && command -v "$$python" && break; done)
.PHONY: lambda-python
lambda-python:
	@echo "$(lambda_python)"

sources = $(shell find template.yaml functions layers statemachines infra/*.yaml -type f -not -path '*/__pycache__/*' 2>/dev/null)

build: .aws-sam/build/template.yaml ## what is deployed: functions and layers, compiled for python3.13 on arm64

.aws-sam/build/template.yaml: $(tools_ready) $(sources)
	@test -n "$(lambda_python)" || { echo "Building for Lambda needs a Python 3.13: say where with LAMBDA_PYTHON=…"; exit 1; }
	@mkdir -p .aws-sam && LAMBDA_PYTHON="$(lambda_python)" PATH="$(dir $(lambda_python)):$$PATH" \
		SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 \
		.venv-tools/bin/sam build --cached --parallel >.aws-sam/build.log 2>&1 || { cat .aws-sam/build.log; exit 1; }
	@find .aws-sam/build -name app.py | "$(lambda_python)" -m compileall -q --invalidation-mode unchecked-hash -i -
	@touch $@
	@echo "built: .aws-sam/build"

deploy: build ## to the AWS account of your credentials [STACK=atelier] [STAGE=production] [ARGS=sam deploy's arguments]
	@SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/.venv-tools/bin:$$PATH" \
		.venv-tools/bin/python -m infra.deploy --stack-name $(STACK) --stage $(STAGE) $(ARGS)

verify-email: $(tools_ready) ## say that a mailbox is its account's: EMAIL=… [STACK=atelier] [ARGS=--region …]
	@test -n "$(EMAIL)" || { echo "say whose: EMAIL=ada@example.com"; exit 1; }
	@.venv-tools/bin/python -m infra.verify_email --stack-name $(STACK) $(ARGS) "$(EMAIL)"

admin: $(tools_ready) ## make an account an administrator of the platform: EMAIL=… [STACK=… of AWS; without it the local stack under DATA]
	@test -n "$(EMAIL)" || { echo "say whose: EMAIL=ada@example.com"; exit 1; }
	@.venv-tools/bin/python -m infra.make_admin $(if $(filter command line,$(origin STACK)),--stack-name $(STACK)) --data $(DATA) $(ARGS) "$(EMAIL)"

stripe-sync: $(tools_ready) ## show how Stripe's prices differ from the price list; APPLY=1 writes them [STACK=atelier] [ARGS=--region …]
	@.venv-tools/bin/python -m infra.stripe_sync --stack-name $(STACK) $(if $(APPLY),--apply) $(ARGS)

analytics-rebuild: $(tools_ready) ## compare a workspace's sums with its records: WORKSPACE=…; REPAIR=1 adds what is missing [STACK=atelier] [ARGS=--region …]
	@test -n "$(WORKSPACE)" || { echo "say which: WORKSPACE=wsp_…"; exit 1; }
	@.venv-tools/bin/python -m infra.analytics_rebuild --stack-name $(STACK) $(if $(REPAIR),--repair) $(ARGS) "$(WORKSPACE)"

sql: $(test_ready) ## query the files for analysts: QUERY="SELECT …" or a saved query's name [STACK=… of AWS; without it the local stack under DATA]
	@test -n "$(QUERY)" || { echo 'say what: QUERY=cost_by_team, or QUERY="SELECT count(*) AS number FROM generations"'; exit 1; }
	@.venv/bin/python -m infra.sql $(if $(filter command line,$(origin STACK)),--stack-name $(STACK)) --data $(DATA) $(ARGS) "$(QUERY)"

fire-alarm: $(run_ready) ## make an alarm of the running local stack fire, as its runbook says: ALARM=LedgerDrift [DATA=.local]
	@test -n "$(ALARM)" || { echo "say which: ALARM=LedgerDrift"; exit 1; }
	@.venv/bin/python -m infra.local.fire_alarm --data $(DATA) "$(ALARM)"

clean: ## remove environments, builds and caches; what `make run` keeps under DATA stays
	@rm -rf .venv .venv-tools .venv-clients .venv-checkov tests/judges/node_modules .aws-sam .bench .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
