# The contract suite, the same for every plugin, and the meeting of old plugins with today's host.
# PLUGIN=/path/x.so CONTRACT=x.json make check-contract runs it for a plugin from anywhere.
CONTRACT_DIR := $(B)/tests/contract
CONTRACT_BIN := $(CONTRACT_DIR)/test-contract $(CONTRACT_DIR)/test-abi
ABI_BROKEN := wrong-abi too-small no-list no-entry bad-default
ABI_PLUGINS := $(CONTRACT_DIR)/old-plugin.so $(ABI_BROKEN:%=$(CONTRACT_DIR)/broken-%.so)
CONTRACT_CC = $(CC) $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(LDFLAGS_OURS) $(LDFLAGS)

.PHONY: contract-binaries check-contract

contract-binaries: $(CONTRACT_BIN) $(ABI_PLUGINS)

$(CONTRACT_DIR)/test-%: tests/contract/test-%.c tests/contract/harness.c tests/contract/harness.h $(B)/libstoraged.a
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  TEST    $@")
	$(Q)$(CONTRACT_CC) $(CPPFLAGS_OURS) -Istoraged -Itests/contract -o $@ $(filter %.c,$^) $(B)/libstoraged.a -lcmocka $(LIBS_COMMON)

# Built from the headers of their day, frozen in tests/abi/v1.
$(CONTRACT_DIR)/old-plugin.so: tests/abi/old-plugin.c $(wildcard tests/abi/v1/storaged/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)$(CONTRACT_CC) -D_GNU_SOURCE -Itests/abi/v1 -shared -Wl,--version-script=plugins/plugin.map -o $@ $<

$(CONTRACT_DIR)/broken-%.so: tests/abi/broken-plugin.c storaged/include/storaged/plugin.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CONTRACT_CC) $(CPPFLAGS_OURS) -DBROKEN_$(subst -,_,$*) -shared -o $@ $<

check-contract: contract-binaries $(B)/storaged-worker $(PLUGINS:%=$(B)/plugins/%.so) ## every plugin against the contract suite
	$(Q)STORAGED_WORKER=$(B)/storaged-worker tests/contract/run $(CONTRACT_DIR)/test-contract \
	   $(if $(PLUGIN),$(PLUGIN),$(PLUGINS:%=$(B)/plugins/%.so))

check-abi: contract-binaries $(B)/storaged-worker ## plugins of an older contract, and broken ones
	$(Q)STORAGED_WORKER=$(B)/storaged-worker ABI_PLUGINS=$(CONTRACT_DIR) $(CONTRACT_DIR)/test-abi
