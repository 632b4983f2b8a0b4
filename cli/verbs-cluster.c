/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tasks, the cluster, and what is asked about all of it. */
#include "cli/run.h"
#include "cli/show-cluster.h"
#include "cli/show.h"
#include "cli/verbs.h"

static const Param doctor_params[] = {
        { .name = "all",
          .type = PARAM_BOOLEAN,
          .flags = PARAM_LOCAL,
          .text = "All nodes, and what comparing them shows: clocks, versions, what their storages reach." },
        P_NODE_END,
};

static const Param check_params[] = {
        { .name = "file",
          .flags = POS | PARAM_OPTIONAL | PARAM_LOCAL,
          .complete = "file",
          .text = "The file, - for standard input; without it the cluster's storage.cfg." },
        P_END,
};

static const Param tasks_params[] = {
        { .name = "errors", .type = PARAM_BOOLEAN, .text = "Only those that failed." },
        { .name = "limit", .type = PARAM_INTEGER, .text = "At most so many." },
        { .name = "since", .type = PARAM_INTEGER, .text = "Started at or after (seconds since 1970)." },
        { .name = "source",
          .hint = "active | all | archive",
          .complete = "active all archive",
          .text = "Running, all, or ended ones." },
        { .name = "start", .type = PARAM_INTEGER, .text = "Skip so many." },
        { .name = "typefilter", .text = "Only this type." },
        { .name = "until", .type = PARAM_INTEGER, .text = "Started before (seconds since 1970)." },
        { .name = "userfilter", .text = "Only of users whose name has this in it." },
        { .name = "vmid", .type = PARAM_INTEGER, .text = "Only of this guest." },
        P_NODE_END,
};

#define P_UPID                                                                        \
        {                                                                             \
                .name = "upid", .flags = POS, .complete = "task", .text = "The task." \
        }

static const Param task_params[] = { P_UPID, P_NODE_END };

static const Param task_log_params[] = {
        P_UPID,
        { .name = "limit", .type = PARAM_INTEGER, .text = "At most so many lines." },
        { .name = "start", .type = PARAM_INTEGER, .text = "Skip so many lines." },
        P_NODE_END,
};

const Verb cluster_verbs[] = {
        { .name = "config check",
          .text = "Reads a storage.cfg and says what is wrong in it. The exit code is 0 if nothing is, 1 with findings "
                  "(storaged goes on without what it could not use), 2 if the file can't be read.",
          .params = check_params,
          .flags = VERB_OFFLINE | VERB_DATA,
          .method = "POST",
          .path = NODE "/config/check",
          .run = run_config_check },
        { .name = "task list",
          .text = "Tasks of this node.",
          .params = tasks_params,
          .method = "GET",
          .path = NODE "/tasks",
          .show = show_tasks,
          .run = run_tasks },
        { .name = "task log",
          .text = "Log of a task.",
          .params = task_log_params,
          .method = "GET",
          .path = NODE "/tasks/{upid}/log",
          .show = show_task_log },
        { .name = "task status",
          .text = "State of a task.",
          .params = task_params,
          .method = "GET",
          .path = NODE "/tasks/{upid}/status",
          .show = show_object },
        { .name = "task stop",
          .text = "Asks a task to stop.",
          .params = task_params,
          .method = "DELETE",
          .path = NODE "/tasks/{upid}" },
        { .name = "cluster locks",
          .text = "Locks of the cluster that this node holds or waits for.",
          .params = no_params,
          .method = "GET",
          .path = "/cluster/locks",
          .show = show_locks },
        { .name = "cluster status",
          .text = "The cluster, its quorum, its nodes, and the storages as each node sees them.",
          .params = no_params,
          .method = "GET",
          .path = "/cluster/status",
          .show = show_cluster,
          .run = run_cluster_status },
        { .name = "doctor",
          .text = "What is wrong on this node, or with --all on any node, and what to do. Exit code 1 if anything is.",
          .params = doctor_params,
          .method = "GET",
          .path = NODE "/doctor",
          .show = show_doctor,
          .run = run_doctor },
        { .name = "schema",
          .text = "All calls of the API and all storage types.",
          .params = no_params,
          .flags = VERB_OFFLINE,
          .method = "GET",
          .path = "/schema",
          .show = show_schema },
        { 0 },
};
