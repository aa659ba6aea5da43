# `make help` lists the targets; `make lab` runs the whole project on this machine (README.md). Test targets: tests/tests.mk.
SHELL := /bin/sh
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-uv.txt)
OWN_UV := $(CURDIR)/.tools/uv/bin/uv
export UV := $(or $(shell command -v uv 2>/dev/null),$(OWN_UV))
# Use the machine's own Python; never download one
export UV_PYTHON_DOWNLOADS := never
# Keep compiled modules: pulumi_aws is large, and compiling it would take half of a preview's time
unexport PYTHONDONTWRITEBYTECODE
RUN := $(UV) run --quiet --frozen
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help environment lab lab-check lab-down lab-status rehearse-move rehearse-down check
help: ## lists these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

lab: $(UV) ## starts the lab and deploys every service in it
	@test -d .venv || echo "creating this checkout's Python environment first, usually within a minute"
	@$(RUN) python -m lab up

lab-down: $(UV) ## removes all that `make lab` created
	@$(RUN) python -m lab down

lab-check: $(UV) ## shows what this machine lacks for a lab; installs nothing
	@$(RUN) python -m lab check

lab-status: $(UV) ## shows whether each service of the lab answers
	@$(RUN) python -m lab status

rehearse-move: $(UV) ## rehearses a whole region move in a lab of its own
	@$(RUN) python -m lab rehearse-move

rehearse-down: $(UV) ## removes the lab of rehearse-move
	@$(RUN) python -m lab rehearse-down

check: $(UV) ## runs infra check on every stack
	@for file in Pulumi.*.yaml; do stack=$${file#Pulumi.}; $(RUN) infra check --stack $${stack%.yaml} || exit 1; done

environment: $(UV) ## creates .venv from the lock file
	@$(UV) sync --quiet --frozen

$(OWN_UV):
	@echo "installing uv $(UV_VERSION) into .tools/ of this checkout"
	@python3 -m venv .tools/uv 2>/dev/null || { \
	  $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y python3-venv && python3 -m venv --clear .tools/uv; }
	@.tools/uv/bin/pip install --quiet --require-hashes -r requirements-uv.txt

-include tests/tests.mk
