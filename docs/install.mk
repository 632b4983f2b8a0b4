# make install DESTDIR=… prefix=/usr: programs, plugins, contract headers, unit, manual pages, completion.
libdir ?= $(prefix)/lib
# Where a storaged that does not run from its build directory looks for its worker and plugins.
$(B)/obj/storaged/main.o: CPPFLAGS_OURS += -DSTORAGED_LIBDIR='"$(libdir)/storaged"'
unitdir ?= $(prefix)/lib/systemd/system
mandir ?= $(prefix)/share/man
# The example plugin is documentation, not a storage type to be offered.
INSTALLED_PLUGINS = $(filter-out example,$(PLUGINS))
MAN7 = $(wildcard docs/man/*.7)
MAN8 = $(wildcard docs/man/*.8)
MAN5 = $(wildcard docs/man/*.5)

install: all cli-docs ## into DESTDIR (default /), below prefix (default /usr)
	install -D -m 0755 -t $(DESTDIR)$(prefix)/sbin $(B)/storaged $(B)/pvesm
	$(if $(HAVE_CLUSTERFS),install -D -m 0755 -t $(DESTDIR)$(prefix)/sbin $(B)/clusterfs)
	install -D -m 0755 -t $(DESTDIR)$(libdir)/storaged $(B)/storaged-worker
	install -D -m 0755 hooks/libvirt/qemu $(DESTDIR)$(libdir)/storaged/hooks/libvirt-qemu
	install -D -m 0644 -t $(DESTDIR)$(libdir)/storaged/plugins $(INSTALLED_PLUGINS:%=$(B)/plugins/%.so)
	install -D -m 0644 -t $(DESTDIR)$(prefix)/include/storaged storaged/include/storaged/*.h
	install -d $(DESTDIR)$(unitdir)
	for u in storaged $(if $(HAVE_CLUSTERFS),clusterfs); do \
	   sed 's|@sbindir@|$(prefix)/sbin|' dist/$$u.service > $(DESTDIR)$(unitdir)/$$u.service && \
	   chmod 0644 $(DESTDIR)$(unitdir)/$$u.service || exit 1; done
	install -D -m 0644 $(B)/pvesm.1 $(DESTDIR)$(mandir)/man1/pvesm.1
	install -D -m 0644 $(B)/pvesm.bash-completion $(DESTDIR)$(prefix)/share/bash-completion/completions/pvesm
	$(if $(MAN5),install -D -m 0644 -t $(DESTDIR)$(mandir)/man5 $(MAN5))
	$(foreach p,$(INSTALLED_PLUGINS),install -D -m 0644 plugins/$(p)/$(p).7 $(DESTDIR)$(mandir)/man7/storaged-$(p).7 &&) true
	$(if $(MAN7),install -D -m 0644 -t $(DESTDIR)$(mandir)/man7 $(MAN7))
	$(if $(MAN8),install -D -m 0644 -t $(DESTDIR)$(mandir)/man8 $(MAN8))
