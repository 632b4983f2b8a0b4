# Manual page and completion of pvesm, out of its own table of commands; and how the tests of cli/ are linked.
CLI_LIB_OBJ := $(filter-out $(B)/obj/cli/main.o,$(CLI_SRC:%.c=$(B)/obj/%.o))

$(B)/libcli.a: $(CLI_LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/pvesm.1: $(B)/pvesm
	$(Q)$(B)/pvesm --dump-man > $@

$(B)/pvesm.bash-completion: $(B)/pvesm
	$(Q)$(B)/pvesm --dump-completion > $@

.PHONY: cli-docs
cli-docs: $(B)/pvesm.1 $(B)/pvesm.bash-completion ## manual page and bash completion of pvesm

# More specific than the Makefile's rule for tests/unit, so it wins.
$(B)/tests/unit/cli/%: tests/unit/cli/%.c $(B)/libcli.a $(B)/libstoraged.a
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  TEST    $@")
	$(Q)$(CC) $(CPPFLAGS_OURS) -Istoraged -I. $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(LDFLAGS_OURS) \
	   $$(sed -n 's/.*__wrap_\([a-zA-Z0-9_]*\)(.*/-Wl,--wrap=\1/p' $< | sort -u) \
	   -o $@ $< $(B)/libcli.a $(B)/libstoraged.a -lcmocka $(LIBS_PVESM)

build-fuzz/fuzz-answer: tests/fuzz/fuzz-answer.c $(filter-out cli/main.c,$(CLI_SRC)) $(LIB_SRC)
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  FUZZ    $@")
	$(Q)clang $(CPPFLAGS_OURS) -Istoraged -I. -std=gnu17 -O1 -g -w -fsanitize=fuzzer,address,undefined \
	   -fno-sanitize-recover=undefined -ffunction-sections -fdata-sections -Wl,--gc-sections -o $@ $(filter %.c,$^) \
	   $(LIBS_STORAGED) $(LIBS_PVESM)
