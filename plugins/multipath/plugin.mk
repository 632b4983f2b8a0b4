# libmpathcmd comes with multipath-tools and is opened when it is there (decision 0014).
multipath_LIBS := -ljson-c -lblkid -ldevmapper -ldl
