rbd_LIBS = -lrbd $(LIBS_CEPH)
$(B)/plugins/rbd.so: $(B)/libcephcommon.a
