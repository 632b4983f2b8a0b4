/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks put together. Each writes rows when it knows something, at once or later; the answer goes out when nobody
 * holds it any more. What a check asks has a deadline of its own (a worker's, a node's), so the answer comes.
 */
#include "core/doctor-files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/json.h"

struct Doctor {
        Core *core;
        json_object *rows;
        const char *check; /* whose run() is on the stack */
        unsigned n_held;
        bool is_failed;
        DoctorFiles *files;
        reply_fn fn;
        void *userdata;
};

Core *doctor_core(Doctor *d)
{
        return d->core;
}

const DoctorFiles *doctor_files(Doctor *d)
{
        return d->files;
}

void doctor_row(Doctor *d, const char *severity, const char *code, const char *object, const char *action,
                const char *fmt, ...)
{
        AUTO_JSON *row = json_object_new_object();
        char text[STORAGED_ERROR_TEXT];
        va_list ap;
        int r;

        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        r = row ? json_add_string(row, "node", d->core->node) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(row, "check", d->check);
        if (r >= 0)
                r = json_add_string(row, "severity", severity);
        if (r >= 0)
                r = json_add_string(row, "code", code);
        if (r >= 0)
                r = json_add_string(row, "object", object);
        if (r >= 0)
                r = json_add_string(row, "summary", text);
        if (r >= 0)
                r = json_add_string(row, "action", action);
        if (r < 0 || json_object_array_add(d->rows, TAKE(row)) < 0)
                d->is_failed = true;
}

void doctor_hold(Doctor *d)
{
        d->n_held++;
}

void doctor_release(Doctor *d)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reply reply = { .data = d->rows };
        bool is_failed = d->is_failed;
        reply_fn fn = d->fn;
        void *userdata = d->userdata;

        if (--d->n_held > 0)
                return;
        (void) doctor_files_free(d->files);
        free(d);
        (void) error_set(&err, -ENOMEM, "doctor: out of memory");
        fn(userdata, is_failed ? NULL : &reply, is_failed ? &err : NULL);
        json_object_put(reply.data);
}

/* Nothing else of the doctor's is under way before this. */
static void on_files(DoctorFiles *f, void *userdata)
{
        Doctor *d = userdata;

        d->files = f;
        for (const DoctorCheck *k = doctor_checks; k->name && !d->core->is_stopping; k++) {
                d->check = k->name;
                k->run(d);
        }
        d->check = "storage"; /* what comes later is what storages and plugins say */
        doctor_release(d);
}

void doctor_run(Core *c, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Doctor *d = calloc(1, sizeof(*d));

        if (d)
                *d = (Doctor){ .core = c, .rows = json_object_new_array(), .fn = fn, .userdata = userdata };
        if (!d || !d->rows) {
                free(d);
                (void) error_set(&err, -ENOMEM, "doctor: out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        doctor_hold(d);
        if (doctor_files_read(c, on_files, d) >= 0)
                return;
        d->is_failed = true;
        doctor_release(d);
}

json_object *doctor_clock_to_json(void)
{
        AUTO_JSON *o = json_object_new_object();
        double now = (double) clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;

        if (!o || json_add(o, "time", json_object_new_double(now)) < 0 ||
            json_add_string(o, "version", STORAGED_VERSION) < 0)
                return NULL;
        return TAKE(o);
}
