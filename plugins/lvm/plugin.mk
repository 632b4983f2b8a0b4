# LVM in process: liblvm2cmd (GPL-2.0-only) is linked by the types lvm and lvmthin and nowhere else; docs/decisions/0015.
LVM_LIBS := -llvm2cmd -ldevmapper -ljson-c -lblkid
lvm_LIBS = $(FILESTORE_LIBS) $(LVM_LIBS)
$(B)/plugins/lvm.so: $(B)/liblvmcommon.a
