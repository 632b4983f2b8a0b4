# The cluster file system: $(B)/clusterfs, its library for tests, its tests.
CLUSTERFS_SRC := $(wildcard clusterfs/*.c)
CLUSTERFS_LIB_SRC := $(filter-out clusterfs/main.c,$(CLUSTERFS_SRC))
CLUSTERFS_LIB_OBJ := $(CLUSTERFS_LIB_SRC:%.c=$(B)/obj/%.o)
LIBS_CLUSTERFS := -lfuse3 -lsqlite3 -lcpg -lquorum -lcmap -lcfg -lsystemd -lpthread $(LIBS_COMMON)

# Part of `all` where its libraries are; storaged alone can be built without them.
HAVE_CLUSTERFS := $(shell $(PKG) --exists fuse3 sqlite3 libcpg libquorum libcmap libcfg 2>/dev/null && echo yes)
ifeq ($(HAVE_CLUSTERFS),yes)
all: $(B)/clusterfs
else
UNIT_SRC := $(filter-out tests/unit/clusterfs/%,$(UNIT_SRC))
FUZZ_SRC := $(filter-out tests/fuzz/fuzz-clusterfs-%.c,$(FUZZ_SRC))
endif

$(B)/obj/clusterfs/%.o: clusterfs/%.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged -I. $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) -c -o $@ $<

$(B)/libclusterfs.a: $(CLUSTERFS_LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/clusterfs: $(B)/obj/clusterfs/main.o $(B)/libclusterfs.a $(B)/libstoraged.a
	$(link) $^ $(LIBS_CLUSTERFS)

# More specific than the Makefile's rule for tests/unit, so it wins.
$(B)/tests/unit/clusterfs/%: tests/unit/clusterfs/%.c $(B)/libclusterfs.a $(B)/libstoraged.a
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  TEST    $@")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged -I. $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(LDFLAGS_OURS) \
	   $$(sed -n 's/.*__wrap_\([a-zA-Z0-9_]*\)(.*/-Wl,--wrap=\1/p' $< | sort -u) \
	   -o $@ $(filter %.c,$^) $(filter %.a,$^) -lcmocka $(LIBS_CLUSTERFS)

# Brings the functions of corosync.h itself, so that corosync.o stays in the library.
$(B)/tests/unit/clusterfs/test-sim: tests/unit/clusterfs/sim-corosync.c

build-fuzz/fuzz-clusterfs-%: tests/fuzz/fuzz-clusterfs-%.c $(CLUSTERFS_LIB_SRC) build-fuzz/libfuzzed.a
	$(if $(Q),@echo "  FUZZ    $@")
	$(Q)clang $(CPPFLAGS_OURS) -Istoraged -I. $(FUZZ_FLAGS) -fsanitize=fuzzer -Wl,--gc-sections -o $@ $< \
	   $(CLUSTERFS_LIB_SRC) build-fuzz/libfuzzed.a $(LIBS_CLUSTERFS)

CLUSTERFS_UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/clusterfs/test-*.c))

.PHONY: check-clusterfs bench-clusterfs clusterfs-posix
check-clusterfs: $(B)/clusterfs $(CLUSTERFS_UNIT) ## the cluster file system alone: unit tests, one node, three nodes
	$(Q)$(RUN_TESTS) $(CLUSTERFS_UNIT) clusterfs

bench-clusterfs: $(B)/clusterfs ## its speed on one and on three nodes
	$(Q)STORAGED_BUILD=$(B) /usr/bin/python3 tests/clusterfs/bench.py

clusterfs-posix: $(B)/clusterfs ## what file operations do on it, on a plain directory, on pmxcfs: docs/clusterfs-posix.md
	$(Q)STORAGED_BUILD=$(B) unshare -m /usr/bin/python3 tests/clusterfs/posix_table.py > docs/clusterfs-posix.md.new
	$(Q)mv docs/clusterfs-posix.md.new docs/clusterfs-posix.md

.PHONY: soak-clusterfs
soak-clusterfs: all test-binaries ## the tests of the cluster file system at full counts
	$(Q)echo "clusterfs at COUNT_SCALE=$(or $(COUNT_SCALE),1) of the counts that the issues name"
	$(Q)COUNT_SCALE=$(or $(COUNT_SCALE),1) TEST_TIMEOUT=7200 $(RUN_TESTS) --jobs 1 $(B)/tests/unit/clusterfs/test-sim \
	   $(wildcard tests/clusterfs/test_*.py)

soak: soak-clusterfs
