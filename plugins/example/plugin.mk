# What this plugin links beyond libc and plugins/common: nothing. A plugin that needs a library says
#   example_LIBS := -lfoo
example_LIBS :=
