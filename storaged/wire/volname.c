/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names. A volume name is only text until the naming scheme of its storage gives it a meaning; here
 * that meaning is worked out, without looking at any storage (volname-file.c, volname-block.c). Names come
 * from outside, so whatever leaves as parsed is safe to put behind a directory or into an argument vector: no empty
 * component, no `.` or `..`, no control character, no slash in a part that is one name.
 */
#include "wire/volname-parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

bool storage_id_is_valid(const char *id, size_t len)
{
        if (len < 2 || len >= STORAGE_ID_MAX || !is_alpha(id[0]) || !is_alnum(id[len - 1]))
                return false;
        for (size_t i = 0; i < len; i++)
                if (!is_alnum(id[i]) && id[i] != '-' && id[i] != '_' && id[i] != '.')
                        return false;
        return true;
}

/* A name in a sentence. */
typedef struct Shown {
        char text[132];
} Shown;

static Shown show(const char *s)
{
        Shown r;

        (void) str_show(s, strnlen(s, sizeof(r.text)), r.text, sizeof(r.text));
        return r;
}

int volid_split(const char *volid, char *ret_id, const char **ret_volname, struct storaged_error *err)
{
        const char *colon = strchr(volid, ':');

        if (!colon || !storage_id_is_valid(volid, (size_t) (colon - volid)))
                return error_set_param(err, -EINVAL, "volume", "'%s' is not a volume id: expected STORAGE:NAME",
                                       show(volid).text);
        if (colon[1] == '\0')
                return error_set_param(err, -EINVAL, "volume", "volume id '%s' has no volume name behind the colon",
                                       show(volid).text);

        memcpy(ret_id, volid, (size_t) (colon - volid));
        ret_id[colon - volid] = '\0';
        *ret_volname = colon + 1;
        return 0;
}

const char *volname_split(const char *s, Component *ret, size_t *ret_n)
{
        size_t n = 0;

        for (;;) {
                size_t len = strcspn(s, "/");

                if (n == COMPONENTS_MAX)
                        return "it has too many parts";
                if (len == 0)
                        return "it has an empty part";
                if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
                        return "'.' and '..' are not allowed as a part";
                ret[n].s = s;
                ret[n++].len = len;
                if (s[len] == '\0')
                        break;
                s += len + 1;
        }
        *ret_n = n;
        return NULL;
}

static const ParseFn parsers[] = {
        [STORAGED_NAMING_FILE] = volname_parse_file,
        [STORAGED_NAMING_LVM] = volname_parse_lvm,
        [STORAGED_NAMING_LVMTHIN] = volname_parse_lvmthin,
        [STORAGED_NAMING_RBD] = volname_parse_rbd,
        [STORAGED_NAMING_ZFS] = volname_parse_zfs,
        [STORAGED_NAMING_ISCSI] = volname_parse_iscsi,
        [STORAGED_NAMING_ISCSIDIRECT] = volname_parse_iscsidirect,
        [STORAGED_NAMING_PBS] = volname_parse_pbs,
        [STORAGED_NAMING_LUN] = volname_parse_lun,
};

/* No file system has names longer than this (NAME_MAX). */
static bool has_long_component(const char *volname)
{
        for (const char *p = volname; *p; p += strspn(p, "/")) {
                size_t n = strcspn(p, "/");

                if (n > NAME_MAX)
                        return true;
                p += n;
        }
        return false;
}

int volname_parse(enum storaged_naming naming, const char *volname, struct storaged_volname *ret,
                  struct storaged_error *err)
{
        size_t len = strnlen(volname, STORAGED_VOLNAME_MAX);
        struct storaged_volname v;
        const char *wrong;

        if ((size_t) naming >= N_ELEMENTS(parsers) || !parsers[naming])
                return error_set_param(
                        err, -EINVAL, "volume",
                        "volume name '%s' can't be read: how names are built on this type of storage is not known",
                        show(volname).text);
        memset(&v, 0, sizeof(v));
        v.size = (uint32_t) sizeof(v);
        if (len == 0)
                wrong = "it is empty";
        else if (len == STORAGED_VOLNAME_MAX)
                wrong = "it is longer than 1023 bytes";
        else if (str_has_control(volname))
                wrong = "it has a control character";
        else if (has_long_component(volname))
                wrong = "a part of it is longer than 255 bytes";
        else {
                set_name(v.volname, volname, len);
                wrong = parsers[naming](&v);
        }
        if (wrong)
                return error_set_param(err, -EINVAL, "volume", "volume name '%s' is not valid: %s", show(volname).text,
                                       wrong);

        *ret = v;
        return 0;
}

/* The number in PREFIX-<vmid>-disk-<n>[.ext], -1 if the name is another. */
static int disk_number(const char *name, const char *owner)
{
        static const char *const prefixes[] = { "vm-", "base-", "subvol-", "basevol-" };
        const char *slash = strrchr(name, '/');

        if (slash)
                name = slash + 1;
        for (size_t i = 0; i < N_ELEMENTS(prefixes); i++) {
                const char *s = str_skip(name, prefixes[i]);
                unsigned n = 0;
                size_t digits;

                s = s ? str_skip(s, owner) : NULL;
                if (!s)
                        continue;
                digits = strspn(s, "0123456789");
                if (digits == 0 || digits > 4 || (s[digits] != '\0' && s[digits] != '.'))
                        return -1;
                for (size_t j = 0; j < digits; j++)
                        n = n * 10 + (unsigned) (s[j] - '0');
                return n <= DISK_NUMBER_MAX ? (int) n : -1;
        }
        return -1;
}

int volname_next_disk(uint32_t vmid, const char *prefix, const char *suffix, const char *const *used, size_t n_used,
                      char *ret, size_t ret_size, struct storaged_error *err)
{
        bool taken[DISK_NUMBER_MAX + 1] = { false };
        char owner[32], name[STORAGED_VOLNAME_MAX];
        unsigned n;
        int len;

        (void) snprintf(owner, sizeof(owner), "%u-disk-", vmid);
        for (size_t i = 0; i < n_used; i++) {
                int number = disk_number(used[i], owner);

                if (number >= 0)
                        taken[number] = true;
        }
        for (n = 0; n <= DISK_NUMBER_MAX && taken[n]; n++)
                ;
        if (n > DISK_NUMBER_MAX)
                return error_set_param(
                        err, -ENOSPC, "vmid",
                        "guest %u has used up all disk names (0 to %u) on this storage: remove a volume or give a name",
                        vmid, DISK_NUMBER_MAX);
        len = snprintf(name, sizeof(name), "%s-%s%u%s", prefix, owner, n, suffix);
        if (len < 0 || (size_t) len >= sizeof(name) || (size_t) len >= ret_size)
                return error_set(err, -ENAMETOOLONG, "the disk name of guest %u with '%s' and '%s' does not fit", vmid,
                                 show(prefix).text, show(suffix).text);

        memcpy(ret, name, (size_t) len + 1);
        return 0;
}

bool snapshot_name_is_valid(const char *name)
{
        size_t len = strlen(name);

        if (len < 2 || len > 40 || strcmp(name, "current") == 0)
                return false;
        for (size_t i = 0; i < len; i++) {
                bool is_letter = (name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z';
                bool is_other = (name[i] >= '0' && name[i] <= '9') || name[i] == '_' || name[i] == '-';

                if (!is_letter && !(i > 0 && is_other))
                        return false;
        }
        return true;
}
