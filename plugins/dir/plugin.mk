# What the file store of plugins/common links; every plugin built on it says `NAME_LIBS = $(FILESTORE_LIBS) …`.
FILESTORE_LIBS := -lnbd
dir_LIBS = $(FILESTORE_LIBS)
