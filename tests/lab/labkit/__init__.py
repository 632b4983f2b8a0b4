# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's host side: networks, nodes, SAN, cluster, servers, faults. `tests/lab/lab` is its command."""
