# The commands of a newcomer: make demo, make test, make clean. Everything else is a part of these.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Debian's own Python, whose version a virtual fleet's machine is known to have: 3.11 on Debian 12, 3.13 on 13.
PYTHON ?= /usr/bin/python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

VENV := .venv/locked-$(shell sha256sum requirements/control.txt | cut -c1-12)
STAGE := tools/step
LAB := ansible-playbook -i inventory/lab
# In the demo, what is as it should be stays unsaid.
QUIET := ANSIBLE_DISPLAY_OK_HOSTS=false ANSIBLE_DISPLAY_SKIPPED_HOSTS=false

.PHONY: help
help:
	@echo "make demo       boot a virtual fleet, build projects from PyPI, install them on a virtual Pi"
	@echo "make test       prove everything: lint, the code's units on two Pythons, integration, Molecule"
	@echo "make unit       the units alone, in some three minutes"
	@echo "make soak       repeat the tests that kill at random moments, each time with a new seed: SEED=1 MINUTES=60"
	@echo "make converge   boot and provision a fleet for tests; make verify FILE=molecule/… and make soak-fleet run on it"
	@echo "make lint       ansible-lint, yamllint, ruff and mypy"
	@echo "make bench      measure what the machinery costs, on the fleet of make demo; bench-database needs no fleet"
	@echo "make clean      remove the virtual fleets and the Python environment; distclean: the cached images too"
	@echo "make docs       generate the roles' READMEs and docs/settings.md from the argument specs"
	@echo "make lock       lock the newest versions of what requirements/*.in name"

# --- The demo ---------------------------------------------------------------------------------------------------------

.PHONY: demo
demo:
	@$(STAGE) "Check this machine" $(PYTHON) -m lab.preflight
	@$(STAGE) "Make the Python environment" $(MAKE) --no-print-directory venv
	@$(QUIET) $(STAGE) "Boot the virtual fleet (the first time, its images take some six minutes)" $(LAB) lab/playbooks/lab.yml
	@$(QUIET) $(STAGE) "Make the farm's secrets" $(LAB) playbooks/secrets.yml
	@$(QUIET) $(STAGE) "Provision the farm: site.yml" $(LAB) site.yml
	@$(QUIET) $(STAGE) "Build and publish: build.yml" $(LAB) build.yml
	@ANSIBLE_DISPLAY_SKIPPED_HOSTS=false $(STAGE) "Install from the farm, on a user's Pi" $(LAB) lab/playbooks/demo.yml

# --- The Python environment -------------------------------------------------------------------------------------------

.PHONY: venv
venv: $(VENV)

$(VENV):
	@tools/debian-packages python3-venv python3-dev gcc libpq-dev openssh-client rsync
	$(PYTHON) -m venv --clear .venv
	@# Of Ansible's many collections few are used: what is, Python compiles the first time.
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/control.txt
	@touch $@

.PHONY: lock
lock: venv
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip install --quiet uv
	@for name in control master; do \
	  (cd requirements && ../.venv/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header $$name.in --output-file $$name.txt) || exit 1; \
	done
	rm -r .venv/lock

.PHONY: docs
docs: venv
	python -m tools.docs

# --- Proof ------------------------------------------------------------------------------------------------------------

.PHONY: test
test: venv
	@tools/test-stages molecule lint unit unit-other integration molecule-single

.PHONY: lint
lint: venv
	ruff check .
	ruff format --check .
	mypy
	yamllint --strict .
	ansible-lint --offline

.PHONY: unit
unit: venv
	pytest tests/unit

# The code that runs on the farm's hosts. Playbooks are the control node's, and make unit runs them.
.PHONY: unit-other
unit-other: venv
	$(QUIET) $(LAB) lab/playbooks/tools.yml
	python -m tools.other_python tests/unit --ignore=tests/unit/inventory \
	  --ignore=tests/unit/inventory_plugins --ignore=tests/unit/playbooks --ignore=tests/unit/roles

.PHONY: integration
integration: venv
	@tools/debian-packages postgresql nginx libnginx-mod-http-js rsync tinyproxy-bin
	pytest tests/integration

SEED ?= 1
MINUTES ?= 60

# Prints for each run the command that repeats it; a test that fails prints its own, too.
.PHONY: soak
soak: venv
	@tools/debian-packages postgresql
	@end=$$((SECONDS + 60 * $(MINUTES))); \
	for ((seed = $(SEED); SECONDS < end; seed++)); do \
	  run="pytest -m soak --soak-seed=$$seed tests/unit tests/integration"; \
	  echo "$$run"; \
	  $$run --quiet --exitfirst || exit 1; \
	done

# What a run that was cut off has left is no ground to test on.
.PHONY: molecule
molecule: venv
	@$(QUIET) $(LAB) lab/playbooks/lab.yml -e lab_state=absent -e lab_name=test > /dev/null
	@molecule reset --all --exclude single > /dev/null
	molecule test --no-command-borders --shared-state --scenario-name fleet --scenario-name faults

.PHONY: molecule-single
molecule-single: venv
	@$(QUIET) $(LAB) lab/playbooks/lab.yml -e lab_state=absent -e lab_name=test-single > /dev/null
	@molecule reset --scenario-name single > /dev/null
	molecule test --no-command-borders --scenario-name single

# A fleet to run single files of Molecule's on, which stays until make clean.
.PHONY: converge
converge: venv
	molecule converge --no-command-borders --shared-state --scenario-name fleet

verify soak-fleet: export WHEELYARD_LAB := test
verify soak-fleet: export MOLECULE_PROJECT_DIRECTORY := $(CURDIR)

.PHONY: verify
verify: venv
	$(LAB) -i molecule/inventory $(FILE)

# As soak, on the fleet of make converge.
.PHONY: soak-fleet
soak-fleet: venv
	@end=$$((SECONDS + 60 * $(MINUTES))); \
	for ((seed = $(SEED); SECONDS < end; seed++)); do \
	  run="$(LAB) -i molecule/inventory molecule/faults/verify/kills.yml -e kills_wanted=30 -e kills_seed=$$seed"; \
	  echo "$$run"; \
	  $$run || exit 1; \
	done

.PHONY: bench
bench: venv
	ANSIBLE_DISPLAY_SKIPPED_HOSTS=false $(LAB) tests/bench/bench.yml
	@$(MAKE) --no-print-directory bench-database

.PHONY: bench-database
bench-database: venv
	@tools/debian-packages postgresql
	python -m tests.bench.database

# --- Cleaning up ------------------------------------------------------------------------------------------------------

.PHONY: clean
clean:
	@for state in $(wildcard /var/lib/wheelyard-lab/*/); do \
	  $(MAKE) --no-print-directory venv && \
	  $(QUIET) $(STAGE) "Remove the fleet $$(basename $$state)" \
	    $(LAB) lab/playbooks/lab.yml -e lab_state=absent -e lab_name=$$(basename $$state) || exit 1; \
	done
	rm -rf .venv .ansible .mypy_cache .pytest_cache .ruff_cache /var/lib/wheelyard-lab

.PHONY: distclean
distclean: clean
	rm -rf /var/cache/wheelyard ~/.cache/wheelyard
