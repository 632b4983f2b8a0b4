/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Answers as text: the tables and lines of pvesm. Each is the `show` of rows of the table of commands. */
#include "cli/cli.h"

void show_apiinfo(Cli *c, json_object *data);
void show_backups(Cli *c, json_object *data);
void show_ceph_health(Cli *c, json_object *data);
void show_ceph_pools(Cli *c, json_object *data);
void show_created(Cli *c, json_object *data);
void show_findings(Cli *c, json_object *data);
void show_holders(Cli *c, json_object *data);
void show_locks(Cli *c, json_object *data);
void show_migration(Cli *c, json_object *data);
void show_object(Cli *c, json_object *data);
void show_path(Cli *c, json_object *data);
void show_scan(Cli *c, json_object *data);
void show_schema(Cli *c, json_object *data);
void show_snapshots(Cli *c, json_object *data);
void show_status(Cli *c, json_object *data);
void show_task_log(Cli *c, json_object *data);
void show_tasks(Cli *c, json_object *data);
void show_text(Cli *c, json_object *data);
