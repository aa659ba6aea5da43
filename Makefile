# `make lab` and `make test` are all that a newcomer needs; see README.md.
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

.PHONY: help environment lab lab-check lab-down lab-status rehearse-move rehearse-down test test-all test-machine test-pythons check bench bench-preview bench-scan
help: ## what make can do here
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

lab: $(UV) ## from nothing to WatchMe answering
	@test -d .venv || echo "the environment of this checkout is made first, usually within a minute"
	@$(RUN) python -m lab up

lab-down: $(UV) ## removes all that `make lab` made
	@$(RUN) python -m lab down

lab-check: $(UV) ## what this machine needs for a lab; installs nothing
	@$(RUN) python -m lab check

lab-status: $(UV)
	@$(RUN) python -m lab status

rehearse-move: $(UV) ## a whole region move, Sydney to Tokyo, before your eyes
	@$(RUN) python -m lab rehearse-move

rehearse-down: $(UV) ## removes what rehearse-move left to look at
	@$(RUN) python -m lab rehearse-down

test: $(UV) ## style, types, every test
	@$(RUN) python -m tests.all

test-machine: $(UV) ## make lab on a stock Debian server, emulated (half an hour; needs qemu-system-x86, mmdebstrap)
	@$(RUN) python -m tests.machine

test-all: $(UV) ## the nightly tests too
	@$(RUN) python -m tests.all --everything

test-pythons: $(UV) ## the agent, and the program's pure tests, on the Pythons of Debian's releases (root, debootstrap)
	@$(RUN) python -m tests.pythons

check: $(UV) ## the catalogue's checks on every stack
	@for stack in dev prod lab; do $(RUN) infra check --stack $$stack || exit 1; done

bench-preview: $(UV) ## measures previews; no lab
	@$(RUN) python -m benchmarks.preview

bench-scan: $(UV) ## measures infra scan-regions; no lab
	@$(RUN) python -m benchmarks.scan

environment: $(UV) ## .venv, as the lock file says
	@$(UV) sync --quiet --frozen

bench: $(UV) ## measures the figures of benchmarks/README.md
	@$(RUN) python -m benchmarks

$(OWN_UV):
	@echo "bringing uv $(UV_VERSION) into .tools/ (an environment of this checkout's own)"
	@python3 -m venv .tools/uv 2>/dev/null || { \
	  $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y python3-venv && python3 -m venv --clear .tools/uv; }
	@.tools/uv/bin/pip install --quiet --require-hashes -r requirements-uv.txt
