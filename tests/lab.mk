# The lab's scenarios: clusters of real kernels on this machine (docs/lab.md). Counts that issues name are repeated at
# COUNT_SCALE of them: a tenth in check-lab, all of them in soak-lab.
LAB_SCENARIOS := $(sort $(wildcard tests/system/lab_*.py))
LAB_JOBS ?= 2

.PHONY: check-lab soak-lab lab-root

lab-root: ## the root file system of the lab's nodes (cached outside the checkout)
	$(Q)tests/lab/rootfs > /dev/null || [ $$? = 77 ]
	$(Q)tests/lab/lab --name fcsave fc prepare || [ $$? = 77 ]

check-lab: all lab-root ## the scenarios on clusters of User-Mode Linux nodes; COUNT_SCALE=0.1
	$(Q)echo "lab scenarios at COUNT_SCALE=$(or $(COUNT_SCALE),0.1) of the counts that the issues name"
	$(Q)COUNT_SCALE=$(or $(COUNT_SCALE),0.1) $(RUN_TESTS) --jobs $(LAB_JOBS) $(LAB_SCENARIOS); r=$$?; \
	   tests/lab/lab sweep >&2; exit $$r

soak-lab: all lab-root ## the same at full counts
	$(Q)echo "lab scenarios at COUNT_SCALE=$(or $(COUNT_SCALE),1) of the counts that the issues name"
	$(Q)COUNT_SCALE=$(or $(COUNT_SCALE),1) TEST_TIMEOUT=7200 $(RUN_TESTS) --jobs $(LAB_JOBS) $(LAB_SCENARIOS); r=$$?; \
	   tests/lab/lab sweep >&2; exit $$r

soak: soak-lab
