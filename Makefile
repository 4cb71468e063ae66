# Everything a person or a CI does with this checkout. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh

BIN := .venv/bin
# What is linted and typed; bench/ and scripts/ are code like any other.
CODE := $(wildcard src tests bench scripts)
TESTS := tests/
JOBS := 3
# What decides and keeps identities; each part of it must be covered.
HEART := domain matching service stores
PROFILES := .profiles
# The tools that benches compare with; they never meet what the service needs.
PEERS := .venv-bench
DURATION := 30

.PHONY: help
help: ## List these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

.PHONY: install
install: ## Create .venv and install the service with its tools (quick when up to date)
	@sh scripts/set_up.sh

.PHONY: run
run: install ## Serve on http://127.0.0.1:8000, with a demo population on first start (ARGS=…)
	@$(BIN)/mpi serve --embedded --demo $(ARGS)

.PHONY: test
test: install ## Lint and run every test, at the same time
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

.PHONY: pytest
pytest: install ## Run every test; each part of the heart must be covered to 92 %
	@$(BIN)/python -m pytest $(TESTS) -n $(JOBS) --dist worksteal --cov --cov-report=term $(ARGS)
	@for part in $(HEART); do \
		printf 'Coverage of %s: ' $$part; \
		$(BIN)/coverage report --format=total --include="*/mpi/$$part/*" || exit 1; \
	done

.PHONY: proof
proof: install ## Races, crashes and hostile requests, as often as a proof needs (about 20 minutes)
	$(BIN)/python -m pytest tests/e2e -m proof --proof $(ARGS)

.PHONY: lint
lint: install ## Check style, format, types, layers and licences
	$(BIN)/ruff check $(CODE)
	$(BIN)/black --check --quiet $(CODE) || { $(BIN)/black --check $(CODE); exit 1; }
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_licences.py --quiet

.PHONY: format
format: install ## Mend what ruff and black can mend by themselves
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/black $(CODE)

.PHONY: bench
bench: install $(PEERS)/.installed ## Measure, beside floors and rivals; print tables (ARGS=…)
	@$(BIN)/python -m bench $(ARGS)

$(PEERS)/.installed: requirements-bench.txt
	@echo "Installing what the benches compare with into $(PEERS)"
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

.PHONY: profile
profile: install ## Record a flame graph with py-spy: of a new service, or of PID=…
	@mkdir -p $(PROFILES)
	$(BIN)/py-spy record --subprocesses --duration $(DURATION) --output $(PROFILES)/profile.svg \
		$(if $(PID),--pid $(PID),-- $(BIN)/mpi serve --embedded --demo $(ARGS))

.PHONY: memprofile
memprofile: install ## Record memory with mprof until the service is stopped, then print the peak
	@mkdir -p $(PROFILES)
	-$(BIN)/mprof run --include-children --output $(PROFILES)/memory.dat \
		$(BIN)/mpi serve --embedded --demo $(ARGS)
	@$(BIN)/mprof peak $(PROFILES)/memory.dat

.PHONY: constraints
constraints: ## Resolve constraints.txt anew; pins that fit are kept, unless UPGRADE=1
	@sh scripts/renew_constraints.sh $(if $(UPGRADE),--upgrade)

.PHONY: generate
generate: install ## Write docs/reference and the Grafana dashboard anew from the code
	@$(BIN)/python scripts/make_reference.py
	@$(BIN)/python scripts/make_dashboard.py

.PHONY: clean
clean: ## Remove the environment and every cache; no data is touched
	rm -rf .venv $(PEERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf .coverage htmlcov build dist site $(PROFILES)
