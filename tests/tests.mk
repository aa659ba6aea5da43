# What `make` can do with the tests and the benchmarks: part of the Makefile.
.PHONY: test test-all test-machine test-pythons bench bench-preview bench-scan

test: $(UV) ## style, types, every test
	@$(RUN) python -m tests.all

test-machine: $(UV) ## make lab on a stock Debian server, emulated (half an hour; needs qemu-system-x86, mmdebstrap)
	@$(RUN) python -m tests.machine

test-all: $(UV) ## the nightly tests too
	@$(RUN) python -m tests.all --everything

test-pythons: $(UV) ## the agent, and the program's pure tests, on the Pythons of Debian's releases (root, debootstrap)
	@$(RUN) python -m tests.pythons

bench-preview: $(UV) ## measures previews; no lab
	@$(RUN) python -m benchmarks.preview

bench-scan: $(UV) ## measures infra scan-regions; no lab
	@$(RUN) python -m benchmarks.scan

bench: $(UV) ## measures the figures of benchmarks/README.md
	@$(RUN) python -m benchmarks
