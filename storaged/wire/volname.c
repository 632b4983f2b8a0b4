/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names. A volume name is only text until the naming scheme of its storage gives it a meaning; here
 * that meaning is worked out, without looking at any storage. Names come from outside, so whatever
 * leaves this file as parsed is safe to put behind a directory or into an argument vector: no empty
 * component, no `.` or `..`, no control character, no slash in a part that is one name.
 */
#include "wire/volname.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/str.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define COMPONENTS_MAX 4

typedef struct Word {
        const char *text;
        uint32_t bit;
} Word;

static const Word content_words[] = {
        { "images", STORAGED_CONTENT_IMAGES },
        { "rootdir", STORAGED_CONTENT_ROOTDIR },
        { "iso", STORAGED_CONTENT_ISO },
        { "vztmpl", STORAGED_CONTENT_VZTMPL },
        { "backup", STORAGED_CONTENT_BACKUP },
        { "snippets", STORAGED_CONTENT_SNIPPETS },
        { "import", STORAGED_CONTENT_IMPORT },
        { "none", STORAGED_CONTENT_NONE },
        { NULL, 0 },
};
static const Word format_words[] = {
        { "raw", STORAGED_FORMAT_RAW },
        { "qcow2", STORAGED_FORMAT_QCOW2 },
        { "vmdk", STORAGED_FORMAT_VMDK },
        { "subvol", STORAGED_FORMAT_SUBVOL },
        { NULL, 0 },
};
static const Word naming_words[] = {
        { "file", STORAGED_NAMING_FILE },
        { "lvm", STORAGED_NAMING_LVM },
        { "lvmthin", STORAGED_NAMING_LVMTHIN },
        { "rbd", STORAGED_NAMING_RBD },
        { "zfs", STORAGED_NAMING_ZFS },
        { "iscsi", STORAGED_NAMING_ISCSI },
        { "iscsidirect", STORAGED_NAMING_ISCSIDIRECT },
        { "pbs", STORAGED_NAMING_PBS },
        { "lun", STORAGED_NAMING_LUN },
        { NULL, 0 },
};

static const char *word_of(const Word *words, uint32_t bit)
{
        for (; words->text; words++)
                if (words->bit == bit)
                        return words->text;
        return NULL;
}

static uint32_t bit_of(const Word *words, const char *text)
{
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0)
                        return words->bit;
        return 0;
}

const char *content_to_string(uint32_t content)
{
        return word_of(content_words, content);
}

uint32_t content_from_string(const char *s)
{
        return bit_of(content_words, s);
}

const char *format_to_string(uint32_t format)
{
        return word_of(format_words, format);
}

uint32_t format_from_string(const char *s)
{
        return bit_of(format_words, s);
}

const char *naming_to_string(uint32_t naming)
{
        return word_of(naming_words, naming);
}

uint32_t naming_from_string(const char *s)
{
        return bit_of(naming_words, s);
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
        return is_alpha(c) || is_digit(c);
}

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

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

/* Each parser below fills `v` (zeroed, volname set) or says what is wrong; NULL: all well. */
typedef const char *(*ParseFn)(struct storaged_volname *v);

static void set_name(char dst[static STORAGED_VOLNAME_MAX], const char *s, size_t len)
{
        memcpy(dst, s, len);
        dst[len] = '\0';
}

static void set_format(struct storaged_volname *v, const char *prefix, const char *format)
{
        (void) snprintf(v->format, sizeof(v->format), "%s%s", prefix, format);
}

/* --- names of files: [BASEVMID/BASE/]VMID/FILE, or CONTENT/FILE */

typedef struct Extension {
        const char *text; /* with the dot */
        const char *format;
} Extension;

static const Extension image_extensions[] = {
        { ".raw", "raw" }, { ".qcow2", "qcow2" }, { ".vmdk", "vmdk" }, { ".subvol", "subvol" }, { NULL },
};
static const Extension iso_extensions[] = { { ".iso", "iso" }, { ".img", "iso" }, { NULL } };
static const Extension template_extensions[] = {
        { ".tar", "tar" },      { ".tar.gz", "tgz" },   { ".tar.xz", "txz" },
        { ".tar.zst", "tzst" }, { ".tar.bz2", "tbz2" }, { NULL },
};
static const Extension backup_extensions[] = {
        { ".tgz", "tgz" },         { ".tar", "tar" },         { ".tar.gz", "tar.gz" },   { ".tar.lzo", "tar.lzo" },
        { ".tar.zst", "tar.zst" }, { ".tar.bz2", "tar.bz2" }, { ".vma", "vma" },         { ".vma.gz", "vma.gz" },
        { ".vma.lzo", "vma.lzo" }, { ".vma.zst", "vma.zst" }, { ".vma.bz2", "vma.bz2" }, { NULL },
};
static const Extension import_extensions[] = {
        { ".ova", "ova" }, { ".ovf", "ovf" }, { ".qcow2", "qcow2" }, { ".raw", "raw" }, { ".vmdk", "vmdk" }, { NULL },
};
static const Extension packed_extensions[] = {
        { ".qcow2", "ova+qcow2" },
        { ".raw", "ova+raw" },
        { ".vmdk", "ova+vmdk" },
        { NULL },
};

static const struct {
        const char *word;
        uint32_t content;
        const Extension *extensions; /* NULL: any name, the format is `format` */
        const char *format;
        bool ignore_case;
        const char *wrong;
} file_contents[] = {
        { "iso", STORAGED_CONTENT_ISO, iso_extensions, NULL, true, "an iso image ends in .iso or .img" },
        { "vztmpl", STORAGED_CONTENT_VZTMPL, template_extensions, NULL, false,
          "a container template ends in .tar, .tar.gz, .tar.xz, .tar.zst or .tar.bz2" },
        { "backup", STORAGED_CONTENT_BACKUP, backup_extensions, NULL, false,
          "a backup ends in .tgz, or .tar or .vma with .gz, .lzo, .zst, .bz2 or nothing behind it" },
        { "snippets", STORAGED_CONTENT_SNIPPETS, NULL, "snippet", false, NULL },
        { "import", STORAGED_CONTENT_IMPORT, import_extensions, NULL, false,
          "a file to import ends in .ova, .ovf, .qcow2, .raw or .vmdk" },
};

/* The format an ending stands for; something has to be in front of the ending. */
static const char *find_extension(const Extension *e, const char *name, size_t len, bool ignore_case)
{
        for (; e->text; e++) {
                size_t n = strlen(e->text);

                if (len > n &&
                    (ignore_case ? strncasecmp(name + len - n, e->text, n) : strncmp(name + len - n, e->text, n)) == 0)
                        return e->format;
        }
        return NULL;
}

typedef struct Component {
        const char *s;
        size_t len;
} Component;

static const char *split_components(const char *s, Component *ret, size_t *ret_n)
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

static const char *parse_image_file(const Component *c, const char **ret_format, bool *ret_is_base)
{
        const char *format;

        for (size_t i = 0; i < c->len; i++)
                if (is_blank(c->s[i]))
                        return "the name of an image has no blanks";
        format = find_extension(image_extensions, c->s, c->len, false);
        if (!format)
                return "the name of an image ends in .raw, .qcow2, .vmdk or .subvol";
        if (strncmp(c->s, "snap-", 5) == 0 && strcmp(format, "qcow2") == 0)
                return "snap-….qcow2 is the file of a snapshot, not a volume";

        *ret_format = format;
        *ret_is_base = strncmp(c->s, "base-", 5) == 0;
        return NULL;
}

static const char *parse_image_path(struct storaged_volname *v, const Component *c, size_t n)
{
        const Component *file = &c[n - 1];
        const char *format, *wrong;
        bool is_base;

        if (n != 2 && n != 4)
                return "expected VMID/FILE or BASEVMID/BASEFILE/VMID/FILE";
        if (parse_vmid(file[-1].s, file[-1].len, &v->vmid) < 0)
                return "the part before the file is not a VMID (100 to 999999999)";
        if (n == 4) {
                if (parse_vmid(c[0].s, c[0].len, &v->basevmid) < 0)
                        return "the first part is not a VMID (100 to 999999999)";
                wrong = parse_image_file(&c[1], &format, &is_base);
                if (wrong)
                        return wrong;
                set_name(v->basename, c[1].s, c[1].len);
        }
        wrong = parse_image_file(file, &format, &is_base);
        if (wrong)
                return wrong;
        v->content = STORAGED_CONTENT_IMAGES;
        v->is_base = is_base;
        set_name(v->name, file->s, file->len);
        set_format(v, "", format);
        return NULL;
}

/* The guest a backup of the standard name belongs to; 0 if the name is another. */
static uint32_t backup_owner(const char *name)
{
        static const char *const prefixes[] = { "vzdump-qemu-", "vzdump-lxc-", "vzdump-openvz-" };

        for (size_t i = 0; i < N_ELEMENTS(prefixes); i++) {
                const char *s = str_skip(name, prefixes[i]);
                size_t n = s ? strspn(s, "0123456789") : 0;
                uint32_t vmid;

                if (n > 0 && s[n] == '-' && s[n + 1] != '\0' && parse_vmid(s, n, &vmid) == 0)
                        return vmid;
        }
        return 0;
}

static const char *parse_packed_file(struct storaged_volname *v, const Component *c)
{
        const char *format = find_extension(packed_extensions, c[2].s, c[2].len, false);

        if (c[1].len <= 4 || strncmp(c[1].s + c[1].len - 4, ".ova", 4) != 0)
                return "only an .ova file has files inside";
        if (!format)
                return "a file inside an OVA ends in .qcow2, .raw or .vmdk";
        v->content = STORAGED_CONTENT_IMPORT;
        set_name(v->name, c[1].s, c[1].len + 1 + c[2].len);
        set_format(v, "", format);
        return NULL;
}

static const char *parse_file(struct storaged_volname *v)
{
        Component c[COMPONENTS_MAX];
        const char *wrong;
        size_t n;

        wrong = split_components(v->volname, c, &n);
        if (wrong)
                return wrong;
        if (is_digit(c[0].s[0]))
                return parse_image_path(v, c, n);
        for (size_t i = 0; i < N_ELEMENTS(file_contents); i++) {
                const char *format = file_contents[i].format;

                if (strlen(file_contents[i].word) != c[0].len || memcmp(file_contents[i].word, c[0].s, c[0].len) != 0)
                        continue;
                if (n == 3 && file_contents[i].content == STORAGED_CONTENT_IMPORT)
                        return parse_packed_file(v, c);
                if (n != 2)
                        return "expected one file name behind the content type";
                if (file_contents[i].extensions)
                        format = find_extension(file_contents[i].extensions, c[1].s, c[1].len,
                                                file_contents[i].ignore_case);
                if (!format)
                        return file_contents[i].wrong;
                v->content = file_contents[i].content;
                set_name(v->name, c[1].s, c[1].len);
                set_format(v, "", format);
                if (v->content == STORAGED_CONTENT_BACKUP)
                        v->vmid = backup_owner(v->name);
                return NULL;
        }
        return "it begins neither with a VMID nor with iso, vztmpl, backup, snippets or import";
}

/* --- names of block devices: PREFIX-VMID-REST, on some with the base in front */

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

static const char *parse_lvm(struct storaged_volname *v)
{
        const char *wrong = check_lv_name(v->volname);

        if (!wrong)
                wrong = parse_block(v, lvm_prefixes, false, "expected vm-VMID-NAME");
        if (!wrong && str_ends_with(v->volname, ".qcow2"))
                set_format(v, "", "qcow2");
        return wrong;
}

static const char *parse_lvmthin(struct storaged_volname *v)
{
        const char *wrong = check_lv_name(v->volname);

        return wrong ? wrong : parse_block(v, base_prefixes, false, "expected vm-VMID-NAME or base-VMID-NAME");
}

static const char *parse_rbd(struct storaged_volname *v)
{
        return parse_block(v, base_prefixes, true,
                           "expected vm-VMID-NAME, base-VMID-NAME or base-VMID-NAME/vm-VMID-NAME");
}

static const char *parse_zfs(struct storaged_volname *v)
{
        return parse_block(
                v, zfs_prefixes, true,
                "expected vm-, base-, subvol- or basevol-VMID-NAME, with the base and a slash in front for a clone");
}

/* --- names the server gives */

static const char *parse_iscsi(struct storaged_volname *v)
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

static const char *parse_iscsidirect(struct storaged_volname *v)
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
static const char *parse_lun(struct storaged_volname *v)
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

static const char *parse_pbs(struct storaged_volname *v)
{
        static const char *const kinds[] = { "vm", "ct", "host" };
        Component c[COMPONENTS_MAX];
        const char *wrong;
        size_t n, kind;

        wrong = split_components(v->volname, c, &n);
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

static const ParseFn parsers[] = {
        [STORAGED_NAMING_FILE] = parse_file,
        [STORAGED_NAMING_LVM] = parse_lvm,
        [STORAGED_NAMING_LVMTHIN] = parse_lvmthin,
        [STORAGED_NAMING_RBD] = parse_rbd,
        [STORAGED_NAMING_ZFS] = parse_zfs,
        [STORAGED_NAMING_ISCSI] = parse_iscsi,
        [STORAGED_NAMING_ISCSIDIRECT] = parse_iscsidirect,
        [STORAGED_NAMING_PBS] = parse_pbs,
        [STORAGED_NAMING_LUN] = parse_lun,
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
