/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request without sockets: the same stages, routes and answers as the server's, for `storaged --once` and for
 * tests. The caller is the one who started the process, so it may do what the process may.
 */
#include "api/server.h"

#include <errno.h>
#include <string.h>

#include "api/request.h"
#include "base/str.h"

int api_once(Core *c, const char *method, const char *target, const char *body, size_t len, const char *content_type,
             int *ret_status, char **ret_body)
{
        AUTO(request_unrefp) Request *r = NULL;
        AUTO(freep) char *full = NULL;
        int n;

        n = str_printf(&full, "%s%s", str_skip(target, "/api2/") ? "" : "/api2/json", target);
        if (n >= 0)
                n = request_new(&r, c, method, full);
        if (n < 0)
                return n;
        r->user = "root@pam";
        request_begin(r);
        if (!r->is_done && (r->route->flags & ROUTE_UPLOAD))
                request_fail_status(r, 501, NULL, "uploads need the running daemon");
        if (!r->is_done && len > 0)
                (void) request_feed(r, body, len); /* a refusal is the answer */
        if (!r->is_done)
                request_dispatch(r, content_type);
        while (!r->is_done) {
                n = sd_event_run(c->event, UINT64_MAX);
                if (n < 0)
                        return n;
        }
        if (!r->body)
                return -ENOMEM;
        *ret_status = r->status;
        *ret_body = TAKE(r->body);
        return 0;
}
