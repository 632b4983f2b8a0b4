# The lab's scenarios: clusters of real kernels on this machine (docs/lab.md). Counts that issues name are repeated at
# COUNT_SCALE of them: a tenth in check and check-lab, all of them in soak.
LAB_JOBS ?= 2

.PHONY: check-lab soak-lab lab-root

lab-root: ## what the lab's machines boot from (cached outside the checkout)
	$(Q)for kind in node ceph; do tests/lab/rootfs $$kind > /dev/null || [ $$? = 77 ]; done
	$(Q)tests/lab/lab --name fcsave fc prepare || [ $$? = 77 ]

check-lab: all contract-binaries ## the scenarios on clusters of User-Mode Linux nodes; COUNT_SCALE=0.1
	$(Q)$(RUN_TESTS) lab

soak-lab: all contract-binaries ## the same at full counts
	$(Q)COUNT_SCALE=$(or $(COUNT_SCALE),1) TEST_TIMEOUT=7200 $(RUN_TESTS) lab
