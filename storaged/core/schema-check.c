/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging one value of one property. The rules are a table of named formats, each a function from text
 * to the reason why it is wrong, so that a new format is a row. property_check takes what may stand in
 * storage.cfg; property_normalize takes what people and programs say and is stricter where the file is
 * lenient (`..` in paths), because there it is still time to refuse.
 */
#include "core/schema.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/parse.h"
#include "base/str.h"
#include "wire/volname.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define BLANKS " \t\n\v\f\r"
#define LIST_SEPARATORS ",;" BLANKS
#define LENGTH_DEFAULT 4096u

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM LETTERS DIGITS

typedef const char *(*FormatFn)(const char *value); /* NULL: fine; else what is wrong */

static bool is_one_of(char c, const char *set)
{
        return c != '\0' && strchr(set, c);
}

/* Labels of letters, digits and inner dashes; `dots`: several of them with dots between. */
static bool is_host_name(const char *s, bool dots)
{
        size_t len = strlen(s);

        if (len == 0 || len > 253)
                return false;
        for (;;) {
                size_t n = strspn(s, ALNUM "-");

                if (n == 0 || s[0] == '-' || s[n - 1] == '-')
                        return false;
                if (s[n] == '\0')
                        return true;
                if (!dots || s[n] != '.')
                        return false;
                s += n + 1;
        }
}

static bool is_address(const char *s)
{
        struct in6_addr a;

        return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

static const char *check_server(const char *s)
{
        return is_address(s) || is_host_name(s, true) ? NULL : "expected an IP address or a DNS name";
}

static bool is_port(const char *s)
{
        uint64_t port;

        return parse_u64(s, &port) == 0 && port >= 1 && port <= 65535;
}

static const char *check_portal(const char *s)
{
        static const char wrong[] = "expected HOST, HOST:PORT or [IPv6]:PORT";
        char host[256];
        const char *end, *port;

        if (is_address(s))
                return NULL;
        if (s[0] == '[') {
                end = strchr(++s, ']');
                port = end ? end + 1 : NULL;
        } else {
                end = strchr(s, ':');
                port = end ? end : s + strlen(s);
                end = port;
        }
        if (!end || (size_t) (end - s) >= sizeof(host) || (*port != '\0' && (*port != ':' || !is_port(port + 1))))
                return wrong;
        memcpy(host, s, (size_t) (end - s));
        host[end - s] = '\0';
        return is_address(host) || is_host_name(host, true) ? NULL : wrong;
}

static const char *check_path(const char *s)
{
        if (s[0] != '/')
                return "expected an absolute path";
        return strpbrk(s, ";()") ? "';', '(' and ')' are not allowed in a path" : NULL;
}

static bool has_dot_dot(const char *s)
{
        for (;;) {
                size_t n = strcspn(s, "/");

                if (n == 2 && s[0] == '.' && s[1] == '.')
                        return true;
                if (s[n] == '\0')
                        return false;
                s += n + 1;
        }
}

static const char *check_vgname(const char *s)
{
        size_t len = strlen(s);

        if (len < 2 || strspn(s, ALNUM "-_.") != len || !is_one_of(s[0], ALNUM) || !is_one_of(s[len - 1], ALNUM))
                return "expected letters and digits, with '-', '_' and '.' only inside, at least 2 characters";
        return NULL;
}

static const char *check_configid(const char *s)
{
        if (strlen(s) < 2 || !is_one_of(s[0], LETTERS) || strspn(s, ALNUM "-_") != strlen(s))
                return "expected a letter, then letters, digits, '-' and '_'";
        return NULL;
}

static const char *check_storage_id(const char *s)
{
        return storage_id_is_valid(s, strlen(s))
                       ? NULL
                       : "expected a letter, then letters, digits, '-', '_' and '.', with a letter or digit last";
}

static const char *check_volume_id(const char *s)
{
        char id[STORAGE_ID_MAX];
        const char *volname;

        return volid_split(s, id, &volname, NULL) < 0 ? "expected STORAGE:VOLUME" : NULL;
}

static const char *check_blocksize(const char *s)
{
        size_t n = strspn(s, DIGITS);

        if (n == 0 || s[0] == '0' || n > 9 || (s[n] != '\0' && (!is_one_of(s[n], "kKmMgG") || s[n + 1] != '\0')))
                return "expected a number, with k, M or G behind it or not";
        return NULL;
}

static const char *check_options(const char *s)
{
        return strpbrk(s, BLANKS) ? "mount options have no blanks" : NULL;
}

static const char *check_fingerprint(const char *s)
{
        for (unsigned i = 0; i < 32; i++, s += 3) {
                if (strspn(s, DIGITS "abcdefABCDEF") != 2 || s[2] != (i < 31 ? ':' : '\0'))
                        return "expected 32 pairs of hex digits with colons between them";
                if (i == 31)
                        break;
        }
        return NULL;
}

static const char *check_content_word(const char *s)
{
        return content_from_string(s)
                       ? NULL
                       : "expected words of: images, rootdir, iso, vztmpl, backup, snippets, import, none";
}

static const char *check_node(const char *s)
{
        return is_host_name(s, false) ? NULL : "expected names of nodes";
}

/* CONTENT=relative/directory */
static const char *check_dir_override(const char *s)
{
        char word[16];
        size_t n = strcspn(s, "=");

        if (s[n] != '=' || n == 0 || n >= sizeof(word))
                return "expected CONTENT=DIRECTORY";
        memcpy(word, s, n);
        word[n] = '\0';
        if ((content_from_string(word) & STORAGED_CONTENT_ANY) == 0)
                return "expected CONTENT=DIRECTORY with a content type such as iso or backup";
        s += n + 1;
        if (*s == '\0' || *s == '/')
                return "the directory is given relative to the path of the storage";
        if (has_dot_dot(s))
                return "'..' is not allowed in a directory";
        return strpbrk(s, "()") ? "'(' and ')' are not allowed in a directory" : NULL;
}

/* Each word of a list through `fn`; an empty list is wrong. */
static const char *check_list(const char *s, FormatFn fn)
{
        StrList words = STRLIST_INIT;
        const char *wrong = NULL;

        if (strlist_split(&words, s, LIST_SEPARATORS) < 0)
                wrong = "out of memory";
        else if (words.n == 0)
                wrong = "the list is empty";
        for (size_t i = 0; !wrong && i < words.n; i++)
                wrong = fn(words.items[i]);
        strlist_deinit(&words);
        return wrong;
}

static const char *check_content_list(const char *s)
{
        return check_list(s, check_content_word);
}

static const char *check_node_list(const char *s)
{
        return check_list(s, check_node);
}

static const char *check_portal_list(const char *s)
{
        return check_list(s, check_portal);
}

static const char *check_dir_override_list(const char *s)
{
        return check_list(s, check_dir_override);
}

/* A property string: KEY=VALUE with commas between, keys from a table and each only once. */
typedef struct SubKey {
        const char *name;
        bool (*is_valid)(const char *value);
} SubKey;

static const char *check_property_string(const char *s, const SubKey *keys, size_t n_keys, char (*ret_values)[24])
{
        bool seen[8] = { false };

        while (*s) {
                size_t len = strcspn(s, ","), n = strcspn(s, "="), i;
                char value[24];

                if (n >= len || len - n - 1 >= sizeof(value))
                        return "expected KEY=VALUE, with commas between several";
                for (i = 0; i < n_keys; i++)
                        if (strlen(keys[i].name) == n && memcmp(keys[i].name, s, n) == 0)
                                break;
                if (i == n_keys)
                        return "there is an unknown key in it";
                if (seen[i])
                        return "a key is given twice";
                seen[i] = true;
                memcpy(value, s + n + 1, len - n - 1);
                value[len - n - 1] = '\0';
                if (!keys[i].is_valid(value))
                        return "a value is not of its type";
                memcpy(ret_values[i], value, sizeof(value));
                s += len;
                if (*s == ',' && *++s == '\0')
                        return "there is nothing behind the last comma";
        }
        return NULL;
}

static bool is_count(const char *s)
{
        uint64_t v;

        return parse_u64(s, &v) == 0 && v <= INT32_MAX;
}

static bool is_boolean(const char *s)
{
        bool v;

        return parse_bool(s, &v) == 0;
}

/* KiB/s, also with a fraction. */
static bool is_rate(const char *s)
{
        size_t n = strspn(s, DIGITS), fraction;

        if (n == 0 || n > 15)
                return false;
        if (s[n] == '\0')
                return true;
        fraction = s[n] == '.' ? strspn(s + n + 1, DIGITS) : 0;
        return fraction > 0 && s[n + 1 + fraction] == '\0';
}

static const char *check_prune_backups(const char *s)
{
        static const SubKey keys[] = {
                { "keep-all", is_boolean },  { "keep-last", is_count },   { "keep-hourly", is_count },
                { "keep-daily", is_count },  { "keep-weekly", is_count }, { "keep-monthly", is_count },
                { "keep-yearly", is_count },
        };
        char values[LENGTH(keys)][24] = { { 0 } };
        const char *wrong = check_property_string(s, keys, LENGTH(keys), values);
        bool keep_all = false;

        if (wrong)
                return wrong;
        if (values[0][0] != '\0')
                (void) parse_bool(values[0], &keep_all); /* is_boolean has said yes */
        for (size_t i = 1; keep_all && i < LENGTH(keys); i++)
                if (strspn(values[i], "0") != strlen(values[i]))
                        return "keep-all can't stand with other keep- settings";
        return NULL;
}

static const char *check_bwlimit(const char *s)
{
        static const SubKey keys[] = {
                { "clone", is_rate }, { "default", is_rate }, { "migration", is_rate },
                { "move", is_rate },  { "restore", is_rate },
        };
        char values[LENGTH(keys)][24] = { { 0 } };

        return check_property_string(s, keys, LENGTH(keys), values);
}

static const struct {
        const char *name; /* Proxmox VE says pve- in front of most */
        FormatFn fn;
} formats[] = {
        { "bwlimit", check_bwlimit },
        { "configid", check_configid },
        { "dir-override-list", check_dir_override_list },
        { "fingerprint-sha256", check_fingerprint },
        { "node-list", check_node_list },
        { "prune-backups", check_prune_backups },
        { "storage-content-list", check_content_list },
        { "storage-id", check_storage_id },
        { "storage-options", check_options },
        { "storage-path", check_path },
        { "storage-portal-dns", check_portal },
        { "storage-portal-dns-list", check_portal_list },
        { "storage-server", check_server },
        { "storage-vgname", check_vgname },
        { "storage-zfs-blocksize", check_blocksize },
        { "volume-id", check_volume_id },
};

static const char *format_name(const Property *p)
{
        const char *name = p->format ? str_skip(p->format, "pve-") : NULL;

        return name ? name : p->format ? p->format : "";
}

static bool is_list(const Property *p)
{
        return str_ends_with(format_name(p), "-list");
}

/* The words of an enumeration for a sentence. */
static void join_values(const Property *p, char *buf, size_t size)
{
        size_t at = 0;

        buf[0] = '\0';
        for (const char *const *v = p->values; *v && at < size; v++)
                at += (size_t) snprintf(buf + at, size - at, "%s%s", v == p->values ? "" : ", ", *v);
}

static const char *check_values(const Property *p, const char *value, char *buf, size_t size)
{
        char words[400];

        for (const char *const *v = p->values; *v; v++)
                if (strcmp(*v, value) == 0)
                        return NULL;
        join_values(p, words, sizeof(words));
        (void) snprintf(buf, size, "expected one of: %s", words);
        return buf;
}

static const char *check_integer(const Property *p, const char *value, char *buf, size_t size)
{
        int64_t v;

        if (parse_i64(value, &v) < 0)
                return "expected a whole number";
        if (p->min == 0 && p->max == 0)
                return p->values ? check_values(p, value, buf, size) : NULL;
        if (v >= p->min && v <= p->max)
                return p->values ? check_values(p, value, buf, size) : NULL;
        if (p->max == INT64_MAX)
                (void) snprintf(buf, size, "expected a number not below %lld", (long long) p->min);
        else
                (void) snprintf(buf, size, "expected a number from %lld to %lld", (long long) p->min,
                                (long long) p->max);
        return buf;
}

static const char *find_fault(const Property *p, const char *value, char *buf, size_t size)
{
        /* A password is a line, the other secrets are whole files. */
        bool is_file = (p->flags & STORAGED_PROPERTY_SECRET) && strcmp(p->name, "password") != 0;
        size_t max = p->max_length ? p->max_length : LENGTH_DEFAULT, len = strnlen(value, max + 1);

        if (len > max) {
                (void) snprintf(buf, size, "it is longer than %zu bytes", max);
                return buf;
        }
        for (size_t i = 0; i < len; i++)
                if (((unsigned char) value[i] < 0x20 || value[i] == 0x7f) && (value[i] != '\t' || !is_list(p)) &&
                    !(is_file && strchr("\n\r\t", value[i])))
                        return "it has a control character";
        if (len == 0)
                return "it is empty";
        if (is_file)
                return NULL;
        if (strchr(BLANKS, value[0]) || strchr(BLANKS, value[len - 1]))
                return "it begins or ends with a blank";
        if (p->type == STORAGED_PROPERTY_BOOLEAN)
                return strcmp(value, "0") == 0 || strcmp(value, "1") == 0 ? NULL : "expected 1 or 0";
        if (p->type == STORAGED_PROPERTY_INTEGER)
                return check_integer(p, value, buf, size);
        if (p->values)
                return check_values(p, value, buf, size);
        for (size_t i = 0; i < LENGTH(formats); i++)
                if (strcmp(formats[i].name, format_name(p)) == 0)
                        return formats[i].fn(value);
        return NULL;
}

static int refuse(const Property *p, const char *value, const char *wrong, struct storaged_error *err)
{
        char shown[160] = "(hidden)";

        if (!(p->flags & STORAGED_PROPERTY_SECRET))
                (void) str_show(value, strnlen(value, sizeof(shown)), shown, sizeof(shown));
        return error_set_param(err, -EINVAL, p->name, "value '%s' of '%s' is not valid: %s", shown, p->name, wrong);
}

int property_check(const Property *p, const char *value, struct storaged_error *err)
{
        char buf[512];
        const char *wrong = find_fault(p, value, buf, sizeof(buf));

        return wrong ? refuse(p, value, wrong, err) : 0;
}

/* Sorted words without repetition, with commas between. */
static char *normalize_list(const char *value)
{
        StrList words = STRLIST_INIT, kept = STRLIST_INIT;
        char *text = NULL;
        int r;

        r = strlist_split(&words, value, LIST_SEPARATORS);
        strlist_sort(&words);
        for (size_t i = 0; r == 0 && i < words.n; i++)
                if (i == 0 || strcmp(words.items[i], words.items[i - 1]) != 0)
                        r = strlist_adds(&kept, words.items[i]);
        if (r == 0)
                text = strlist_join(&kept, ",");
        strlist_deinit(&words);
        strlist_deinit(&kept);
        return text;
}

/* What a file may still hold, but nobody may newly say. */
static const char *check_strictly(const char *format, const char *value)
{
        bool b;

        if (strcmp(format, "storage-path") == 0 && has_dot_dot(value))
                return "'..' is not allowed in a path";
        if (strcmp(format, "is-mountpoint") == 0 && value[0] != '/' && parse_bool(value, &b) < 0)
                return "expected yes, no or an absolute path";
        return NULL;
}

int property_normalize(const Property *p, const char *value, char **ret, struct storaged_error *err)
{
        AUTO(freep) char *v = NULL;
        const char *format = format_name(p), *wrong;
        int64_t number;
        bool b;
        int r;

        if (p->type == STORAGED_PROPERTY_BOOLEAN && parse_bool(value, &b) == 0)
                v = strdup(b ? "1" : "0");
        else if (p->type == STORAGED_PROPERTY_INTEGER && parse_i64(value, &number) == 0)
                (void) str_printf(&v, "%lld", (long long) number);
        else
                v = strdup(value);
        if (!v)
                return -ENOMEM;
        r = property_check(p, v, err);
        if (r < 0)
                return r;
        wrong = check_strictly(format, v);
        if (wrong)
                return refuse(p, value, wrong, err);
        if (strcmp(format, "storage-path") == 0) {
                for (size_t n = strlen(v); n > 1 && v[n - 1] == '/'; n--)
                        v[n - 1] = '\0';
        } else if (strcmp(format, "storage-content-list") == 0 || strcmp(format, "node-list") == 0) {
                char *sorted = normalize_list(v);

                if (!sorted)
                        return -ENOMEM;
                free(v);
                v = sorted;
        }

        *ret = TAKE(v);
        return 0;
}
