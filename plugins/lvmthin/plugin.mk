lvmthin_LIBS = $(LVM_LIBS)
$(B)/plugins/lvmthin.so: $(B)/liblvmcommon.a
