/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Members, storages of all nodes, findings: as text. */
#include "cli/cli.h"

void show_cluster(Cli *c, json_object *data); /* {"cluster", "storages", "conflicts"} */
void show_doctor(Cli *c, json_object *data);
/* True for a warning or an error. */
bool finding_is_problem(json_object *row);
