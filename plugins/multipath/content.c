/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is on a device. Children look, some at a time; one that meets a device that does not answer is left behind and
 * the device is `unknown`, with the reason, until something happens to it. Nothing is written and the device is opened
 * for reading only: a close after writing would make udev look at it again. Other nodes write to the same LUN, so what
 * this kernel has cached of it is dropped first.
 */
#include "multipath/content.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "multipath/lvmlabel.h"
#include "multipath/work.h"

#define PROBES_AT_ONCE 8
#define PROBE_DEADLINE_MS 4000u

static int read_at(void *userdata, uint64_t offset, uint8_t *ret, size_t len)
{
        ssize_t n = pread(*(int *) userdata, ret, len, (off_t) offset);

        return n < 0 ? -errno : (int) n;
}

static void take_value(blkid_probe pr, const char *name, char *ret, size_t size)
{
        const char *v = NULL;

        if (blkid_probe_lookup_value(pr, name, &v, NULL) == 0 && v)
                (void) snprintf(ret, size, "%s", v);
}

static const char *kind_of(const char *usage, const char *type)
{
        if (strcmp(type, "LVM2_member") == 0)
                return "pv";
        if (strcmp(usage, "filesystem") == 0)
                return "filesystem";
        if (strcmp(usage, "raid") == 0)
                return "raid";
        return "other";
}

static int look(int fd, Content *c)
{
        blkid_probe pr = blkid_new_probe();
        char usage[32] = "";
        int r;

        if (!pr)
                return -ENOMEM;
        (void) blkid_probe_enable_superblocks(pr, 1);
        (void) blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
                                                             BLKID_SUBLKS_UUID);
        (void) blkid_probe_enable_partitions(pr, 1);
        r = blkid_probe_set_device(pr, fd, 0, 0) < 0 ? -1 : blkid_do_safeprobe(pr);
        if (r == 0) {
                take_value(pr, "TYPE", c->signature, sizeof(c->signature));
                take_value(pr, "USAGE", usage, sizeof(usage));
                take_value(pr, "LABEL", c->label, sizeof(c->label));
                take_value(pr, "UUID", c->uuid, sizeof(c->uuid));
                if (c->signature[0]) {
                        (void) snprintf(c->kind, sizeof(c->kind), "%s", kind_of(usage, c->signature));
                } else {
                        take_value(pr, "PTTYPE", c->signature, sizeof(c->signature));
                        (void) snprintf(c->kind, sizeof(c->kind), "partitions");
                }
        } else if (r == 1) {
                (void) snprintf(c->kind, sizeof(c->kind), "none");
        } else if (r == -2) {
                (void) snprintf(c->kind, sizeof(c->kind), "other");
                (void) snprintf(c->signature, sizeof(c->signature), "ambiguous");
        }
        blkid_free_probe(pr);
        return r == -1 ? -EIO : 0;
}

static int probe_child(void *arg, int out)
{
        ContentProbe *p = arg;
        Content c = { 0 };
        LvmLabel label = { 0 };
        int fd = open(p->device, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

        if (fd < 0)
                return -errno;
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        r = look(fd, &c);
        if (r < 0)
                return r;
        if (strcmp(c.kind, "pv") == 0 && lvm_label_read(read_at, &fd, &label) != -ENODATA) {
                memcpy(c.vg, label.vg, sizeof(c.vg));
                memcpy(c.pv_uuid, label.pv_uuid, sizeof(c.pv_uuid));
                memcpy(c.vg_uuid, label.vg_uuid, sizeof(c.vg_uuid));
                memcpy(c.lock_type, label.lock_type, sizeof(c.lock_type));
        }
        return write(out, &c, sizeof(c)) == (ssize_t) sizeof(c) ? 0 : -EIO;
}

static void take_result(ContentProbe *p, const Work *w)
{
        p->content = (Content){ .kind = "unknown" };
        if (w->result == 0 && w->out_len == sizeof(Content))
                memcpy(&p->content, w->out, sizeof(Content));
        else if (w->result == -ETIMEDOUT)
                (void) snprintf(p->content.reason, sizeof(p->content.reason), "%.40s did not answer for %u s",
                                p->device, PROBE_DEADLINE_MS / 1000);
        else
                (void) snprintf(p->content.reason, sizeof(p->content.reason), "%.30s can't be read: %.40s", p->device,
                                strerror(-w->result));
}

void content_probe(ContentProbe *probes, size_t n)
{
        AUTO(freep) Work *works = calloc(n ? n : 1, sizeof(*works));

        for (size_t i = 0; i < n; i++) {
                probes[i].content = (Content){ .kind = "unknown", .reason = "out of memory" };
                if (works)
                        works[i] = (Work){ .fn = probe_child, .arg = &probes[i] };
        }
        if (!works || n == 0 || work_run(works, n, PROBES_AT_ONCE, PROBE_DEADLINE_MS) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                take_result(&probes[i], &works[i]);
                free(works[i].out);
        }
}
