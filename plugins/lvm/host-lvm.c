/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lvm.conf and lvmlocal.conf of this node, read with LVM's own parser (libdevmapper), and the devices file
 * (lvmdevices(8)). What storaged writes is a block of lvmlocal.conf between two lines of its own and a devices file
 * that a note in /var/lib/storaged says it has made; everything else there was written by hand and is left alone.
 */
#include "lvm/host-lvm.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdevmapper.h>

#include <storaged/cleanup.h>

#include "common-lvm/dm.h"
#include "common/text.h"

#define CONF "/etc/lvm/lvm.conf"
#define LOCAL "/etc/lvm/lvmlocal.conf"
#define DEVICES_DIR "/etc/lvm/devices"
#define DEVICES DEVICES_DIR "/system.devices"
#define NOTE_DIR "/var/lib/storaged"
#define NOTE NOTE_DIR "/lvm-devices"
#define HINTS "/run/lvm/hints"
#define FILE_MAX (4u << 20)

#define BLOCK_BEGIN "# storaged: begin (pvesm vg guard; what is changed in here is lost)\n"
#define BLOCK_END "# storaged: end\n"
#define BLOCK BLOCK_BEGIN "devices {\n\tuse_devicesfile = 1\n\tscan_lvs = 0\n}\n" BLOCK_END

DEFINE_CLEANUP(struct dm_config_tree *, dm_config_destroy)

static void path_of(const struct storaged_host *host, const char *name, char ret[static PATH_MAX])
{
        (void) snprintf(ret, PATH_MAX, "%s%s", host->root, name);
}

/* 0, also if there is none (*ret NULL). */
static int read_text(const struct storaged_host *host, const char *name, char **ret)
{
        char path[PATH_MAX];

        path_of(host, name, path);
        return text_read(path, FILE_MAX, ret);
}

static int write_text(const struct storaged_host *host, const char *name, const char *text)
{
        char path[PATH_MAX];

        path_of(host, name, path);
        return text_write(path, text);
}

/* Our block within the text, or NULL; *ret_end: behind it. */
static char *find_block(char *text, char **ret_end)
{
        char *begin = text ? strstr(text, BLOCK_BEGIN) : NULL, *end = begin ? strstr(begin, BLOCK_END) : NULL;

        if (!end)
                return NULL;
        *ret_end = end + strlen(BLOCK_END);
        return begin;
}

/* A filter that only accepts keeps nothing away. */
static bool rejects(const struct dm_config_node *n)
{
        for (const struct dm_config_value *v = n ? n->v : NULL; v; v = v->next)
                if (v->type == DM_CFG_STRING && v->v.str[0] == 'r')
                        return true;
        return false;
}

/* The words of one file; those of the block that storaged wrote are no hand's. */
static void read_conf(const struct storaged_host *host, const char *name, HostLvm *h)
{
        AUTO(dm_config_destroyp) struct dm_config_tree *tree = NULL;
        AUTO(freep) char *text = NULL;
        AUTO(freep) char *whole = NULL;
        char *begin, *end = NULL;
        int r = read_text(host, name, &text);

        if (r < 0)
                (void) snprintf(h->error, sizeof(h->error), "%s can't be read: %s", name, strerror(-r));
        if (!text)
                return;
        begin = find_block(text, &end);
        if (begin) {
                memset(begin, '\n', (size_t) (end - begin));
                h->has_devices_file = true;
                h->scans_lvs = false;
        }
        /* libdevmapper takes nothing but comments for an error: here is something. */
        r = text_printf(&whole, "%s\nstoraged_was_here = 1\n", text);
        tree = r == 0 ? dm_config_from_string(whole) : NULL;
        if (!tree) {
                (void) snprintf(h->error, sizeof(h->error), "%s is not in the form of lvm.conf(5)", name);
                return;
        }
        if (dm_config_tree_find_node(tree, "devices/use_devicesfile")) {
                h->says_devices = true;
                h->has_devices_file = dm_config_tree_find_bool(tree, "devices/use_devicesfile", 0);
        }
        if (dm_config_tree_find_node(tree, "devices/scan_lvs"))
                h->scans_lvs = dm_config_tree_find_bool(tree, "devices/scan_lvs", 0);
        if (rejects(dm_config_tree_find_node(tree, "devices/filter")) ||
            rejects(dm_config_tree_find_node(tree, "devices/global_filter")))
                h->has_filter = true;
}

static void count_devices(const struct storaged_host *host, HostLvm *h)
{
        AUTO(freep) char *text = NULL;

        if (read_text(host, DEVICES, &text) < 0 || !text)
                return;
        h->has_list = true;
        for (const char *p = strstr(text, "IDTYPE="); p; p = strstr(p + 1, "IDTYPE="))
                h->n_devices++;
}

void host_lvm_read(const struct storaged_host *host, HostLvm *ret)
{
        char path[PATH_MAX];
        HostLvm h = { 0 };

        dm_be_silent();
        read_conf(host, CONF, &h);
        read_conf(host, LOCAL, &h); /* it has the last word */
        count_devices(host, &h);
        path_of(host, NOTE, path);
        h.is_ours = h.has_list && access(path, F_OK) == 0;
        if (!h.has_list) /* LVM looks at everything then, whatever the configuration says */
                h.has_devices_file = false;
        *ret = h;
}

static int cannot_write(const struct storaged_host *host, const char *name, int r, struct storaged_error *err)
{
        return error_set(err, r, "node %s: cannot write %s: %s", host->node, name, strerror(-r));
}

int host_lvm_begin_list(const struct storaged_host *host, struct storaged_error *err)
{
        char path[PATH_MAX];
        int r;

        path_of(host, NOTE_DIR, path);
        (void) mkdir(path, 0755); /* mostly there; else the next step says so */
        path_of(host, DEVICES_DIR, path);
        (void) mkdir(path, 0755);
        r = write_text(host, NOTE, "made by storaged: " DEVICES "\n");
        if (r < 0)
                return cannot_write(host, NOTE, r, err);
        r = write_text(host, DEVICES, "# LVM uses devices listed in this file. Made by storaged.\nVERSION=1.1.1\n");
        return r < 0 ? cannot_write(host, DEVICES, r, err) : 0;
}

int host_lvm_limit(const struct storaged_host *host, struct storaged_error *err)
{
        AUTO(freep) char *text = NULL;
        AUTO(freep) char *next = NULL;
        char *end = NULL;
        int r = read_text(host, LOCAL, &text);

        if (r < 0)
                return error_set(err, r, "node %s: cannot read " LOCAL ": %s", host->node, strerror(-r));
        if (find_block(text, &end))
                return 0;
        r = text_printf(&next, "%s%s" BLOCK, text ? text : "",
                        text && *text && text[strlen(text) - 1] != '\n' ? "\n" : "");
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = write_text(host, LOCAL, next);
        return r < 0 ? cannot_write(host, LOCAL, r, err) : 0;
}

int host_lvm_release(const struct storaged_host *host, struct storaged_error *err)
{
        AUTO(freep) char *text = NULL;
        char path[PATH_MAX], *begin, *end = NULL;
        int r = read_text(host, LOCAL, &text);

        if (r < 0)
                return error_set(err, r, "node %s: cannot read " LOCAL ": %s", host->node, strerror(-r));
        begin = find_block(text, &end);
        if (begin) {
                memmove(begin, end, strlen(end) + 1);
                r = write_text(host, LOCAL, text);
                if (r < 0)
                        return cannot_write(host, LOCAL, r, err);
        }
        path_of(host, NOTE, path);
        if (access(path, F_OK) < 0)
                return 0; /* the devices file is not ours */
        path_of(host, DEVICES, path);
        if (unlink(path) < 0 && errno != ENOENT)
                return cannot_write(host, DEVICES, -errno, err);
        path_of(host, NOTE, path);
        return unlink(path) < 0 && errno != ENOENT ? cannot_write(host, NOTE, -errno, err) : 0;
}

void host_lvm_forget_hints(const struct storaged_host *host)
{
        char path[PATH_MAX];

        path_of(host, HINTS, path);
        (void) unlink(path); /* mostly there is none; LVM makes it again */
}
