# Fuzz targets: build-fuzz/fuzz-NAME from tests/fuzz/fuzz-NAME.c. The rooms are compiled once, with coverage and sanitizers.
FUZZ_FLAGS := -std=gnu17 -O1 -g -w -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
              -ffunction-sections -fdata-sections
FUZZ_OBJ := $(LIB_SRC:%.c=build-fuzz/obj/%.o) $(PLUGIN_COMMON_SRC:%.c=build-fuzz/obj/%.o) \
            $(CEPH_COMMON_SRC:%.c=build-fuzz/obj/%.o)

build-fuzz/obj/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS_OURS) -Istoraged -Iplugins $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

build-fuzz/libfuzzed.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

build-fuzz/fuzz-%: tests/fuzz/fuzz-%.c build-fuzz/libfuzzed.a
	$(if $(Q),@echo "  FUZZ    $@")
	$(Q)clang $(CPPFLAGS_OURS) -Istoraged -Iplugins $(FUZZ_FLAGS) -fsanitize=fuzzer -Wl,--gc-sections -o $@ $< \
	   build-fuzz/libfuzzed.a $(LIBS_STORAGED) $(LIBS_CEPH) -ldl

-include $(shell find build-fuzz/obj -name '*.d' 2>/dev/null)
