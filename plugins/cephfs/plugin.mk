cephfs_LIBS = -lcephfs -lmount $(LIBS_CEPH)
$(B)/plugins/cephfs.so: $(B)/libcephcommon.a
# libcephfs's header insists on it.
$(B)/obj/plugins/cephfs/%.o: CPPFLAGS_OURS += -D_FILE_OFFSET_BITS=64
