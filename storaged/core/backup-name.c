/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file names of backups. Only a name of the exact form that vzdump writes says whose backup it is and when it was
 * taken; any other one was given by a human, and no rule may remove it.
 */
#include "core/backup-name.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "base/str.h"

#define TIME_LENGTH strlen("2026_11_21-10_00_00")

/* Digits with separators as in 2026_11_21-10_00_00, local time. */
static bool parse_time(const char *s, int64_t *ret)
{
        static const char form[] = "dddd_dd_dd-dd_dd_dd";
        struct tm tm = { .tm_isdst = -1 }, back;
        int n[6] = { 0 }, field = 0;
        time_t t;

        for (size_t i = 0; form[i]; i++) {
                if (form[i] != 'd') {
                        if (s[i] != form[i])
                                return false;
                        field++;
                } else if (s[i] < '0' || s[i] > '9') {
                        return false;
                } else {
                        n[field] = n[field] * 10 + s[i] - '0';
                }
        }
        if (n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 60)
                return false;
        tm.tm_year = n[0] - 1900;
        tm.tm_mon = n[1] - 1;
        tm.tm_mday = n[2];
        tm.tm_hour = n[3];
        tm.tm_min = n[4];
        tm.tm_sec = n[5];
        t = mktime(&tm);
        if (t == (time_t) -1 || !localtime_r(&t, &back) || back.tm_mon != n[1] - 1)
                return false; /* 31 February */
        *ret = (int64_t) t;
        return true;
}

static bool is_archive_ending(const char *s)
{
        static const char *const endings[] = { ".tgz", ".tar",    ".tar.gz",  ".tar.lzo", ".tar.zst", ".tar.bz2",
                                               ".vma", ".vma.gz", ".vma.lzo", ".vma.zst", ".vma.bz2" };

        for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
                if (strcmp(s, endings[i]) == 0)
                        return true;
        return false;
}

void backup_name_parse(const char *name, BackupName *ret)
{
        static const char *const types[] = { "qemu", "lxc", "openvz" };
        const char *rest = str_skip(name, "vzdump-"), *p = NULL;
        uint32_t vmid;
        size_t digits;
        int64_t t;

        *ret = (BackupName){ .type = "unknown" };
        for (size_t i = 0; rest && !p && i < 3; i++) {
                p = str_skip(rest, types[i]);
                if (p && *p++ == '-')
                        (void) snprintf(ret->type, sizeof(ret->type), "%s", types[i]);
                else
                        p = NULL;
        }
        if (!p)
                return;
        digits = strspn(p, "0123456789");
        if (p[digits] != '-' || parse_vmid(p, digits, &vmid) < 0)
                return;
        ret->vmid = vmid;
        p += digits + 1;
        if (strlen(p) <= TIME_LENGTH || !parse_time(p, &t) || !is_archive_ending(p + TIME_LENGTH))
                return;
        ret->ctime = t;
        ret->is_standard = true;
}
