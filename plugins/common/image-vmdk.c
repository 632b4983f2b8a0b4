/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK as QEMU makes and reads it: a sparse extent with its descriptor inside ("KDMV", little-endian), or a plain
 * text descriptor whose extents are other files. The size is the capacity of the header, or the sum of the extents;
 * the backing file is the descriptor's parentFileNameHint. At most 20 KiB of descriptor are looked at, as QEMU does.
 */
#include "common/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>

#define VMDK_SECTOR 512u
#define VMDK_DESCRIPTOR_MAX (20u * 1024)
#define VMDK_CAPACITY_MAX (INT64_MAX / VMDK_SECTOR)

static uint32_t le32(const uint8_t *p)
{
        return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
        return (uint64_t) le32(p + 4) << 32 | le32(p);
}

/* The text behind KEY= in a line, without quotes; NULL if the line is another's. */
static const char *line_value(char *line, const char *key)
{
        size_t n = strlen(key);
        char *v = line + n, *end;

        if (strncmp(line, key, n) != 0)
                return NULL;
        v += strspn(v, " \t");
        if (*v++ != '=')
                return NULL;
        v += strspn(v, " \t");
        if (*v == '"') {
                v++;
                end = strchr(v, '"');
                if (!end)
                        return NULL;
                *end = '\0';
        }
        return v;
}

/* `RW 4192256 SPARSE "file.vmdk"`: its sectors; 0 if the line is no extent. */
static uint64_t line_extent(const char *line)
{
        static const char *const access[] = { "RW ", "RDONLY ", "NOACCESS " };

        for (size_t i = 0; i < sizeof(access) / sizeof(access[0]); i++) {
                size_t n = strlen(access[i]);
                char *end;
                unsigned long long v;

                if (strncmp(line, access[i], n) != 0 || line[n] < '0' || line[n] > '9')
                        continue;
                errno = 0;
                v = strtoull(line + n, &end, 10);
                return errno == 0 && *end == ' ' ? v : 0;
        }
        return 0;
}

/* Takes the text apart in place. `info` gets the backing file and, for a bare descriptor, the size. */
static int parse_descriptor(char *text, bool is_bare, ImageInfo *info)
{
        uint64_t sectors = 0;
        char *save = NULL;

        for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
                const char *v = line_value(line, "parentFileNameHint");
                uint64_t n = line_extent(line);

                if (v && strlen(v) >= sizeof(info->backing))
                        return -EBADMSG;
                if (v)
                        (void) snprintf(info->backing, sizeof(info->backing), "%s", v);
                if (n > VMDK_CAPACITY_MAX - sectors)
                        return -EBADMSG;
                sectors += n;
        }
        if (!is_bare)
                return 0;
        if (sectors == 0)
                return -EBADMSG;
        info->bytes = sectors * VMDK_SECTOR;
        info->has_extents = true;
        return 0;
}

static int read_sparse(ImageReadFn read, void *userdata, const uint8_t *head, char *text, ImageInfo *info)
{
        uint32_t version = le32(head + 4);
        uint64_t capacity = le64(head + 12), offset = le64(head + 28), sectors = le64(head + 36);
        size_t n;
        ssize_t k;

        if (version < 1 || version > 3 || capacity > VMDK_CAPACITY_MAX || offset > VMDK_CAPACITY_MAX)
                return -EBADMSG;
        info->bytes = capacity * VMDK_SECTOR;
        if (offset == 0 || sectors == 0) /* no descriptor inside: one extent of many */
                return 0;
        n = sectors > VMDK_DESCRIPTOR_MAX / VMDK_SECTOR ? VMDK_DESCRIPTOR_MAX : (size_t) sectors * VMDK_SECTOR;
        k = read(userdata, text, n, offset * VMDK_SECTOR);
        if (k < 0)
                return (int) k;
        text[k] = '\0'; /* the descriptor is padded with NULs: it ends at the first */
        return parse_descriptor(text, false, info);
}

int image_vmdk_read(ImageReadFn read, void *userdata, ImageInfo *ret)
{
        AUTO(freep) char *text = malloc(VMDK_DESCRIPTOR_MAX + 1);
        uint8_t head[VMDK_SECTOR];
        ImageInfo info = { 0 };
        ssize_t n;
        int r;

        if (!text)
                return -ENOMEM;
        n = read(userdata, head, sizeof(head), 0);
        if (n < 0)
                return (int) n;
        if (n >= 79 && memcmp(head, "KDMV", 4) == 0) {
                r = read_sparse(read, userdata, head, text, &info);
        } else {
                n = read(userdata, text, VMDK_DESCRIPTOR_MAX, 0);
                if (n < 0)
                        return (int) n;
                text[n] = '\0';
                if (!strstr(text, "# Disk DescriptorFile") || strlen(text) != (size_t) n)
                        return -EBADMSG;
                r = parse_descriptor(text, true, &info);
        }
        if (r < 0)
                return r;
        *ret = info;
        return 0;
}
