.DEFAULT_GOAL := help
# A command fails with the first of its pipe that does.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
.PHONY: help install run psql policy-preview explain draw_judgement_sample review lint lint-sql \
	lint-the-rest test test-built test-unbuilt test-postgres15 test-slow bench bench-growth lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := benchmarks
IMAGES ?= 200000
ROUNDS ?= 3
SQL := functions models tests/evidence tests/label_policy tests/models

# The user's files for `make run`; exported, so that no shell reads what is in them.
LABELS ?=
CATALOG ?=
IMAGE ?=
# Which labels, how many tags a label and accuracy bin, and which draw.
LABEL ?=
EACH ?= 5
SEED ?= 1
# How the preview is written.
FORMAT ?= text
export LABELS CATALOG IMAGE LABEL EACH SEED FORMAT

help: ## list these commands
	@grep -hE '^[a-z_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

# A virtual environment knows the folder it was made in: one that was copied, or moved, with the project
# is made anew. It may lie behind a link; of one of 0.2, whose file is empty, the folder is not known.
moved = $(shell [ ! -s $(1)/installed ] || \
	[ "$$(cat $(1)/installed)" = "$$(cd -P $(1)/.. && pwd)" ] || echo $(1)/installed)
.PHONY: $(call moved,$(VENV)) $(call moved,$(BENCH)/.venv)

# One of another project, behind a link, is left alone. Of Ctrl-C one sentence is said, not what venv and pip
# say of it.
define make_environment
	@[ ! -L $(@D) ] || rm $(@D)
	@trap 'echo "Error: interrupted; run the same command again to go on" >&2; exit 130' INT; \
	said=$$({ $(PYTHON) -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet --no-deps \
		--require-hashes --disable-pip-version-check --requirement $<; } 2>&1) || \
		{ echo "$$said" >&2; exit 1; }
	@(cd -P $(@D)/.. && pwd) >$@
endef

install: $(VENV)/installed ## make the virtual environment from requirements.lock

$(VENV)/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }
	@echo "▸ Installing what requirements.lock pins into $(VENV), once"
	$(make_environment)

run: install ## from label files to published tags; LABELS=… CATALOG=… for your own files
	@$(BIN)/python -m trial run --labels "$$LABELS" --catalog "$$CATALOG"

psql: install ## open the database in psql
	@PGOPTIONS='-c search_path=refinery' $(BIN)/python -m trial psql

policy-preview: install ## what your edits in seeds/label_policy would change; FORMAT=markdown for a pull request
	@$(BIN)/python -m review preview --format "$$FORMAT"

explain: install ## why each tag of an image is or is not shown: IMAGE=<identifier>
	@$(BIN)/python -m review explain "$$IMAGE"

draw_judgement_sample: install ## tags for people to judge, as CSV; LABEL='Cat, Dog' EACH=5 SEED=1
	@$(BIN)/python -m review draw-sample --each "$$EACH" --seed "$$SEED" -- $${LABEL:+"$$LABEL"}

review: install ## the page on which labels are reviewed: label-review/index.html
	@$(BIN)/python -m review page

lint: install ## ruff, sqlfluff, the label policy's files, the CI's workflow, dbt parse, the conventions
	@$(MAKE) --no-print-directory --jobs 2 lint-sql lint-the-rest

lint-sql: # takes two thirds of the time
	@$(BIN)/sqlfluff lint --disable-progress-bar $(SQL)
lint-the-rest:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/python -m review check
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	@$(BIN)/dbt --quiet --warn-error parse --no-partial-parse
	@$(BIN)/zizmor --quiet --offline .github/workflows >target/zizmor.log || { cat target/zizmor.log >&2; exit 1; }
	@COLUMNS=160 $(BIN)/dbt-bouncer run --config-file dbt-bouncer.yml >target/dbt-bouncer.log 2>&1 || \
		{ cat target/dbt-bouncer.log >&2; exit 1; }

test: install ## everything that is checked, each promise once: lint, dbt's tests and pytest
	@$(MAKE) --no-print-directory --jobs 4 test-built test-unbuilt test-postgres15 lint-sql lint-the-rest

# pytest's groups, a process each: what is built on a server is built once in it. The longest is begun first.
test-built: ## of `make test`: what needs the project in a database
	$(call pytest,built and not postgres15 and not slow)
test-unbuilt: ## of `make test`: what does not
	$(call pytest,not built and not postgres15 and not slow)
test-postgres15: ## of `make test`: what differs by version, on Debian's Postgres 15
	$(call pytest,postgres15 and not slow)

test-slow: install $(BENCH)/.venv/installed ## many rounds of what `make test` does once, and every other target of make
	$(call pytest,slow)

# Each line of dots begins with the group, and ends with how many tests of how many are done.
pytest = @COLUMNS=60 $(BIN)/python -m pytest --quiet --durations=10 -m "$(1)" | sed -u "s/^/$(@:test-%=%)	/"

bench: $(BENCH)/.venv/installed ## measure it against other ways to do the same; under 10 minutes, IMAGES=200000
	@$(BENCH)/.venv/bin/python -m benchmarks --images $(IMAGES) --rounds $(ROUNDS)

bench-growth: $(BENCH)/.venv/installed ## measure how the time grows from 50,000 to 800,000 images, ours and DuckDB
	@$(BENCH)/.venv/bin/python -m benchmarks --growth --images $(IMAGES) --rounds $(ROUNDS)

$(BENCH)/.venv/installed: $(BENCH)/requirements.lock
	@echo "▸ Installing what $< pins into $(BENCH)/.venv, once"
	$(make_environment)

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: ## resolve pyproject.toml into requirements.lock and the benchmark's; needs uv
	@$(LOCK) --group bench pyproject.toml --output-file $(BENCH)/requirements.lock
	@$(LOCK) --group dev --constraint $(BENCH)/requirements.lock pyproject.toml \
		--output-file requirements.lock

clean: ## stop the embedded server and delete all that make and dbt have made
	@[ ! -e .postgres ] || $(BIN)/python -m trial server remove
	@rm -rf $(VENV) $(BENCH)/.venv $(BENCH)/data sample label-review target logs
	@rm -rf .pytest_cache .ruff_cache .hypothesis
