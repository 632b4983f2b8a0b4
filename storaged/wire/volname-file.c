/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of files: [BASEVMID/BASE/]VMID/FILE for images of guests, CONTENT/FILE for all else. What an ending stands for
 * is a table for each content.
 */
#include "wire/volname-parts.h"

#include <strings.h>

#include "base/parse.h"
#include "base/str.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

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

const char *volname_parse_file(struct storaged_volname *v)
{
        Component c[COMPONENTS_MAX];
        const char *wrong;
        size_t n;

        wrong = volname_split(v->volname, c, &n);
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
