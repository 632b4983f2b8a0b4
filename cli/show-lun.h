/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* LUNs as text. */
#include "cli/cli.h"

void show_luns(Cli *c, json_object *data);       /* the matrix: a line a LUN, then what is wrong */
void show_lun(Cli *c, json_object *data);        /* one LUN, a line a path and node */
void show_lun_result(Cli *c, json_object *data); /* of a resize or a removal */
void show_multipath(Cli *c, json_object *data);
void show_guard(Cli *c, json_object *data); /* what the node's LVM is limited to */
void show_ports(Cli *c, json_object *data);
void show_vg(Cli *c, json_object *data); /* a volume group, and what is active on which node */
