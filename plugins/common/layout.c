/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout of a file storage: one directory for each content type (content-dirs may say another), guest images
 * below it by VMID. A linked clone is known by its backing file, ../<basevmid>/base-…, never by a record of ours,
 * so the tree can be moved and read by other tools. Pure: names in, names out.
 */
#include "common/layout.h"

#include <errno.h>
#include <string.h>

const LayoutContent layout_contents[LAYOUT_N_CONTENTS] = {
        { STORAGED_CONTENT_IMAGES, "images", "images" }, { STORAGED_CONTENT_ROOTDIR, "rootdir", "private" },
        { STORAGED_CONTENT_ISO, "iso", "template/iso" }, { STORAGED_CONTENT_VZTMPL, "vztmpl", "template/cache" },
        { STORAGED_CONTENT_BACKUP, "backup", "dump" },   { STORAGED_CONTENT_SNIPPETS, "snippets", "snippets" },
        { STORAGED_CONTENT_IMPORT, "import", "import" },
};

static const struct {
        uint32_t format;
        const char *name;
} formats[] = {
        { STORAGED_FORMAT_RAW, "raw" },
        { STORAGED_FORMAT_QCOW2, "qcow2" },
        { STORAGED_FORMAT_VMDK, "vmdk" },
        { STORAGED_FORMAT_SUBVOL, "subvol" },
};

static int content_index(const char *name, size_t n)
{
        for (int i = 0; i < LAYOUT_N_CONTENTS; i++)
                if (strlen(layout_contents[i].name) == n && strncmp(layout_contents[i].name, name, n) == 0)
                        return i;
        return -1;
}

uint32_t layout_parse_contents(const char *value)
{
        uint32_t mask = 0;

        for (const char *p = value; p && *p;) {
                size_t n = strcspn(p, ", ;");
                int i = content_index(p, n);

                if (i >= 0)
                        mask |= layout_contents[i].content;
                else if (n == 4 && strncmp(p, "none", n) == 0)
                        mask |= STORAGED_CONTENT_NONE;
                p += n;
                p += strspn(p, ", ;");
        }
        return mask;
}

/* Relative, no empty, "." or ".." component, no hidden one of ours, no control characters. */
static bool is_sane_dir(const char *s, size_t n)
{
        if (n == 0 || n >= 1024 || s[0] == '/')
                return false;
        for (size_t at = 0; at <= n;) {
                size_t k = 0;

                while (at + k < n && s[at + k] != '/') {
                        if ((unsigned char) s[at + k] < 0x20)
                                return false;
                        k++;
                }
                if (k >= 255 || (k == 0 && at != n) || (k == 1 && s[at] == '.') ||
                    (k == 2 && memcmp(s + at, "..", 2) == 0))
                        return false;
                at += k + 1;
        }
        return true;
}

int layout_parse_dirs(const char *value, char *dirs[static LAYOUT_N_CONTENTS], struct storaged_error *err)
{
        for (const char *p = value; p && *p;) {
                size_t n = strcspn(p, ","), k = strcspn(p, "=,");
                int i = content_index(p, k);
                const char *dir = p + k + 1;
                size_t n_dir = k < n ? n - k - 1 : 0;
                char *copy;

                if (i < 0 || k >= n)
                        return error_set_param(err, -EINVAL, "content-dirs",
                                               "content-dirs: \"%.*s\" is not CONTENT=DIRECTORY with a content type "
                                               "such as images or iso",
                                               (int) n, p);
                if (!is_sane_dir(dir, n_dir))
                        return error_set_param(
                                err, -EINVAL, "content-dirs",
                                "content-dirs: \"%.*s\" must be a directory below the storage's path, without \"..\"",
                                (int) n_dir, dir);
                while (n_dir > 1 && dir[n_dir - 1] == '/')
                        n_dir--;
                copy = strndup(dir, n_dir);
                if (!copy)
                        return -ENOMEM;
                free(dirs[i]);
                dirs[i] = copy;
                p += n;
                p += *p == ',';
        }
        return 0;
}

int layout_init(FileStore *fs, const struct storaged_config *config, struct storaged_error *err)
{
        const char *value = storaged_config_get(config, "content-dirs");
        int r;

        for (int i = 0; i < LAYOUT_N_CONTENTS; i++) {
                fs->dirs[i] = strdup(layout_contents[i].dir);
                if (!fs->dirs[i])
                        return error_set(err, -ENOMEM, "out of memory");
        }
        r = layout_parse_dirs(value, fs->dirs, err);
        return r;
}

const char *layout_dir(const FileStore *fs, uint32_t content)
{
        for (int i = 0; i < LAYOUT_N_CONTENTS; i++)
                if (layout_contents[i].content == content)
                        return fs->dirs[i];
        return NULL;
}

bool layout_is_image(const struct storaged_volname *vol)
{
        return vol->content == STORAGED_CONTENT_IMAGES || vol->content == STORAGED_CONTENT_ROOTDIR;
}

/*
 * A name put together piece by piece. Not by snprintf: a listing makes two of them for each of its rows, and that
 * was a fifth of its time.
 */
typedef struct NameBuf {
        char *p;
        size_t room; /* 0: it did not fit */
} NameBuf;

static void name_add(NameBuf *b, const char *text)
{
        size_t n = strlen(text);

        if (n < b->room)
                memcpy(b->p, text, n + 1);
        b->p += n < b->room ? n : 0;
        b->room = n < b->room ? b->room - n : 0;
}

static void name_add_uint(NameBuf *b, uint32_t v)
{
        char digits[12], *p = digits + sizeof(digits) - 1;

        *p = '\0';
        do
                *--p = (char) ('0' + v % 10);
        while ((v /= 10) > 0);
        name_add(b, p);
}

int layout_image_path(const FileStore *fs, uint32_t vmid, const char *file, char ret[static TREE_PATH_MAX],
                      struct storaged_error *err)
{
        NameBuf b = { ret, TREE_PATH_MAX };

        name_add(&b, layout_dir(fs, STORAGED_CONTENT_IMAGES));
        name_add(&b, "/");
        name_add_uint(&b, vmid);
        if (file) {
                name_add(&b, "/");
                name_add(&b, file);
        }
        if (b.room == 0 || (file && strlen(file) >= TREE_NAME_MAX))
                return error_set_param(err, -ENAMETOOLONG, "volume",
                                       "the file name of the volume is longer than %d bytes", TREE_NAME_MAX - 1);
        return 0;
}

int layout_path(const FileStore *fs, const struct storaged_volname *vol, char ret[static TREE_PATH_MAX],
                struct storaged_error *err)
{
        const char *dir = layout_dir(fs, vol->content);
        int n;

        if (vol->name[0] == '.' || !vol->name[0])
                return error_set_param(err, -EINVAL, "volume", "volume \"%s\": hidden files are no volumes",
                                       vol->volname);
        if (!dir || strchr(vol->name, '/') || strncmp(vol->format, "ova+", 4) == 0)
                return error_set_param(
                        err, -EINVAL, "volume",
                        "volume \"%s\" is a part of an archive: only the archive itself can be used like this",
                        vol->volname);
        if (layout_is_image(vol))
                return layout_image_path(fs, vol->vmid, vol->name, ret, err);
        n = snprintf(ret, TREE_PATH_MAX, "%s/%s", dir, vol->name);
        if (n < 0 || n >= TREE_PATH_MAX || strlen(vol->name) >= TREE_NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "volume",
                                       "the file name of the volume is longer than %d bytes", TREE_NAME_MAX - 1);
        return 0;
}

uint32_t layout_format(const char *name)
{
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
                if (strcmp(formats[i].name, name) == 0)
                        return formats[i].format;
        return 0;
}

const char *layout_format_name(uint32_t format)
{
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
                if (formats[i].format == format)
                        return formats[i].name;
        return "";
}

bool layout_is_snapshot_file(const char *file)
{
        size_t n = strlen(file);

        return n > 11 && strncmp(file, "snap-", 5) == 0 && strcmp(file + n - 6, ".qcow2") == 0;
}

uint32_t layout_image_format(const char *file)
{
        const char *dot = strrchr(file, '.');

        if (!dot || dot == file || file[0] == '.' || layout_is_snapshot_file(file))
                return 0;
        for (const unsigned char *p = (const unsigned char *) file; *p; p++)
                if (*p <= 0x20 || *p == 0x7f || *p == '/')
                        return 0;
        return layout_format(dot + 1);
}

uint32_t layout_vmid(const char *s)
{
        uint32_t v = 0;
        size_t n = strlen(s);

        if (n < 3 || n > 9 || s[0] == '0')
                return 0;
        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return 0;
                v = v * 10 + (uint32_t) (s[i] - '0');
        }
        return v;
}

bool layout_parse_base(const char *backing, uint32_t *ret_vmid, const char **ret_file)
{
        char id[10];
        const char *slash;
        size_t n;
        uint32_t vmid;

        if (strncmp(backing, "../", 3) != 0)
                return false;
        slash = strchr(backing + 3, '/');
        n = slash ? (size_t) (slash - backing - 3) : sizeof(id);
        if (n >= sizeof(id))
                return false;
        memcpy(id, backing + 3, n);
        id[n] = '\0';
        vmid = layout_vmid(id);
        if (!vmid || strncmp(slash + 1, "base-", 5) != 0 || !layout_image_format(slash + 1))
                return false;
        *ret_vmid = vmid;
        *ret_file = slash + 1;
        return true;
}

int layout_volname(uint32_t basevmid, const char *base, uint32_t vmid, const char *file,
                   char ret[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        char name[STORAGED_VOLNAME_MAX];
        NameBuf b = { name, sizeof(name) };

        if (basevmid) {
                name_add_uint(&b, basevmid);
                name_add(&b, "/");
                name_add(&b, base);
                name_add(&b, "/");
        }
        name_add_uint(&b, vmid);
        name_add(&b, "/");
        name_add(&b, file);
        if (b.room == 0)
                return error_set(err, -ENAMETOOLONG, "the volume name would be longer than %d bytes",
                                 STORAGED_VOLNAME_MAX - 1);
        memcpy(ret, name, (size_t) (b.p - name) + 1);
        return 0;
}
