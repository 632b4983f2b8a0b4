# storaged - one Makefile for everything; `make help` tells the targets.
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
CC ?= gcc
prefix ?= /usr
sysconfdir ?= /etc
ASAN ?= 0
VARIANT := $(if $(filter 1,$(ASAN)),-asan)$(if $(SUFFIX),-$(SUFFIX))
B := build$(VARIANT)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wno-format-nonliteral \
        -Wno-missing-field-initializers $(if $(WARN_ONLY),,-Werror)
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC
comma := ,
SAN := $(if $(filter 1,$(ASAN)),-fsanitize=address$(comma)undefined -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
OPT ?= -O2
VERSION := 0.1.0
CPPFLAGS_OURS := -D_GNU_SOURCE -DSTORAGED_VERSION='"$(VERSION)"' -Istoraged/include
CFLAGS_OURS := -std=gnu17 $(OPT) -g $(WARN) $(HARDEN) $(SAN) -fvisibility=hidden -ffunction-sections -fdata-sections -MMD -MP
LDFLAGS_OURS := -Wl,-z,relro,-z,now,--gc-sections,--as-needed $(SAN)

PKG := pkg-config
LIBS_COMMON := -ljson-c -lnettle
# A cluster is known from Corosync where its libraries are; storaged/cluster/corosync-none.c stands in where not.
HAVE_COROSYNC := $(shell $(PKG) --exists libquorum libcmap 2>/dev/null && echo yes)
LIBS_COROSYNC := $(if $(HAVE_COROSYNC),$(shell $(PKG) --libs libquorum libcmap))
LIBS_STORAGED := -lmicrohttpd -lgnutls -lsystemd $(LIBS_COROSYNC) $(LIBS_COMMON)
LIBS_WORKER := -lsystemd -ldl $(LIBS_COMMON)
LIBS_PVESM := $(LIBS_COMMON)

ROOMS := base wire host cluster core api
MAINS := storaged/main.c storaged/host/worker-main.c
NOT_BUILT := $(if $(HAVE_COROSYNC),storaged/cluster/corosync-none.c,storaged/cluster/corosync.c)
LIB_SRC := $(filter-out $(MAINS) $(NOT_BUILT),$(foreach r,$(ROOMS),$(wildcard storaged/$(r)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
CLI_SRC := $(wildcard cli/*.c)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/obj/%.o)
PLUGINS := $(patsubst plugins/%/plugin.mk,%,$(wildcard plugins/*/plugin.mk))
PLUGIN_COMMON_SRC := $(wildcard plugins/common/*.c)
PLUGIN_COMMON_OBJ := $(PLUGIN_COMMON_SRC:%.c=$(B)/obj/%.o)
# What the storages of Ceph share: a connection, its limits, monitors' commands. Linked by them alone.
CEPH_COMMON_SRC := $(wildcard plugins/common-ceph/*.c)
CEPH_COMMON_OBJ := $(CEPH_COMMON_SRC:%.c=$(B)/obj/%.o)
# What the storages on volume groups share: LVM in process, device-mapper.
LVM_COMMON_SRC := $(wildcard plugins/common-lvm/*.c)
LVM_COMMON_OBJ := $(LVM_COMMON_SRC:%.c=$(B)/obj/%.o)
LIBS_CEPH := -lrados -ljson-c -lpthread

UNIT_SRC := $(wildcard tests/unit/*/test-*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/unit/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz-*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=build-fuzz/%)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps check check-fast check-asan check-valgrind check-abi check-layers lint format fuzz bench install demo \
        clean test-binaries compile-commands soak

all: $(B)/storaged $(B)/storaged-worker $(B)/pvesm $(PLUGINS:%=$(B)/plugins/%.so) ## build everything into build/

include $(wildcard plugins/*/plugin.mk)
-include $(wildcard tests/*.mk docs/*.mk)
-include clusterfs/clusterfs.mk
include udev/udev.mk

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 20 | sort

deps: ## install what building and testing needs (Debian 12, root)
	$(Q)./tools/deps

$(B)/obj/storaged/%.o: storaged/%.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) -c -o $@ $<

$(B)/obj/cli/%.o: cli/%.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged -I. $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) -c -o $@ $<

# A plugin sees the contract and plugins/common, nothing of the daemon.
$(B)/obj/plugins/%.o: plugins/%.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Iplugins $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) -c -o $@ $<

$(B)/libstoraged.a: $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libplugincommon.a: $(PLUGIN_COMMON_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libcephcommon.a: $(CEPH_COMMON_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/liblvmcommon.a: $(LVM_COMMON_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define link
	$(if $(Q),@echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS_OURS) $(LDFLAGS) -o $@
endef

$(B)/storaged: $(B)/obj/storaged/main.o $(B)/libstoraged.a
	$(link) $^ $(LIBS_STORAGED)

$(B)/storaged-worker: $(B)/obj/storaged/host/worker-main.o $(B)/libstoraged.a
	$(link) $^ $(LIBS_WORKER)

$(B)/pvesm: $(CLI_OBJ) $(B)/libstoraged.a
	$(link) $^ $(LIBS_PVESM)

# plugins/NAME/plugin.mk sets NAME_LIBS if it links more than plugins/common needs.
# The archives are one group: common-lvm and common-ceph use plugins/common, which stands before them.
define plugin_rule
$(B)/plugins/$(1).so: $$(patsubst %.c,$(B)/obj/%.o,$$(wildcard plugins/$(1)/*.c)) $(B)/libplugincommon.a plugins/plugin.map
	$(Q)mkdir -p $$(@D)
	$(if $(Q),@echo "  LD      $$@")
	$(Q)$(CC) -shared $(LDFLAGS_OURS) $(LDFLAGS) -Wl,--version-script=plugins/plugin.map -o $$@ -Wl,--start-group $$(filter %.o %.a,$$^) -Wl,--end-group $$($(1)_LIBS)
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin_rule,$(p))))

# One binary per tests/unit/<room>/test-x.c; `__wrap_` functions in it become --wrap flags of the linker.
$(B)/tests/unit/%: tests/unit/%.c $(B)/libstoraged.a $(B)/libplugincommon.a $(B)/libcephcommon.a
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  TEST    $@")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged -Iplugins -I. $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(LDFLAGS_OURS) \
	   $$(sed -n 's/.*__wrap_\([a-zA-Z0-9_]*\)(.*/-Wl,--wrap=\1/p' $< | sort -u) \
	   -o $@ $< $(B)/libcephcommon.a $(B)/libstoraged.a $(B)/libplugincommon.a $(LIBS_CEPH) -lcmocka $(LIBS_STORAGED) -lnfs -lmount -ldevmapper -ldl

test-binaries: $(UNIT_BIN)

build-fuzz/%: tests/fuzz/%.c $(LIB_SRC) $(PLUGIN_COMMON_SRC)
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  FUZZ    $@")
	$(Q)clang $(CPPFLAGS_OURS) -Istoraged -Iplugins -std=gnu17 -O1 -g -w -fsanitize=fuzzer,address,undefined \
	   -fno-sanitize-recover=undefined -ffunction-sections -fdata-sections -Wl,--gc-sections -o $@ $< \
	   $(LIB_SRC) $(PLUGIN_COMMON_SRC) $(LIBS_STORAGED) -lmount -ldl

check-layers: ## no upward include, no plugin that reaches into the daemon
	$(Q)./tools/check-layers

clean: ## remove all that was built
	rm -rf build build-asan build-fuzz build-clang

-include $(shell find $(B)/obj $(B)/tests -name '*.d' 2>/dev/null)
