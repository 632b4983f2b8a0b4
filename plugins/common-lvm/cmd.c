/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LVM in this process. liblvm2cmd takes a command line and tells what it has to say line by line to one function of the
 * process, with levels but without context: hence the static `current`. Reports come that way too, as JSON; they are
 * told from other lines by the file that they come from.
 *
 * Every command gets the same settings (reference: safety-and-peers.md, LVM command hygiene): only the devices the VG
 * is on (whatever devices the host's own LVM is limited to), no hints, no device list from udev, suspended devices are
 * left alone, no metadata backups on this node. They come with --config and not in a file, so that the host's own
 * lvm.conf goes on to count for all else. `--devices` is not used: after it the library's next command crashes
 * (2.03.16). Without more LVM looks at every name below /dev before each command; where all devices of the VG are
 * maps, those of device-mapper are enough.
 *
 * LVM has one exit status for all failures; which it was is found in what it said. Those texts are matched in one
 * table.
 */
#include "common-lvm/cmd.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lvm2cmd.h>

#include <storaged/cleanup.h>

#include "common-lvm/lockd.h"

#define SAID_MAX 512
#define MAPPER "/dev/mapper/"
#define START_TRIES 40
#define START_PAUSE_MSEC 500

typedef struct Answer {
        FILE *report;
        char said[SAID_MAX];  /* errors, joined */
        char first[SAID_MAX]; /* the first of them: mostly the cause, what follows is its echo */
        bool is_cut;
} Answer;

static Answer *current;

static void on_line(int level, const char *file, int line, int dm_errno, const char *message)
{
        Answer *a = current;
        size_t used;

        (void) line;
        (void) dm_errno;
        if (!a || !message)
                return;
        if (level == LVM2_LOG_PRINT && file && strstr(file, "libdm-report")) {
                if (a->report && fprintf(a->report, "%s\n", message) < 0)
                        a->is_cut = true;
                return;
        }
        if (level > LVM2_LOG_ERROR)
                return;
        if (!a->first[0])
                (void) snprintf(a->first, sizeof(a->first), "%s", message);
        used = strlen(a->said);
        (void) snprintf(a->said + used, sizeof(a->said) - used, "%s%s", used ? "; " : "", message);
}

static const struct {
        const char *text;
        int code;
} reasons[] = {
        { "locked by other host", -EBUSY },
        { "not stopped on other hosts", -EBUSY },
        { "contains a filesystem in use", -EBUSY },
        { "is used by another device", -EBUSY },
        { "in use", -EBUSY },
        { "Can't open /dev/", -EBUSY },
        { "insufficient free space", -ENOSPC },
        { "Insufficient free space", -ENOSPC },
        { "nsufficient suitable", -ENOSPC },
        { "already exists", -EEXIST },
        { "ailed to find logical volume", -ENOENT },
        { "Failed to find", -ENOENT },
        { "not found", -ENOENT },
        { "lock start in progress", -EAGAIN },
        { "lockspace is starting", -EAGAIN },
        { "lockspace is not started", -EAGAIN },
        { "lockspace is inactive", -EAGAIN },
        { "lock start is required", -EAGAIN },
        { "storage failed for sanlock leases", -EIO },
        { "no storage for", -EIO },
};

static int reason_of(const char *said)
{
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                if (strstr(said, reasons[i].text))
                        return reasons[i].code;
        return -EIO;
}

void lvm_cmd_deinit(LvmCmd *c)
{
        if (c->handle)
                lvm2_exit(c->handle);
        c->handle = NULL;
        free(c->filter);
        c->filter = NULL;
        c->is_mapped = false;
}

int lvm_cmd_limit(LvmCmd *c, const char *const *devices, size_t n)
{
        AUTO(freep) char *filter = NULL;
        bool is_mapped = n > 0;
        size_t size = 0;
        FILE *f;

        if (n > 0) {
                f = open_memstream(&filter, &size);
                if (!f)
                        return -ENOMEM;
                for (size_t i = 0; i < n; i++) {
                        is_mapped = is_mapped && strncmp(devices[i], MAPPER, strlen(MAPPER)) == 0;
                        (void) fputs("\"a|^", f);
                        for (const char *s = devices[i]; *s;
                             s++) /* what could mean something in a pattern is any letter */
                                (void) fputc(
                                        strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-", *s)
                                                ? *s
                                                : '.',
                                        f);
                        (void) fputs("$|\",", f);
                }
                (void) fputs("\"r|.*|\"", f);
                if (fclose(f) != 0)
                        return -ENOMEM;
        }
        free(c->filter);
        c->filter = TAKE(filter);
        c->is_mapped = is_mapped;
        return 0;
}

static int make_line(const LvmCmd *c, const char *fmt, va_list ap, char **ret)
{
        AUTO(freep) char *line = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&line, &size);

        if (!f)
                return -ENOMEM;
        (void) vfprintf(f, fmt, ap);
        if (c->is_hosts) {
                if (fclose(f) != 0)
                        return -ENOMEM;
                *ret = TAKE(line);
                return 0;
        }
        (void) fprintf(f,
                       " --config 'devices { hints=\"none\" obtain_device_list_from_udev=0 ignore_suspended_devices=1 "
                       "preferred_names=[\"^/dev/mapper/\"] scan_lvs=0 use_devicesfile=0");
        if (c->filter)
                (void) fprintf(f, " filter=[%s]", c->filter);
        if (c->is_mapped)
                (void) fputs(" scan=[\"" MAPPER "\"]", f);
        (void) fprintf(f,
                       " } backup { backup=0 archive=0 } report { time_format=\"%%s\" } activation { monitoring=0 } "
                       "global { use_lvmlockd=%d }",
                       !c->is_unlocked && access(LOCKD_SOCKET, F_OK) == 0);
        if (c->host_id)
                (void) fprintf(f, " local { host_id=%u }", c->host_id);
        (void) fputc('\'', f);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE(line);
        return 0;
}

static int run(LvmCmd *c, const char *action, Answer *a, struct storaged_error *err, const char *fmt, va_list ap)
{
        AUTO(freep) char *line = NULL;
        int r = make_line(c, fmt, ap, &line);

        if (r < 0)
                return error_set(err, r, "out of memory");
        if (!c->handle) {
                lvm2_log_fn(on_line);
                c->handle = lvm2_init();
                if (!c->handle)
                        return error_set(
                                err, -EIO,
                                "cannot %s: LVM does not start; is lvm2 installed and /etc/lvm/lvm.conf sound?",
                                action);
                if (!c->is_hosts) /* it makes LVM take us for dmeventd, which has a devices file of its own */
                        lvm2_disable_dmeventd_monitoring(c->handle);
        }
        current = a;
        r = lvm2_run(c->handle, line);
        current = NULL;
        if (r == LVM2_COMMAND_SUCCEEDED)
                return 0;
        r = a->said[0] ? reason_of(a->said) : -EIO;
        return error_set(err, r, "%s: cannot %s: %s", c->what, action, a->first[0] ? a->said : "LVM gave no reason");
}

/*
 * With sanlock LVM activates the volume of the leases and at once has lvmlockd open it, by a name that udev may not
 * have made yet on a busy node ("invalid parameters"): once more then.
 */
int lvm_cmd_start_locks(LvmCmd *c, const char *vg, struct storaged_error *err)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        const char *restarted = c->vg;
        int r = -EIO;

        c->vg = NULL; /* this is how they are started */
        for (int i = 0; i < START_TRIES; i++) {
                r = lvm_cmd(c, "start the locks of its volume group", &why, "vgchange --lock-start %s", vg);
                if (r == 0 || !strstr(why.text, "invalid parameters for sanlock"))
                        break;
                (void) poll(NULL, 0, START_PAUSE_MSEC);
        }
        c->vg = restarted;
        return r < 0 ? error_set(err, r, "%s", why.text) : 0;
}

int lvm_cmd(LvmCmd *c, const char *action, struct storaged_error *err, const char *fmt, ...)
{
        Answer a = { 0 };
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = run(c, action, &a, err, fmt, ap);
        va_end(ap);
        /* They ended under us: given up when the storage was lost, or stopped by hand. */
        if (r == -EAGAIN && c->vg && lvm_cmd_start_locks(c, c->vg, NULL) == 0) {
                a = (Answer){ 0 };
                if (err) /* of the first time */
                        (void) error_set(err, 0, "%s", "");
                va_start(ap, fmt);
                r = run(c, action, &a, err, fmt, ap);
                va_end(ap);
        }
        return r;
}

int lvm_cmd_report(LvmCmd *c, const char *action, json_object **ret, struct storaged_error *err, const char *fmt, ...)
{
        AUTO(freep) char *text = NULL;
        size_t size = 0;
        Answer a = { .report = open_memstream(&text, &size) };
        json_object *o;
        va_list ap;
        int r;

        if (!a.report)
                return error_set(err, -ENOMEM, "out of memory");
        va_start(ap, fmt);
        r = run(c, action, &a, err, fmt, ap);
        va_end(ap);
        if (fclose(a.report) != 0 || a.is_cut)
                return error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                return r;
        o = json_tokener_parse(text);
        if (!o)
                return error_set(err, -EPROTO, "%s: cannot %s: LVM's report of %zu bytes is no JSON", c->what, action,
                                 size);
        *ret = o;
        return 0;
}
