# LVM in process: liblvm2cmd (GPL-2.0-only) is linked by the types lvm and lvmthin and nowhere else; docs/decisions/0015.
LVM_LIBS := -llvm2cmd -ldevmapper -ljson-c -lblkid
lvm_LIBS = $(LVM_LIBS) -ldlmcontrol
$(B)/plugins/lvm.so: $(B)/liblvmcommon.a

# What sanlock runs when leases are lost; decision 0021.
all: $(B)/storaged-cut-off
$(B)/storaged-cut-off: $(patsubst %.c,$(B)/obj/%.o,plugins/lvm/program/storaged-cut-off.c plugins/lvm/cutoff.c plugins/common-lvm/dm.c)
	$(link) $^ -ldevmapper

install: install-lvm
.PHONY: install-lvm
install-lvm: $(B)/storaged-cut-off
	install -D -m 0755 -t $(DESTDIR)$(libdir)/storaged $(B)/storaged-cut-off
	install -D -m 0644 dist/lvmlockd-adopt.conf $(DESTDIR)$(unitdir)/lvmlockd.service.d/storaged.conf
