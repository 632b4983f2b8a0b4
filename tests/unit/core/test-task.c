/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Task records: names, logs, ends, what a killed daemon leaves, what a full disk does, who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "core/task.h"
#include "core/upid.h"
#include "wire/json.h"
#include "tests/unit/scratch.h"

typedef struct Fixture {
        char root[SCRATCH_MAX];
        Paths paths;
        sd_event *event;
        TaskStore *store;
} Fixture;

/* Bytes that fit onto the disk; negative: a disk without end. */
static ssize_t disk_room = -1;
ssize_t __real_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n)
{
        if (disk_room >= 0 && fd > 2) {
                if (disk_room == 0) {
                        errno = ENOSPC;
                        return -1;
                }
                n = n > (size_t) disk_room ? (size_t) disk_room : n;
                disk_room -= (ssize_t) n;
        }
        return __real_write(fd, data, n);
}

/* A truncation gives room back, as the reservation at the start of the file does. */
static bool is_room_given_back;
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len)
{
        if (disk_room == 0 && is_room_given_back)
                disk_room = 2048;
        return __real_ftruncate(fd, len);
}

static void store_open(Fixture *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        assert_int_equal(task_store_new(&f->store, &f->paths, "node1", f->event, &err), 0);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        log_set_max_level(LOG_CRIT);
        disk_room = -1;
        is_room_given_back = true;
        assert_non_null(scratch_make(f->root));
        assert_int_equal(paths_init(&f->paths, f->root), 0);
        assert_true(sd_event_new(&f->event) >= 0);
        store_open(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        disk_room = -1;
        (void) task_store_free(f->store);
        (void) sd_event_unref(f->event);
        (void) scratch_remove(f->root);
        paths_deinit(&f->paths);
        free(f);
        return 0;
}

static void store_reopen(Fixture *f)
{
        f->store = task_store_free(f->store);
        store_open(f);
}

/* As if the daemon had been killed: what is on disk stays as it is. */
static void store_kill(Fixture *f, const char *upid)
{
        char copy[256];
        AUTO(freep) char *path = NULL, *text = NULL;
        size_t len;
        Upid u;

        (void) snprintf(copy, sizeof(copy), "%s", upid);
        assert_int_equal(upid_parse(copy, &u), 0);
        assert_int_equal(str_printf(&path, "%s/%X/%s", f->paths.tasks, u.start & 0xf, copy), 0);
        assert_int_equal(fs_read_file(path, 1 << 20, &text, &len), 0);
        f->store = task_store_free(f->store);
        assert_int_equal(fs_write_atomic(path, text, len, 0640), 0);
        store_open(f);
}

static Task *open_task(Fixture *f, const char *type, const char *id)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = NULL;

        assert_int_equal(task_new(f->store, type, id, "root@pam", &t, &err), 0);
        return t;
}

static json_object *status(Fixture *f, const char *upid)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *o = NULL;

        assert_int_equal(task_store_status(f->store, upid, &o, &err), 0);
        return o;
}

static json_object *lines(Fixture *f, const char *upid, uint64_t start, uint64_t limit, uint64_t *ret_total)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *o = NULL;

        assert_int_equal(task_store_log(f->store, upid, start, limit, &o, ret_total, &err), 0);
        return o;
}

static const char *line(json_object *rows, size_t i)
{
        return json_get_string(json_object_array_get_idx(rows, i), "t");
}

static json_object *list(Fixture *f, TaskFilter filter, uint64_t *ret_total)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *o = NULL;

        assert_int_equal(task_store_list(f->store, &filter, &o, ret_total, &err), 0);
        return o;
}

static void upid_is_symmetric(void **state)
{
        Upid u = { .node = "pve-1",
                   .pid = 0x12ab,
                   .pstart = 0x123456789,
                   .start = 0x65000000,
                   .type = "imgdel",
                   .id = "nfs1:100/vm-100-disk-0 \\x41.raw",
                   .user = "root@pam" },
             back;
        char text[UPID_MAX];

        (void) state;
        assert_int_equal(upid_format(&u, text), 0);
        assert_string_equal(text, "UPID:pve-1:000012AB:123456789:65000000:imgdel:"
                                  "nfs1\\x3a100\\x2fvm-100-disk-0\\x20\\x5cx41.raw:root@pam:");
        assert_int_equal(upid_parse(text, &back), 0);
        assert_string_equal(back.id, u.id);
        assert_string_equal(back.node, "pve-1");
        assert_int_equal(back.pstart, u.pstart);
}

static void upid_cuts_a_long_id_at_a_whole_escape(void **state)
{
        Upid u = { .node = "n", .type = "t", .user = "u" }, back;
        char text[UPID_MAX];

        (void) state;
        memset(u.id, '/', sizeof(u.id) - 1);
        assert_int_equal(upid_format(&u, text), 0);
        assert_true(strlen(text) < UPID_MAX);
        assert_int_equal(upid_parse(text, &back), 0);
        assert_true(strlen(back.id) > 40);
        assert_int_equal(strspn(back.id, "/"), strlen(back.id));
}

static void upid_refuses_what_it_does_not_write(void **state)
{
        static const char *const bad[] = {
                "",
                "UPID:",
                "UPID:n:00000001:00000001:00000001:t::u",
                "UPID:n:00000001:00000001:00000001:t::u:x",
                "UPID:n:0000001:00000001:00000001:t::u:",
                "UPID:n:00000001:0000000001:00000001:t::u:",
                "UPID:n:00000001:00000001:00000001:t:a/b:u:",
                "UPID:n:00000001:00000001:00000001:t:\\x41:u:",
                "UPID:n:00000001:00000001:00000001:t:\\x00:u:",
                "UPID:n:00000001:00000001:00000001:t:\\x3:u:",
                "UPID:../n:00000001:00000001:00000001:t::u:",
                "UPID:n:0000000g:00000001:00000001:t::u:",
                "UPID:n:00000001:00000001:00000001:t:\\x3A:u:",
        };
        Upid u;

        (void) state;
        assert_int_equal(upid_parse("UPID:n:00000001:00000001:00000001:t::u:", &u), 0);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(upid_parse(bad[i], &u), -EINVAL);
}

static void tasks_of_one_second_have_different_names(void **state)
{
        Fixture *f = *state;
        Task *a = open_task(f, "imgdel", "local"), *b = open_task(f, "imgdel", "local");

        assert_string_not_equal(task_get_upid(a), task_get_upid(b));
}

static void a_name_left_by_another_daemon_is_not_taken_again(void **state)
{
        Fixture *f = *state;
        char first[UPID_MAX];

        for (int i = 0; i < 50; i++) {
                (void) snprintf(first, sizeof(first), "%s", task_get_upid(open_task(f, "imgdel", "x")));
                store_reopen(f);
                assert_string_not_equal(first, task_get_upid(open_task(f, "imgdel", "x")));
        }
}

static void bad_words_are_refused(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = NULL;

        assert_int_equal(task_new(f->store, "a:b", "", "root@pam", &t, &err), -EINVAL);
        assert_int_equal(task_new(f->store, "", "", "root@pam", &t, &err), -EINVAL);
        assert_int_equal(task_new(f->store, "imgdel", "", "root pam", &t, &err), -EINVAL);
        assert_null(t);
        assert_true(err.text[0]);
}

static void log_numbers_its_lines(void **state)
{
        Fixture *f = *state;
        Task *t = open_task(f, "imgcopy", "local");
        uint64_t total;

        task_log(t, "one");
        task_log(t, "two\nthree\r\n");
        task_log(t, "bad \xff byte, a tab\tand \x01");
        task_finish(t, NULL);
        {
                AUTO_JSON *all = lines(f, task_get_upid(t), 0, 0, &total);

                assert_int_equal(total, 5);
                assert_string_equal(line(all, 2), "three");
                assert_string_equal(line(all, 3), "bad ? byte, a tab\tand ?");
                assert_string_equal(line(all, 4), "TASK OK");
                assert_int_equal(json_get_int(json_object_array_get_idx(all, 2), "n", 0), 3);
        }
        {
                AUTO_JSON *page = lines(f, task_get_upid(t), 1, 2, &total);

                assert_int_equal(total, 5);
                assert_int_equal(json_object_array_length(page), 2);
                assert_string_equal(line(page, 0), "two");
        }
}

static void a_line_of_the_work_is_no_end(void **state)
{
        Fixture *f = *state;
        Task *t = open_task(f, "imgcopy", "local");
        char upid[UPID_MAX];

        (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(t));
        task_log(t, "TASK OK");
        store_kill(f, upid);
        AUTO_JSON *o = status(f, upid);
        assert_true(strncmp(json_get_string(o, "exitstatus"), "interrupted", 11) == 0);
}

static void end_is_shown_before_and_after_a_restart(void **state)
{
        static const struct {
                int code;
                const char *text, *shown;
        } rows[] = {
                { 0, NULL, "OK" },
                { -EIO, "disk\nbroke", "disk broke" },
                { -ECANCELED, "whatever", "received interrupt" },
                { -EIO, "", "Input/output error" },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                Task *t = open_task(f, "imgdel", "local");
                char upid[UPID_MAX];

                (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(t));
                if (rows[i].code)
                        (void) error_set(&err, rows[i].code, "%s", rows[i].text);
                task_finish(t, rows[i].code ? &err : NULL);
                for (int again = 0; again < 2; again++) {
                        AUTO_JSON *o = status(f, upid);

                        assert_string_equal(json_get_string(o, "status"), "stopped");
                        assert_string_equal(json_get_string(o, "exitstatus"), rows[i].shown);
                        store_reopen(f);
                }
        }
}

static void running_status_has_progress_result_and_growing_seq(void **state)
{
        Fixture *f = *state;
        Task *t = open_task(f, "imgcopy", "local:x");
        AUTO_JSON *result = json_object_new_string("local:100/vm-100-disk-0.raw");
        uint64_t seq;

        {
                AUTO_JSON *o = status(f, task_get_upid(t));

                assert_string_equal(json_get_string(o, "status"), "running");
                assert_null(json_get_string(o, "exitstatus"));
                assert_null(json_get(o, "progress"));
                assert_string_equal(json_get_string(o, "id"), "local:x");
                assert_int_equal(json_get_uint(o, "pid", 0), getpid());
                assert_true(json_get_uint(o, "pstart", 0) > 0);
                seq = json_get_uint(o, "seq", 0);
        }
        task_progress(t, 5, 10);
        task_set_result(t, result);
        task_finish(t, NULL);
        AUTO_JSON *o = status(f, task_get_upid(t));
        assert_int_equal(json_get_uint(json_get(o, "progress"), "done", 0), 5);
        assert_string_equal(json_get_string(o, "result"), "local:100/vm-100-disk-0.raw");
        assert_true(json_get_uint(o, "seq", 0) > seq);
}

static void killed_daemon_leaves_interrupted_tasks(void **state)
{
        Fixture *f = *state;
        Task *t = open_task(f, "imgcopy", "local");
        char upid[UPID_MAX];
        uint64_t total;

        (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(t));
        task_log(t, "half way");
        store_kill(f, upid);
        for (int i = 0; i < 2; i++) {
                AUTO_JSON *o = status(f, upid);
                AUTO_JSON *log = lines(f, upid, 0, 0, &total);

                assert_string_equal(json_get_string(o, "status"), "stopped");
                assert_true(strncmp(json_get_string(o, "exitstatus"), "interrupted: storaged was stopped", 33) == 0);
                assert_int_equal(total, 2); /* closed once, not at every start */
                assert_string_equal(line(log, 0), "half way");
                store_reopen(f);
        }
}

static void clean_stop_leaves_interrupted_tasks(void **state)
{
        Fixture *f = *state;
        char upid[UPID_MAX];

        (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(open_task(f, "imgcopy", "local")));
        store_reopen(f);
        AUTO_JSON *o = status(f, upid);
        assert_string_equal(json_get_string(o, "status"), "stopped");
}

static void foreign_files_are_left_alone(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *dir = NULL, *path = NULL, *wrong = NULL;
        uint64_t total;

        assert_int_equal(str_printf(&dir, "%s/1", f->paths.tasks), 0);
        assert_int_equal(str_printf(&path, "%s/notes.txt", dir), 0);
        /* start time ends in 2, so it does not belong here */
        assert_int_equal(str_printf(&wrong, "%s/UPID:n:00000001:00000001:00000002:t::u:", dir), 0);
        assert_int_equal(fs_mkdir_p(dir, 0755), 0);
        assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
        assert_int_equal(fs_write_atomic(wrong, "x", 1, 0600), 0);
        store_reopen(f);
        AUTO_JSON *rows = list(f, (TaskFilter){ 0 }, &total);
        assert_int_equal(json_object_array_length(rows), 0);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(access(wrong, F_OK), 0);
}

static void list_filters_and_pages(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *running = open_task(f, "imgcopy", "local:100/vm-100-disk-0.raw"), *t;
        uint64_t total;

        for (int i = 0; i < 5; i++)
                task_finish(open_task(f, "imgdel", "200"), NULL);
        t = open_task(f, "prunebackups", "local");
        (void) error_set(&err, -EIO, "broken");
        task_finish(t, &err);
        const struct {
                TaskFilter filter;
                unsigned n, total;
        } rows[] = {
                { { 0 }, 7, 7 },
                { { .source = "active" }, 1, 1 },
                { { .source = "archive" }, 6, 6 },
                { { .source = "all" }, 7, 7 },
                { { .type = "imgdel" }, 5, 5 },
                { { .type = "img" }, 0, 0 },
                { { .user = "root" }, 7, 7 },
                { { .user = "nobody" }, 0, 0 },
                { { .vmid = 100 }, 1, 1 },
                { { .vmid = 200 }, 5, 5 },
                { { .vmid = 10 }, 0, 0 },
                { { .only_errors = true }, 1, 1 },
                { { .limit = 3 }, 3, 7 },
                { { .start = 5, .limit = 3 }, 2, 7 },
                { { .start = 50 }, 0, 7 },
                { { .since = (uint64_t) time(NULL) + 100 }, 0, 0 },
                { { .until = 1000 }, 0, 0 },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO_JSON *o = list(f, rows[i].filter, &total);

                assert_int_equal(json_object_array_length(o), rows[i].n);
                assert_int_equal(total, rows[i].total);
        }
        AUTO_JSON *all = list(f, (TaskFilter){ 0 }, &total);
        assert_string_equal(json_get_string(json_object_array_get_idx(all, 0), "status"), "broken");
        assert_string_equal(json_get_string(json_object_array_get_idx(all, 1), "status"), "OK");
        assert_string_equal(json_get_string(json_object_array_get_idx(all, 6), "upid"), task_get_upid(running));
        assert_string_equal(json_get_string(json_object_array_get_idx(all, 6), "status"), "RUNNING");
}

static unsigned count_files(Fixture *f)
{
        unsigned n = 0;

        for (unsigned i = 0; i < 16; i++) {
                AUTO(freep) char *dir = NULL;
                struct dirent *e;
                DIR *d;

                assert_int_equal(str_printf(&dir, "%s/%X", f->paths.tasks, i), 0);
                d = opendir(dir);
                if (!d)
                        continue;
                while ((e = readdir(d)))
                        n += e->d_name[0] != '.';
                (void) closedir(d);
        }
        return n;
}

static void oldest_finished_ones_go_running_ones_stay(void **state)
{
        Fixture *f = *state;
        Task *running = open_task(f, "imgcopy", "first"), *first = open_task(f, "imgdel", "second");
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = NULL;
        char gone[UPID_MAX];
        uint64_t total;

        (void) snprintf(gone, sizeof(gone), "%s", task_get_upid(first));
        task_finish(first, NULL);
        for (int i = 0; i < TASK_KEEP; i++)
                task_finish(open_task(f, "imgdel", "x"), NULL);
        assert_int_equal(count_files(f), TASK_KEEP + 1);
        assert_int_equal(task_store_status(f->store, gone, &o, &err), -ENOENT);
        assert_string_equal(err.param, "upid");
        task_finish(running, NULL); /* ends last, stays though it began first */
        AUTO_JSON *s = status(f, task_get_upid(running));
        assert_string_equal(json_get_string(s, "exitstatus"), "OK");
        store_reopen(f);
        AUTO_JSON *rows = list(f, (TaskFilter){ 0 }, &total);
        assert_int_equal(json_object_array_length(rows), TASK_KEEP);
}

static void unknown_upid_is_enoent(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = NULL;
        uint64_t total;

        assert_int_equal(task_store_status(f->store, "UPID:../../etc/passwd", &o, &err), -ENOENT);
        assert_int_equal(task_store_log(f->store, "", 0, 0, &o, &total, &err), -ENOENT);
        assert_int_equal(task_store_stop(f->store, "x", &err), -ENOENT);
        assert_int_equal(task_store_wait(f->store, "x", 0, 0, NULL, NULL, &err), -ENOENT);
}

static void count(void *userdata)
{
        (*(int *) userdata)++;
}

static void stop_tells_the_work_once(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = open_task(f, "imgcopy", "x"), *early = open_task(f, "imgcopy", "y");
        int n = 0, n_early = 0;

        task_on_cancel(t, count, &n);
        assert_int_equal(task_store_stop(f->store, task_get_upid(t), &err), 0);
        assert_int_equal(task_store_stop(f->store, task_get_upid(t), &err), 0);
        task_on_cancel(t, count, &n);
        assert_int_equal(n, 1);
        {
                AUTO_JSON *o = status(f, task_get_upid(t));

                assert_string_equal(json_get_string(o, "status"), "running"); /* until the work says so */
        }
        task_finish(t, NULL);
        assert_int_equal(task_store_stop(f->store, task_get_upid(t), &err), 0);
        assert_int_equal(n, 1);

        assert_int_equal(task_store_stop(f->store, task_get_upid(early), &err), 0);
        task_on_cancel(early, count, &n_early);
        assert_int_equal(n_early, 1);
}

static void run(Fixture *f, uint64_t usec)
{
        uint64_t end = now_usec() + usec;

        do
                assert_true(sd_event_run(f->event, 1000) >= 0);
        while (now_usec() < end);
}

static void wait_is_called_once_by_news(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = open_task(f, "imgcopy", "x"), *other = open_task(f, "imgcopy", "x");
        int n = 0;

        assert_int_equal(task_store_wait(f->store, task_get_upid(t), 1, 60 * USEC_PER_SEC, count, &n, &err), 0);
        task_log(other, "not this one");
        run(f, 5000);
        assert_int_equal(n, 0);
        task_progress(t, 1, 2);
        task_log(t, "x");
        assert_int_equal(n, 0);
        run(f, 5000);
        task_log(t, "y");
        run(f, 5000);
        assert_int_equal(n, 1);
}

static void wait_is_called_at_its_timeout(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = open_task(f, "imgcopy", "x");
        int n = 0;

        assert_int_equal(task_store_wait(f->store, task_get_upid(t), 1, 500 * USEC_PER_MSEC, count, &n, &err), 0);
        run(f, 5000);
        assert_int_equal(n, 0);
        for (int i = 0; n == 0 && i < 1000; i++)
                run(f, 20000);
        assert_int_equal(n, 1);
}

static void wait_returns_at_once_for_old_news_and_for_the_end(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = open_task(f, "imgcopy", "x");
        int n = 0;

        assert_int_equal(task_store_wait(f->store, task_get_upid(t), 0, 60 * USEC_PER_SEC, count, &n, &err), 0);
        assert_int_equal(n, 0); /* never before it returns */
        run(f, 5000);
        assert_int_equal(n, 1);
        task_finish(t, NULL);
        assert_int_equal(task_store_wait(f->store, task_get_upid(t), 1000, 60 * USEC_PER_SEC, count, &n, &err), 0);
        run(f, 5000);
        assert_int_equal(n, 2);
}

static void wait_can_be_taken_back(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Task *t = open_task(f, "imgcopy", "x");
        int n = 0;

        assert_int_equal(task_store_wait(f->store, task_get_upid(t), 0, 0, count, &n, &err), 0);
        task_store_unwait(f->store, count, &n);
        run(f, 5000);
        assert_int_equal(n, 0);
}

typedef struct Ask {
        Fixture *f;
        char upid[UPID_MAX];
        int n;
} Ask;

static void ask_status(void *userdata)
{
        Ask *a = userdata;
        AUTO_JSON *o = status(a->f, a->upid);

        assert_string_equal(json_get_string(o, "status"), "stopped");
        a->n++;
}

static void wait_is_called_when_the_store_goes(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Ask a = { .f = f };

        (void) snprintf(a.upid, sizeof(a.upid), "%s", task_get_upid(open_task(f, "imgcopy", "x")));
        assert_int_equal(task_store_wait(f->store, a.upid, 100, 60 * USEC_PER_SEC, ask_status, &a, &err), 0);
        store_reopen(f);
        assert_int_equal(a.n, 1);
}

static void log_is_cut_at_its_limit(void **state)
{
        Fixture *f = *state;
        Task *t = open_task(f, "imgcopy", "x");
        char text[1001];
        uint64_t total;

        memset(text, 'a', 1000);
        text[1000] = '\0';
        for (int i = 0; i < 6000; i++)
                task_log(t, "%s", text);
        task_finish(t, NULL);
        AUTO_JSON *rows = lines(f, task_get_upid(t), 0, 0, &total);
        assert_true(total > 4000 && total < 4300);
        assert_string_equal(line(rows, total - 1), "TASK OK");
        assert_non_null(strstr(line(rows, total - 2), "limit of 4 MiB"));
}

static void full_disk_cuts_the_log_and_keeps_the_end(void **state)
{
        static const size_t before[] = { 0, 50, 5000 }; /* bytes in the log when the disk is full */
        Fixture *f = *state;

        for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
                Task *t = open_task(f, "imgcopy", "x");
                char upid[UPID_MAX];
                uint64_t total;

                (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(t));
                for (size_t n = 0; n < before[i]; n += 50)
                        task_log(t, "%049d", (int) n);
                disk_room = 7;
                task_log(t, "this line does not fit");
                task_log(t, "and this is not tried");
                assert_int_equal(disk_room, 0);
                task_finish(t, NULL);
                disk_room = -1;
                store_reopen(f);
                AUTO_JSON *o = status(f, upid);
                AUTO_JSON *rows = lines(f, upid, 0, 0, &total);
                assert_string_equal(json_get_string(o, "exitstatus"), "OK");
                assert_string_equal(line(rows, total - 1), "TASK OK");
        }
}

static void end_that_cannot_be_written_leaves_no_wrong_record(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = NULL;
        Task *t = open_task(f, "imgdel", "x");
        char upid[UPID_MAX];

        (void) snprintf(upid, sizeof(upid), "%s", task_get_upid(t));
        disk_room = 0;
        is_room_given_back = false;
        task_finish(t, NULL);
        {
                AUTO_JSON *now = status(f, upid);

                assert_string_equal(json_get_string(now, "exitstatus"), "OK");
        }
        store_reopen(f);
        assert_int_equal(task_store_status(f->store, upid, &o, &err), -ENOENT);
}

static void task_runs_where_no_record_can_be_made(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *away = NULL;
        Task *t;
        uint64_t total;

        assert_int_equal(str_printf(&away, "%s.away", f->paths.tasks), 0);
        assert_int_equal(rename(f->paths.tasks, away), 0);
        assert_int_equal(fs_write_atomic(f->paths.tasks, "x", 1, 0600), 0); /* a file in its place */
        t = open_task(f, "imgdel", "x");
        task_log(t, "hello");
        task_finish(t, NULL);
        AUTO_JSON *o = status(f, task_get_upid(t));
        assert_string_equal(json_get_string(o, "exitstatus"), "OK");
        assert_int_equal(unlink(f->paths.tasks), 0);
        AUTO_JSON *rows = lines(f, task_get_upid(t), 0, 0, &total);
        assert_int_equal(json_object_array_length(rows), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(upid_is_symmetric),
                TEST(upid_cuts_a_long_id_at_a_whole_escape),
                TEST(upid_refuses_what_it_does_not_write),
                TEST(tasks_of_one_second_have_different_names),
                TEST(a_name_left_by_another_daemon_is_not_taken_again),
                TEST(bad_words_are_refused),
                TEST(log_numbers_its_lines),
                TEST(a_line_of_the_work_is_no_end),
                TEST(end_is_shown_before_and_after_a_restart),
                TEST(running_status_has_progress_result_and_growing_seq),
                TEST(killed_daemon_leaves_interrupted_tasks),
                TEST(clean_stop_leaves_interrupted_tasks),
                TEST(foreign_files_are_left_alone),
                TEST(list_filters_and_pages),
                TEST(oldest_finished_ones_go_running_ones_stay),
                TEST(unknown_upid_is_enoent),
                TEST(stop_tells_the_work_once),
                TEST(wait_is_called_once_by_news),
                TEST(wait_is_called_at_its_timeout),
                TEST(wait_returns_at_once_for_old_news_and_for_the_end),
                TEST(wait_can_be_taken_back),
                TEST(wait_is_called_when_the_store_goes),
                TEST(log_is_cut_at_its_limit),
                TEST(full_disk_cuts_the_log_and_keeps_the_end),
                TEST(end_that_cannot_be_written_leaves_no_wrong_record),
                TEST(task_runs_where_no_record_can_be_made),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
