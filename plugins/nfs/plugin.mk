nfs_LIBS = $(FILESTORE_LIBS) -lnfs -lmount
