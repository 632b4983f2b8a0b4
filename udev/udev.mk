# The helper of the rules, and where both go.
udevdir ?= /lib/udev

all: $(B)/storaged-wwid
$(B)/storaged-wwid: udev/storaged-wwid.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS_OURS) $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(LDFLAGS_OURS) $(LDFLAGS) -o $@ $<

install: install-udev
.PHONY: install-udev
install-udev: $(B)/storaged-wwid
	install -D -m 0755 $(B)/storaged-wwid $(DESTDIR)$(udevdir)/storaged-wwid
	install -D -m 0644 -t $(DESTDIR)$(udevdir)/rules.d udev/57-storaged-dm.rules udev/61-storaged.rules
