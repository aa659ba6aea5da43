# Targets for tests and benchmarks; included by the Makefile.
.PHONY: test test-all test-machine soak test-pythons bench bench-peers bench-preview bench-growth bench-scan bench-serving recordings

test: $(UV) ## checks style and types, and runs the tests of a pull request
	@$(RUN) python -m tests.all

test-machine: $(UV) ## runs make lab on an emulated stock Debian server (half an hour; needs qemu-system-x86, mmdebstrap)
	@$(RUN) python -m tests.machine

test-all: $(UV) ## like test, with the nightly tests
	@$(RUN) python -m tests.all --everything

soak: $(UV) ## breaks a lab at random under requests for SOAK_MINUTES (30), from SOAK_SEED
	@$(RUN) python -m tests.soak

test-pythons: $(UV) ## runs the agent's tests and the pure ones on the Pythons of Debian's releases (root, debootstrap)
	@$(RUN) python -m tests.pythons

bench-preview: $(UV) ## measures previews; no lab
	@$(RUN) python -m benchmarks.preview

bench-growth: $(UV) ## measures what many hosts cost a stack; no lab
	@$(RUN) python -m benchmarks.growth

bench-serving: $(UV) ## measures a site of a running lab beside a hand-tuned one (needs nghttp2-client)
	@$(RUN) python -m benchmarks.serving

bench-scan: $(UV) ## measures infra scan-regions; no lab
	@$(RUN) python -m benchmarks.scan

bench: $(UV) ## measures the figures of benchmarks/README.md in a running lab
	@$(RUN) python -m benchmarks

bench-peers: $(UV) ## measures this program beside Ansible, pyinfra, a plain Pulumi program and tar over SSH, in a running lab (hours)
	@$(RUN) python -m benchmarks.peers --write

recordings: $(UV) ## records the README's terminal sessions in a running lab
	@$(RUN) python -m benchmarks.recording
