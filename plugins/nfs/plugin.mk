nfs_LIBS = -lnfs -lmount
