/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to qemu-img: arguments are ours and absolute paths or names without a colon, formats are always given, so
 * nothing is guessed from content. Its last line on stderr is what a human needs and goes into the sentence.
 */
#include "common/qemu-img.h"

#include <errno.h>
#include <string.h>

#include "common/store.h"

#define QEMU_IMG_LEAKS 3 /* exit status: clusters that nobody refers to; harmless */

static const struct {
        const char *text;
        int code;
} reasons[] = {
        { "No space left on device", -ENOSPC },
        { "Disk quota exceeded", -EDQUOT },
        { "Failed to get", -EBUSY }, /* … "write" lock */
        { "Is another process using the image", -EBUSY },
        { "No such file or directory", -ENOENT },
        { "Permission denied", -EACCES },
        { "Read-only file system", -EROFS },
        { "does not support", -EOPNOTSUPP },
};

/* "    (12.34/100%)" */
static void pass_progress(void *userdata, const char *line)
{
        FileStore *fs = userdata;
        double percent;

        if (sscanf(line, " (%lf/100%%", &percent) == 1 && percent >= 0 && percent <= 100)
                (void) fs->host->progress(fs->host->handle, (uint64_t) (percent * 100), 10000);
}

/* Runs it; *ret_status only if it ran. `last` has room for what it said last on stderr. */
static int run(FileStore *fs, const char *const *argv, int *ret_status, char last[static 512],
               struct storaged_error *err)
{
        struct storaged_proc proc = {
                .size = sizeof(proc),
                .argv = argv,
                .stdin_fd = -1,
                .stdout_fd = -1,
                .progress = pass_progress,
                .userdata = fs,
        };
        struct storaged_proc_result result = { .size = sizeof(result) };
        int r = fs->host->proc_run(fs->host->handle, &proc, &result, err);

        free(result.out);
        if (r < 0)
                return r;
        *ret_status = result.status;
        (void) snprintf(last, 512, "%s", result.last_error);
        return 0;
}

int qemu_img_run(FileStore *fs, const char *const *argv, const char *action, const char *rel,
                 struct storaged_error *err)
{
        char last[512];
        int status, code = -EIO, r = run(fs, argv, &status, last, err);

        if (r < 0 || status == 0)
                return r;
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                if (strstr(last, reasons[i].text)) {
                        code = reasons[i].code;
                        break;
                }
        if (code == -ENOSPC)
                return store_fail(fs, err, code, action, rel);
        return error_set(err, code, "%s storage \"%s\": cannot %s %s/%s: qemu-img %s: %s", fs->kind->type, fs->storage,
                         action, fs->path, rel, argv[1],
                         last[0]        ? last
                         : status > 128 ? "killed"
                                        : "failed without a word");
}

int qemu_img_check(FileStore *fs, const char *rel, const char *format, struct storaged_error *err)
{
        char path[TREE_PATH_MAX], last[512];
        int status = 0, r = store_absolute(fs, rel, path, err);

        if (r == 0)
                r = run(fs, (const char *const[]){ "qemu-img", "check", "-q", "-f", format, path, NULL }, &status, last,
                        err);
        if (r < 0)
                return r;
        if (status == 0 || status == QEMU_IMG_LEAKS)
                return 0;
        return error_set(err, -EIO, "%s storage \"%s\": the %s image is damaged or was cut off: %s", fs->kind->type,
                         fs->storage, format, last);
}
