/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `base`: the LUN that the volume group is said to be on, as a volume of another storage, "STORE:WWID" for type
 * multipath and "STORE:0.0.1.scsi-WWID" for iscsi. A group that is on another LUN is a mistake that is told before
 * anything is written: the same name on a restored or copied LUN, or the wrong one of two.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lvm/lvm.h"

#define WWID_SIZE 256

/* The LUN in a base; NULL: there is none. */
static const char *base_wwid(const char *base)
{
        const char *volume = strchr(base, ':'), *scsi = volume ? strstr(volume, "scsi-") : NULL;
        const char *wwid = scsi ? scsi + strlen("scsi-") : volume ? volume + 1 : "";
        size_t n = strlen(wwid);

        if (n < 8 || n >= WWID_SIZE)
                return NULL;
        for (const char *p = wwid; *p; p++)
                if (!isgraph((unsigned char) *p) || *p == '/')
                        return NULL;
        return wwid;
}

static bool read_line(const char *path, char *ret, size_t size)
{
        AUTO(fclosep) FILE *f = fopen(path, "re");

        if (!f || !fgets(ret, (int) size, f))
                return false;
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

/* Of a multipath map by its uuid, of a SCSI disk by what the kernel read from it; false: it has none. */
static bool device_wwid(const char *device, char ret[static WWID_SIZE])
{
        char real[PATH_MAX], path[PATH_MAX + 64], text[WWID_SIZE];

        if (!realpath(device, real) || strncmp(real, "/dev/", 5) != 0)
                return false;
        (void) snprintf(path, sizeof(path), "/sys/block/%s/dm/uuid", real + 5);
        if (read_line(path, text, sizeof(text)) && strncmp(text, "mpath-", 6) == 0) {
                (void) snprintf(ret, WWID_SIZE, "%s", text + 6);
                return true;
        }
        (void) snprintf(path, sizeof(path), "/sys/block/%s/device/wwid", real + 5);
        if (!read_line(path, text, sizeof(text)))
                return false;
        if (strncmp(text, "naa.", 4) == 0)
                (void) snprintf(ret, WWID_SIZE, "3%.250s", text + 4);
        else if (strncmp(text, "eui.", 4) == 0)
                (void) snprintf(ret, WWID_SIZE, "2%.250s", text + 4);
        else
                return false;
        return true;
}

int lvm_check_base(Lvm *l, const char *base, struct storaged_error *err)
{
        const char *wanted = base_wwid(base);
        char found[400] = "", wwid[WWID_SIZE];
        size_t n = 0;

        if (!wanted)
                return error_set_param(
                        err, -EINVAL, "base",
                        "storage \"%s\": base '%.80s' names no LUN; it is STORAGE:WWID, with a storage of "
                        "type multipath or iscsi",
                        l->storage, base);
        for (size_t i = 0; i < l->state.n_pvs; i++) {
                bool is_lun = device_wwid(l->state.pvs[i].device, wwid);

                if (is_lun && strcmp(wwid, wanted) == 0)
                        return 0;
                if (n < sizeof(found))
                        n += (size_t) snprintf(found + n, sizeof(found) - n, "%s%s", i ? ", " : "",
                                               is_lun ? wwid : l->state.pvs[i].device);
        }
        return error_set_param(err, -EINVAL, "base",
                               "storage \"%s\": volume group \"%s\" is on %s, not on LUN %s as base says", l->storage,
                               l->vg, found[0] ? found : "no device that is here", wanted);
}
