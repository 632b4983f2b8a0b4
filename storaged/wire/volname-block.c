/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of what is no file: block devices that storaged or Proxmox VE named (PREFIX-VMID-REST, on some types with the
 * base in front), and names that a server gave.
 */
#include "wire/volname-parts.h"

#include "base/parse.h"
#include "base/str.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

typedef struct BlockPrefix {
        const char *text;
        bool is_base;
        const char *format;
} BlockPrefix;

static const BlockPrefix lvm_prefixes[] = { { "vm-", false, "raw" }, { NULL } };
static const BlockPrefix base_prefixes[] = { { "vm-", false, "raw" }, { "base-", true, "raw" }, { NULL } };
static const BlockPrefix zfs_prefixes[] = {
        { "vm-", false, "raw" },
        { "base-", true, "raw" },
        { "subvol-", false, "subvol" },
        { "basevol-", true, "subvol" },
        { NULL },
};

static const BlockPrefix *parse_block_name(const BlockPrefix *prefixes, const char *s, size_t len, uint32_t *ret_vmid)
{
        for (; prefixes->text; prefixes++) {
                size_t n = strlen(prefixes->text), digits;

                if (len <= n || strncmp(s, prefixes->text, n) != 0)
                        continue;
                digits = strspn(s + n, "0123456789");
                if (len < n + digits + 2 || s[n + digits] != '-' || parse_vmid(s + n, digits, ret_vmid) < 0)
                        return NULL;
                return prefixes;
        }
        return NULL;
}

static const char *parse_block(struct storaged_volname *v, const BlockPrefix *prefixes, bool has_clones,
                               const char *expected)
{
        const char *slash = strchr(v->volname, '/'), *name = v->volname;
        const BlockPrefix *p;

        for (const char *s = v->volname; *s; s++)
                if (is_blank(*s) || *s == '@' || *s == '#')
                        return "blanks, '@' and '#' are not allowed";
        if (slash) {
                if (!has_clones || strchr(slash + 1, '/'))
                        return "it has too many parts";
                p = parse_block_name(prefixes, name, (size_t) (slash - name), &v->basevmid);
                if (!p || !p->is_base)
                        return expected;
                set_name(v->basename, name, (size_t) (slash - name));
                name = slash + 1;
        }
        p = parse_block_name(prefixes, name, strlen(name), &v->vmid);
        if (!p)
                return expected;
        v->content = STORAGED_CONTENT_IMAGES;
        v->is_base = p->is_base;
        set_name(v->name, name, strlen(name));
        set_format(v, "", p->format);
        return NULL;
}

/* What device-mapper and LVM take, and nothing an option could begin with. */
static const char *check_lv_name(const char *s)
{
        size_t len = strlen(s);

        if (len > 127)
                return "the name of a logical volume has at most 127 characters";
        for (size_t i = 0; i < len; i++)
                if (!is_alnum(s[i]) && !strchr("-_.", s[i]))
                        return "the name of a logical volume has letters, digits, '-', '_' and '.' only";
        if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
                return "the name of a logical volume begins and ends with a letter or digit";
        return NULL;
}

const char *volname_parse_lvm(struct storaged_volname *v)
{
        const char *wrong = check_lv_name(v->volname);

        if (!wrong)
                wrong = parse_block(v, lvm_prefixes, false, "expected vm-VMID-NAME");
        if (!wrong && str_ends_with(v->volname, ".qcow2"))
                set_format(v, "", "qcow2");
        return wrong;
}

const char *volname_parse_lvmthin(struct storaged_volname *v)
{
        const char *wrong = check_lv_name(v->volname);

        return wrong ? wrong : parse_block(v, base_prefixes, false, "expected vm-VMID-NAME or base-VMID-NAME");
}

const char *volname_parse_rbd(struct storaged_volname *v)
{
        return parse_block(v, base_prefixes, true,
                           "expected vm-VMID-NAME, base-VMID-NAME or base-VMID-NAME/vm-VMID-NAME");
}

const char *volname_parse_zfs(struct storaged_volname *v)
{
        return parse_block(
                v, zfs_prefixes, true,
                "expected vm-, base-, subvol- or basevol-VMID-NAME, with the base and a slash in front for a clone");
}

/* --- names the server gives */

const char *volname_parse_iscsi(struct storaged_volname *v)
{
        static const char expected[] = "expected CHANNEL.ID.LUN.NAME";
        const char *s = v->volname;

        for (unsigned i = 0; i < 3; i++) {
                size_t n = strspn(s, "0123456789");

                if (n == 0 || s[n] != '.')
                        return expected;
                s += n + 1;
        }
        if (*s == '\0')
                return expected;
        for (; *s; s++)
                if (is_blank(*s) || *s == '/')
                        return "blanks and '/' are not allowed";
        v->content = STORAGED_CONTENT_IMAGES;
        set_name(v->name, v->volname, strlen(v->volname));
        set_format(v, "", "raw");
        return NULL;
}

const char *volname_parse_iscsidirect(struct storaged_volname *v)
{
        const char *number = str_skip(v->volname, "lun");
        size_t n = number ? strspn(number, "0123456789") : 0;

        if (n == 0 || n > 9 || number[n] != '\0')
                return "expected lunN";
        v->content = STORAGED_CONTENT_IMAGES;
        set_name(v->name, number, n); /* the number alone, as in the original */
        set_format(v, "", "raw");
        return NULL;
}

/* The whole is the name; a LUN belongs to no guest. */
const char *volname_parse_lun(struct storaged_volname *v)
{
        size_t n = strlen(v->volname);

        if (n < 4 || v->volname[0] < '0' || v->volname[0] > '9')
                if (!str_skip(v->volname, "eui.") && !str_skip(v->volname, "nvme.") && !str_skip(v->volname, "uuid."))
                        return "expected a WWID";
        for (size_t i = 0; i < n; i++)
                if (v->volname[i] <= ' ' || v->volname[i] > '~' || v->volname[i] == '/' || v->volname[i] == '"')
                        return "expected a WWID";
        v->content = STORAGED_CONTENT_IMAGES;
        set_name(v->name, v->volname, n);
        set_format(v, "", "raw");
        return NULL;
}

/* 2026-11-21T10:00:00Z; the shape and that no field is out of its range. */
static bool is_rfc3339(const Component *c)
{
        static const char shape[] = "0000-00-00T00:00:00Z";
        static const struct {
                unsigned at, min, max;
        } fields[] = { { 5, 1, 12 }, { 8, 1, 31 }, { 11, 0, 23 }, { 14, 0, 59 }, { 17, 0, 60 } };

        if (c->len != sizeof(shape) - 1)
                return false;
        for (size_t i = 0; i < c->len; i++)
                if (shape[i] == '0' ? !is_digit(c->s[i]) : c->s[i] != shape[i])
                        return false;
        for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
                unsigned n = (unsigned) (c->s[fields[i].at] - '0') * 10 + (unsigned) (c->s[fields[i].at + 1] - '0');

                if (n < fields[i].min || n > fields[i].max)
                        return false;
        }
        return true;
}

const char *volname_parse_pbs(struct storaged_volname *v)
{
        static const char *const kinds[] = { "vm", "ct", "host" };
        Component c[COMPONENTS_MAX];
        const char *wrong;
        size_t n, kind;

        wrong = volname_split(v->volname, c, &n);
        if (wrong)
                return wrong;
        if (n != 4 || !str_skip(v->volname, "backup/"))
                return "expected backup/vm/ID/TIME, with ct or host for vm";
        for (kind = 0; kind < N_ELEMENTS(kinds); kind++)
                if (strlen(kinds[kind]) == c[1].len && memcmp(kinds[kind], c[1].s, c[1].len) == 0)
                        break;
        if (kind == N_ELEMENTS(kinds))
                return "the kind of a backup is vm, ct or host";
        for (size_t i = 0; i < c[2].len; i++)
                if (!is_alnum(c[2].s[i]) && (i == 0 || !strchr("-_.", c[2].s[i])))
                        return "the id of a backup group has letters, digits, '-', '_' and '.' only";
        if (!is_rfc3339(&c[3]))
                return "the time of a backup is written as 2026-11-21T10:00:00Z";
        v->content = STORAGED_CONTENT_BACKUP;
        if (kind < 2)
                (void) parse_vmid(c[2].s, c[2].len, &v->vmid); /* a group of another name has no owner */
        set_name(v->name, c[1].s, strlen(c[1].s));
        set_format(v, "pbs-", kinds[kind]);
        return NULL;
}
