/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking a disk itself. The kernel reads identity and size once and keeps them; an array that gave the LUN's number to
 * another LUN, or made it larger, is found out only like this. Two commands that change nothing: INQUIRY page 0x83 and
 * READ CAPACITY(16). A unit attention is taken note of by being answered once, so the command is repeated after it.
 * The disk is opened for reading only: a close after writing makes udev read it again.
 */
#include "multipath/scsi.h"

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "multipath/identify.h"
#include "multipath/work.h"

#define AT_ONCE 32
#define DEADLINE_MS 8000
#define COMMAND_MS 5000
#define TRIES 4

enum { SENSE_ILLEGAL_REQUEST = 5, SENSE_UNIT_ATTENTION = 6, ASC_NO_SUCH_LUN = 0x25 };

static int command(int fd, uint8_t *cdb, uint8_t cdb_len, uint8_t *data, uint32_t len)
{
        for (int i = 0; i < TRIES; i++) {
                uint8_t sense[64] = { 0 };
                sg_io_hdr_t io = { .interface_id = 'S',
                                   .dxfer_direction = SG_DXFER_FROM_DEV,
                                   .cmd_len = cdb_len,
                                   .cmdp = cdb,
                                   .dxferp = data,
                                   .dxfer_len = len,
                                   .sbp = sense,
                                   .mx_sb_len = sizeof(sense),
                                   .timeout = COMMAND_MS };
                int key, asc;

                if (ioctl(fd, SG_IO, &io) < 0)
                        return -errno;
                if (io.host_status != 0)
                        return io.host_status == 3 ? -ETIMEDOUT : -ENOLINK;
                if (io.status == 0)
                        return (int) (len - (uint32_t) (io.resid > 0 ? io.resid : 0));
                /* fixed and descriptor format */
                key = (sense[0] & 0x7f) >= 0x72 ? sense[1] & 15 : sense[2] & 15;
                asc = (sense[0] & 0x7f) >= 0x72 ? sense[2] : sense[12];
                if (key == SENSE_ILLEGAL_REQUEST && asc == ASC_NO_SUCH_LUN)
                        return -ENODEV;
                if (key != SENSE_UNIT_ATTENTION)
                        return -EIO;
        }
        return -EAGAIN;
}

static uint64_t be(const uint8_t *p, int n)
{
        uint64_t v = 0;

        for (int i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

static int ask(int fd, LiveDisk *d)
{
        uint8_t inquiry[] = { 0x12, 1, 0x83, 0x03, 0xfc, 0 };
        uint8_t capacity[16] = { 0x9e, 0x10, [13] = 32 };
        uint8_t page[1020] = { 0 }, answer[32] = { 0 };
        VpdIdentity id;
        int n = command(fd, inquiry, sizeof(inquiry), page, sizeof(page));

        if (n < 0)
                return n;
        if ((page[0] & 0xe0) == 0x60 || (page[0] & 0xe0) == 0x20) /* no such unit behind that number now */
                return -ENODEV;
        if (vpd_parse_identity(page, (size_t) n, &id) == 0)
                memcpy(d->wwid, id.wwid, sizeof(d->wwid));
        n = command(fd, capacity, sizeof(capacity), answer, sizeof(answer));
        if (n < 12)
                return n < 0 ? n : -EIO;
        d->bytes = (be(answer, 8) + 1) * be(answer + 8, 4);
        return 0;
}

static int ask_child(void *arg, int out)
{
        LiveDisk d = *(LiveDisk *) arg;
        char path[64];
        int fd;

        if (strncmp(d.dev, "nvme", 4) == 0) {
                d.result = identify_ask(&d);
        } else {
                (void) snprintf(path, sizeof(path), "/dev/%.31s", d.dev);
                fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                d.result = fd < 0 ? -errno : ask(fd, &d);
        }
        return write(out, &d, sizeof(d)) == (ssize_t) sizeof(d) ? 0 : -EIO;
}

void scsi_ask(LiveDisk *disks, size_t n)
{
        AUTO(freep) Work *works = calloc(n ? n : 1, sizeof(*works));

        for (size_t i = 0; i < n; i++) {
                disks[i].result = -ENOMEM;
                if (works)
                        works[i] = (Work){ .fn = ask_child, .arg = &disks[i] };
        }
        if (!works || work_run(works, n, AT_ONCE, DEADLINE_MS) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                disks[i].result = works[i].result;
                if (works[i].result == 0 && works[i].out_len == sizeof(LiveDisk))
                        memcpy(&disks[i], works[i].out, sizeof(LiveDisk));
                free(works[i].out);
        }
}

const char *scsi_result_text(int result)
{
        switch (result) {
        case -ENODEV:
                return "the array has no such LUN behind this path any more";
        case -ETIMEDOUT:
                return "no answer";
        case -ENOLINK:
                return "the path is down";
        case -EAGAIN:
                return "unit attention without end";
        default:
                return strerror(-result);
        }
}
