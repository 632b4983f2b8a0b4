/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An import on another node in four steps, each begun by the answer to the one before: its request, which names a token
 * of ours; the stream to that token; questions for its task, each of which waits there for news; its result. All the
 * state that counts is the other node's task: if this side ends, the stream ends early, and since the task knows how
 * many bytes there should be it makes no volume of them.
 */
#include "core/far-import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/everywhere.h"
#include "core/stream.h"
#include "wire/json.h"

#define NEWS_WAIT_S 25u /* that a question for the task waits */

struct FarImport {
        Core *core;
        FarImportCall call; /* strings are ours */
        char token[STREAM_TOKEN_SIZE];
        int ours; /* our end of the pair; the worker has the other one */
        char *upid;
        uint64_t seen; /* of the task's news */
        bool is_cancelled;
        struct storaged_error failure; /* of the beginning, told in a later turn of the loop */
        sd_event_source *telling;
};

static void far_free(FarImport *f)
{
        (void) sd_event_source_disable_unref(f->telling);
        closep(&f->ours);
        free((char *) f->call.node);
        free((char *) f->call.storage);
        free((char *) f->call.volname);
        free((char *) f->call.format);
        free((char *) f->call.user);
        free(f->upid);
        free(f);
}

static void far_end(FarImport *f, const char *volid, const struct storaged_error *err)
{
        f->call.done(f->call.userdata, volid, err);
        far_free(f);
}

static int far_ask(FarImport *f, const char *method, const char *path, const char *form, everywhere_fn fn)
{
        const char *nodes[] = { f->call.node, NULL };
        EverywhereCall ask = { .nodes = nodes,
                               .method = method,
                               .path = path,
                               .form = form,
                               .user = f->call.user,
                               .fn = fn,
                               .userdata = f };

        return everywhere_ask(f->core, &ask);
}

/* --- its task */

static void follow(FarImport *f);

static void on_status(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        FarImport *f = userdata;
        json_object *status = n > 0 ? answers[0].data : NULL, *progress = json_get(status, "progress");
        const char *exit_status = json_get_string(status, "exitstatus");

        if (!status) {
                (void) error_set(&err, -EIO,
                                 "node '%s' was lost while it imported '%s': %s; look there what became of it",
                                 f->call.node, f->upid, n > 0 ? answers[0].err.text : "it is no member any more");
                far_end(f, NULL, &err);
                return;
        }
        f->seen = json_get_uint(status, "seq", f->seen);
        if (progress && f->call.progress)
                f->call.progress(f->call.userdata, json_get_uint(progress, "done", 0),
                                 json_get_uint(progress, "total", 0));
        if (str_eq(json_get_string(status, "status"), "running")) {
                follow(f);
                return;
        }
        if (str_eq(exit_status, "OK") && json_get_string(status, "result")) {
                far_end(f, json_get_string(status, "result"), NULL);
                return;
        }
        (void) error_set(&err, f->is_cancelled ? -ECANCELED : -EIO, "node '%s': %s", f->call.node,
                         exit_status ? exit_status : "its import ended without a word");
        far_end(f, NULL, &err);
}

static void follow(FarImport *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;

        strbuf_adds(&path, "/tasks/");
        everywhere_encode(&path, f->upid);
        strbuf_addf(&path, "/status?wait=%u&seen=%llu", NEWS_WAIT_S, (unsigned long long) f->seen);
        if (strbuf_error(&path) >= 0 && far_ask(f, "GET", path.data, NULL, on_status) >= 0)
                return;
        (void) error_set(&err, -ENOMEM, "out of memory");
        far_end(f, NULL, &err);
}

static void on_stopped(void *userdata, const NodeAnswer *answers, size_t n)
{
        (void) userdata, (void) answers, (void) n; /* the task's status tells */
}

static void stop_task(FarImport *f)
{
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        const char *nodes[] = { f->call.node, NULL };
        EverywhereCall ask = { .nodes = nodes, .method = "DELETE", .user = f->call.user, .fn = on_stopped };

        strbuf_adds(&path, "/tasks/");
        everywhere_encode(&path, f->upid);
        ask.path = path.data;
        if (strbuf_error(&path) >= 0)
                (void) everywhere_ask(f->core, &ask); /* without it the task ends with its stream */
}

void far_import_cancel(FarImport *f)
{
        f->is_cancelled = true;
        if (f->upid)
                stop_task(f);
}

/* --- its beginning */

static int send_stream(FarImport *f, struct storaged_error *err)
{
        AUTO(closep) int worker = -EBADF;
        int r = stream_pair(&worker, &f->ours);

        if (r < 0)
                return error_set(err, r, "can't make a stream: %s", strerror(-r));
        r = stream_send(f->core, f->call.node, f->token, f->ours, err);
        if (r < 0)
                return r;
        f->ours = -EBADF;
        return f->call.feed(f->call.userdata, TAKE_FD(worker), err);
}

static int on_failed(sd_event_source *source, void *userdata)
{
        FarImport *f = userdata;

        (void) source;
        far_end(f, NULL, &f->failure);
        return 0;
}

static void on_begun(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        FarImport *f = userdata;
        json_object *upid = n > 0 ? answers[0].data : NULL;
        int r = 0;

        if (!json_object_is_type(upid, json_type_string))
                r = n > 0 && answers[0].err.code
                            ? error_set(&err, answers[0].err.code, "node '%s': %s", f->call.node, answers[0].err.text)
                            : error_set(&err, -EPROTO, "node '%s' did not begin an import", f->call.node);
        else if (!(f->upid = strdup(json_object_get_string(upid))))
                r = error_set(&err, -ENOMEM, "out of memory");
        else if (f->is_cancelled)
                r = error_set(&err, -ECANCELED, "cancelled");
        if (r >= 0)
                r = send_stream(f, &err);
        if (r >= 0) {
                follow(f);
                return;
        }
        if (f->upid)
                stop_task(f);
        f->failure = err;
        if (sd_event_add_defer(f->core->event, &f->telling, on_failed, f) < 0)
                far_end(f, NULL, &err);
}

static void add_field(StrBuf *form, const char *key, const char *value)
{
        strbuf_addf(form, "%s%s=", form->len > 0 ? "&" : "", key);
        everywhere_encode(form, value);
}

static int far_request(FarImport *f)
{
        AUTO(strbuf_deinit) StrBuf form = STRBUF_INIT;
        AUTO(freep) char *path = NULL, *from = NULL;
        int r = str_printf(&path, "/storage/%s/import", f->call.storage);

        if (r >= 0)
                r = str_printf(&from, "node://%s/%s", f->core->node, f->token);
        if (r < 0)
                return r;
        add_field(&form, "volume", f->call.volname);
        add_field(&form, "format", f->call.format);
        add_field(&form, "from", from);
        if (f->call.with_snapshots)
                add_field(&form, "with-snapshots", "1");
        if (f->call.allow_rename)
                add_field(&form, "allow-rename", "1");
        r = strbuf_error(&form);
        return r < 0 ? r : far_ask(f, "POST", path, form.data, on_begun);
}

int far_import_begin(FarImport **ret, Core *c, const FarImportCall *call, struct storaged_error *err)
{
        FarImport *f = calloc(1, sizeof(*f));
        int r = -ENOMEM;

        if (!f)
                return error_set(err, r, "out of memory");
        f->core = c;
        f->ours = -EBADF;
        f->call = *call;
        f->call.node = strdup(call->node);
        f->call.storage = strdup(call->storage);
        f->call.volname = strdup(call->volname);
        f->call.format = strdup(call->format);
        f->call.user = strdup(call->user ? call->user : "root@pam");
        stream_make_token(f->token);
        *ret = f;
        if (f->call.node && f->call.storage && f->call.volname && f->call.format && f->call.user)
                r = far_request(f);
        if (r < 0) {
                *ret = NULL;
                far_free(f);
                return error_set(err, r, "out of memory");
        }
        return 0;
}
