# `make lab` shows what there is, on this machine; see README.md. Targets of the tests are in tests/tests.mk.
SHELL := /bin/sh
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-uv.txt)
OWN_UV := $(CURDIR)/.tools/uv/bin/uv
export UV := $(or $(shell command -v uv 2>/dev/null),$(OWN_UV))
# The machine's own Python, and never one that would have to be downloaded
export UV_PYTHON_DOWNLOADS := never
# Compiled once and kept: pulumi_aws is large, and half of a preview would be its compilation
unexport PYTHONDONTWRITEBYTECODE
RUN := $(UV) run --quiet --frozen
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help environment lab lab-check lab-down lab-status rehearse-move rehearse-down check
help: ## what make can do here
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

lab: $(UV) ## from nothing to every service answering
	@test -d .venv || echo "the environment of this checkout is made first, usually within a minute"
	@$(RUN) python -m lab up

lab-down: $(UV) ## removes all that `make lab` made
	@$(RUN) python -m lab down

lab-check: $(UV) ## what this machine needs for a lab; installs nothing
	@$(RUN) python -m lab check

lab-status: $(UV)
	@$(RUN) python -m lab status

rehearse-move: $(UV) ## a whole region move, before your eyes
	@$(RUN) python -m lab rehearse-move

rehearse-down: $(UV) ## removes what rehearse-move left to look at
	@$(RUN) python -m lab rehearse-down

check: $(UV) ## the catalogue's checks on every stack
	@for file in Pulumi.*.yaml; do stack=$${file#Pulumi.}; $(RUN) infra check --stack $${stack%.yaml} || exit 1; done

environment: $(UV) ## .venv, as the lock file says
	@$(UV) sync --quiet --frozen

$(OWN_UV):
	@echo "bringing uv $(UV_VERSION) into .tools/ (an environment of this checkout's own)"
	@python3 -m venv .tools/uv 2>/dev/null || { \
	  $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y python3-venv && python3 -m venv --clear .tools/uv; }
	@.tools/uv/bin/pip install --quiet --require-hashes -r requirements-uv.txt

-include tests/tests.mk
