# SPDX-License-Identifier: GPL-2.0-or-later
"""
An empty stand-in for the base library of ceph-mgr's Python modules.

The ten modules that are always on cost 300 MB and three seconds, cannot be switched off, and HEALTH_ERR is what comes
when one is missing. labkit/ceph.py gives each of them a Module that inherits this and does nothing.
"""
import ceph_module  # built into ceph-mgr


class MgrModule(ceph_module.BaseMgrModule):
    """What ceph-mgr looks for in a module: lists of what it offers (nothing) and its calls (nothing happens)."""
    COMMANDS = []
    MODULE_OPTIONS = []
    NOTIFY_TYPES = []

    def __init__(self, _name, py_modules, this):
        super().__init__(py_modules, this)

    @classmethod
    def _register_commands(cls, _name):
        pass

    @classmethod
    def _register_options(cls, _name):
        pass

    @staticmethod
    def can_run():
        return True, ""

    def serve(self):
        pass

    def shutdown(self):
        pass

    def notify(self, _kind, _ident):
        pass

    def config_notify(self):
        pass


class MgrStandbyModule(ceph_module.BaseMgrStandbyModule):
    """No module of ours has a standby half."""
