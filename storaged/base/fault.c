/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fault points. The list is read from the environment once; without it a fault point costs one
 * comparison. Every passing is counted per rule, so that "the third write" can be named.
 */
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 16

typedef struct Fault {
        const char *name, *action;
        size_t name_len;
        unsigned long at, seen; /* at 0: always */
} Fault;

static Fault faults[FAULTS_MAX];
static size_t n_faults;
static bool is_read;

static void faults_read(void)
{
        const char *env = getenv("STORAGED_FAULTS");
        char *copy, *save = NULL;

        is_read = true;
        if (!env || !*env)
                return;
        copy = strdup(env); /* lives as long as the process: the rules point into it */
        if (!copy)
                return;
        for (char *w = strtok_r(copy, " ,", &save); w && n_faults < FAULTS_MAX; w = strtok_r(NULL, " ,", &save)) {
                char *action = strchr(w, '='), *at;

                if (!action)
                        continue;
                *action++ = '\0';
                at = strchr(action, '@');
                if (at)
                        *at++ = '\0';
                faults[n_faults++] = (Fault){ w, action, strlen(w), at ? strtoul(at, NULL, 10) : 0, 0 };
        }
}

static bool fault_matches(const Fault *f, const char *name)
{
        if (f->name_len > 0 && f->name[f->name_len - 1] == '*')
                return strncmp(f->name, name, f->name_len - 1) == 0;
        return strcmp(f->name, name) == 0;
}

static int fault_act(const char *action)
{
        if (strcmp(action, "kill") == 0)
                (void) raise(SIGKILL);
        else if (strcmp(action, "stop") == 0)
                (void) raise(SIGSTOP);
        else if (strncmp(action, "error:", 6) == 0)
                return -atoi(action + 6);
        return 0;
}

int fault_point(const char *name)
{
        if (!is_read)
                faults_read();
        for (size_t i = 0; i < n_faults; i++) {
                Fault *f = &faults[i];

                if (!fault_matches(f, name))
                        continue;
                f->seen++;
                if (f->at == 0 || f->at == f->seen)
                        return fault_act(f->action);
        }
        return 0;
}
