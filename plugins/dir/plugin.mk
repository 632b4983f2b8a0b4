# It links nothing beyond plugins/common. That there is this file makes it a plugin.
