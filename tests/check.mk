# Everything that is run to find out whether it works. tests/run adds up; its last line is the result.
CLANG := $(shell command -v clang)
FUZZ_READY := $(if $(CLANG),$(FUZZ_BIN))
RUN_TESTS = STORAGED_MAKE="$(MAKE) ASAN=$(ASAN) SUFFIX=$(SUFFIX) CC=$(CC)" tests/run --build $(B) --lab-jobs $(LAB_JOBS)
SECONDS ?= 60

.PHONY: check-unit check-system check-fault check-fuzz soak-tests

check: all test-binaries contract-binaries $(FUZZ_READY) ## all tests; ends with `N passed, N failed, N skipped`
	$(Q)$(RUN_TESTS) unit contract abi system fault clusterfs fuzz layers lab

check-fast: all test-binaries contract-binaries $(FUZZ_READY) ## the same without what is slow, and without the lab
	$(Q)$(RUN_TESTS) --fast --fuzz-seconds 1 unit contract abi system fault clusterfs fuzz layers

check-unit: all test-binaries ## unit tests
	$(Q)$(RUN_TESTS) unit

check-system: all ## black-box tests of the daemon, its API and pvesm
	$(Q)$(RUN_TESTS) system

check-fault: all ## kill -9 at named steps, full disks
	$(Q)$(RUN_TESTS) fault

check-fuzz: $(FUZZ_READY) ## each fuzz target for a few seconds
	$(Q)$(RUN_TESTS) fuzz

check-asan: ## unit, contract and system tests with address and undefined-behaviour sanitizer
	$(Q)$(MAKE) --no-print-directory ASAN=1 all test-binaries contract-binaries
	$(Q)$(MAKE) --no-print-directory ASAN=1 run-asan

.PHONY: run-asan
run-asan:
	$(Q)$(RUN_TESTS) --fast unit contract system

check-valgrind: all test-binaries ## unit tests and a daemon under valgrind
	$(Q)$(RUN_TESTS) --valgrind unit valgrind

fuzz: $(FUZZ_BIN) ## each fuzz target for SECONDS=60
	$(Q)$(RUN_TESTS) --fuzz-seconds $(SECONDS) fuzz

bench: all ## the speed figures: tables, $(B)/bench.json and $(B)/bench-clusterfs.json
	$(Q)STORAGED_BUILD=$(B) /usr/bin/python3 tests/bench/bench.py
	$(if $(HAVE_CLUSTERFS),$(Q)STORAGED_BUILD=$(B) /usr/bin/python3 tests/clusterfs/bench.py)

soak: all ## mixed requests for SECONDS=60 (memory, descriptors), then all stories at their full counts (hours)
	$(Q)STORAGED_BUILD=$(B) /usr/bin/python3 tests/bench/soak.py $(SECONDS)
	$(Q)$(MAKE) --no-print-directory soak-tests
	$(Q)$(MAKE) --no-print-directory soak-lab

soak-tests: all ## the daemon without a lab, at full counts: each kind of message, each step, killed and frozen
	$(Q)COUNT_SCALE=$(or $(COUNT_SCALE),1) TEST_TIMEOUT=7200 $(RUN_TESTS) system fault

lint: ## formatting, static checks
	$(Q)./tools/lint

format: ## brings all C into the one form
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' ':!tools/cppcheck.h' | xargs clang-format -i

compile-commands: ## compile_commands.json for editors and clang-tidy
	$(Q)./tools/compile-commands

demo: ## installs, builds, boots three kernels with a SAN, NFS and Ceph, shows storaged at work; leaves them running
	$(Q)./tools/demo

demo-one-machine: ## the story without a lab, under a private root; leaves nothing behind
	$(Q)./tools/demo-one-machine
.PHONY: demo-one-machine
