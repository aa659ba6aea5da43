# `make lab` and `make test` are all that a newcomer needs; see README.md.
SHELL := /bin/sh
UV_VERSION := 0.13.8
OWN_UV := .tools/uv/bin/uv
export UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/$(OWN_UV))
RUN := $(UV) run --quiet --frozen

.PHONY: lab lab-down lab-status test check bench
lab: $(UV)
	@$(RUN) python -m lab up

lab-down: $(UV)
	@$(RUN) python -m lab down

lab-status: $(UV)
	@$(RUN) python -m lab status

test: $(UV)
	@$(RUN) python -m tests.all

$(CURDIR)/$(OWN_UV):
	@echo "bringing uv $(UV_VERSION) into .tools/ (nothing else is changed)"
	@python3 lab/get_uv.py $(UV_VERSION) .tools/uv/bin
