/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking a file or reading a volume id needs the daemon's knowledge, not a daemon. `storaged --once METHOD
 * PATH` has the same routes; the body goes in as a file in memory, so that neither side waits for the other.
 */
#include "cli/once.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "wire/json.h"

#define DEADLINE_MS 30000

/* Beside our own program, or the bare name for a search in PATH. */
static int find_program(char **ret)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        AUTO(freep) char *beside = NULL;
        char *slash;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
                if (slash)
                        *slash = '\0';
                if (str_printf(&beside, "%s/storaged", self) < 0)
                        return -ENOMEM;
                if (access(beside, X_OK) == 0) {
                        *ret = TAKE(beside);
                        return 0;
                }
        }
        return str_printf(ret, "storaged");
}

int once_parse(const char *text, size_t len, Answer *ret, struct storaged_error *err)
{
        const char *newline = memchr(text, '\n', len), *p = text;
        Answer a = ANSWER_INIT;

        if (newline && len > 5 && strncmp(p, "HTTP ", 5) == 0)
                p += 5;
        while (newline && p < newline && isdigit((unsigned char) *p) && a.status < 1000)
                a.status = a.status * 10 + (*p++ - '0');
        if (a.status < 100 || a.status > 599)
                return error_set(err, -EPROTO, "storaged --once gave no answer");
        newline++;
        if (json_parse(newline, len - (size_t) (newline - text), &a.body) < 0)
                return error_set(err, -EPROTO, "storaged --once gave an answer that is not JSON (status %ld)",
                                 a.status);
        answer_read(&a);
        *ret = a;
        return 0;
}

static int body_fd(const StrBuf *body)
{
        AUTO(closep) int fd = memfd_create("pvesm-body", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = fs_write_all(fd, body->data, body->len);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int once_call(const Paths *paths, const Request *rq, Answer *ret, struct storaged_error *err)
{
        bool has_body = rq->params && rq->params->len > 0 && (str_eq(rq->method, "POST") || str_eq(rq->method, "PUT"));
        bool has_query = rq->params && rq->params->len > 0 && !has_body;
        AUTO(proc_result_deinit) ProcResult result = PROC_RESULT_INIT;
        AUTO(freep) char *program = NULL, *path = NULL;
        AUTO(closep) int body = -EBADF;
        ProcSpec spec = PROC_SPEC_INIT;
        int r;

        r = find_program(&program);
        if (r >= 0)
                r = str_printf(&path, "%s%s%s", rq->path, has_query ? "?" : "", has_query ? rq->params->data : "");
        if (r >= 0 && has_body)
                r = body = body_fd(rq->params);
        if (r < 0)
                return error_set(err, r, "can't prepare a request: %s", strerror(-r));

        const char *argv[] = { program, "--root", *paths->root ? paths->root : "/", "--once", rq->method, path, NULL };

        spec.argv = argv;
        spec.stdin_fd = has_body ? body : -1;
        spec.deadline_ms = DEADLINE_MS;
        r = proc_run(&spec, &result, err);
        if (r < 0)
                return r;
        if (result.out_len == 0)
                return error_set(err, -EPROTO, "%s --once failed with status %d: %s", program, result.status,
                                 *result.last_error ? result.last_error : "no message");
        return once_parse(result.out, result.out_len, ret, err);
}
