/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counterpart of READ CAPACITY for NVMe: the command Identify Namespace to the path's own controller. A path of
 * native multipath is hidden and has no device node; its controller has one for commands like this. Nothing is changed.
 * Reference: NVM Express Base Specification 2.0, 5.17; NVM Command Set 1.0, figure 97; linux/nvme_ioctl.h.
 */
#include "multipath/identify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "multipath/sysfs.h"

#define COMMAND_MS 5000
#define FORMATS_AT 128u /* of the data; four bytes each */

enum { IDENTIFY = 0x06, STATUS_INVALID_NAMESPACE = 0x0b, STATUS_MASK = 0x7ff };

static uint64_t le(const uint8_t *p, int n)
{
        uint64_t v = 0;

        while (n-- > 0)
                v = v << 8 | p[n];
        return v;
}

int identify_parse(const uint8_t data[static IDENTIFY_SIZE], uint64_t *ret)
{
        uint64_t blocks = le(data, 8);
        /* number of the format in use: bits 3:0, and above them bits 6:5 */
        unsigned format = (data[26] & 0x0fu) | (data[26] & 0x60u) >> 1;
        unsigned shift = data[FORMATS_AT + 4 * format + 2];

        if (blocks == 0) /* all zero: the number is of no namespace that is attached here */
                return -ENODEV;
        if (shift < 9 || shift > 31 || blocks > UINT64_MAX >> shift)
                return -EIO;
        *ret = blocks << shift;
        return 0;
}

int identify_ask(LiveDisk *d)
{
        uint8_t data[IDENTIFY_SIZE] = { 0 };
        char path[96], controller[32];
        AUTO(closep) int sys = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO(closep) int fd = -EBADF;
        uint64_t nsid;
        int r;

        (void) snprintf(path, sizeof(path), "block/%.31s/device", d->dev);
        r = sysfs_link_name(sys, path, controller, sizeof(controller));
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "block/%.31s/nsid", d->dev);
        nsid = sysfs_number(sys, path, 0);
        (void) snprintf(path, sizeof(path), "/dev/%.31s", controller);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = ioctl(fd, NVME_IOCTL_ADMIN_CMD,
                  &(struct nvme_admin_cmd){ .opcode = IDENTIFY,
                                            .nsid = (uint32_t) nsid,
                                            .addr = (uint64_t) (uintptr_t) data,
                                            .data_len = sizeof(data),
                                            .timeout_ms = COMMAND_MS });
        if (r < 0)
                return -errno;
        if (r > 0)
                return (r & STATUS_MASK) == STATUS_INVALID_NAMESPACE ? -ENODEV : -EIO;
        return identify_parse(data, &d->bytes);
}
