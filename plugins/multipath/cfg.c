/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multipath.cfg, in the form that Proxmox VE's series has proposed: `defaults: ID` and `wwid: WWID` sections with
 * indented `key value` lines, keys with dashes that become multipathd's with underscores. What is not in the table
 * below is refused, by line: a mistake in this file would be on every node within a second. The baseline is what a
 * cluster needs to agree on: names are WWIDs, only listed LUNs are assembled, and I/O never waits for ever.
 */
#include "multipath/cfg.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "multipath/vpd.h"

enum { IN_DEFAULTS = 1, IN_WWID = 2 };

/* A number in its range, or one of the words. */
typedef struct CfgKey {
        const char *name;
        int where;
        long min, max; /* both 0: no numbers */
        const char *words;
} CfgKey;

static const CfgKey keys[] = {
        { "alias", IN_WWID, 0, 0, "*" },
        { "dev-loss-tmo", IN_DEFAULTS, 1, 86400, "" },
        { "failback", IN_DEFAULTS | IN_WWID, 1, 86400, "immediate manual followover" },
        { "fast-io-fail-tmo", IN_DEFAULTS, 1, 3600, "" },
        { "max-polling-interval", IN_DEFAULTS, 1, 3600, "" },
        { "no-path-retry", IN_DEFAULTS | IN_WWID, 1, 10000,
          "fail" }, /* never `queue`: what waits for ever can't be ended */
        { "path-checker", IN_DEFAULTS, 0, 0, "tur directio rdac emc_clariion hp_sw readsector0" },
        { "path-grouping-policy", IN_DEFAULTS | IN_WWID, 0, 0,
          "failover multibus group_by_serial group_by_prio group_by_node_name" },
        { "path-selector", IN_DEFAULTS | IN_WWID, 0, 0,
          "round-robin queue-length service-time historical-service-time" },
        { "polling-interval", IN_DEFAULTS, 1, 3600, "" },
        { "prio", IN_DEFAULTS | IN_WWID, 0, 0, "const alua ontap emc hp_sw hds rdac sysfs" },
        { "recheck-wwid", IN_DEFAULTS, 0, 0, "yes no" },
        { "reservation-key", IN_DEFAULTS | IN_WWID, 0, 0, "file" },
        { "rr-min-io-rq", IN_DEFAULTS | IN_WWID, 1, 100000, "" },
        { "rr-weight", IN_DEFAULTS | IN_WWID, 0, 0, "uniform priorities" },
        { "skip-kpartx", IN_DEFAULTS | IN_WWID, 0, 0, "yes no" },
};

static const struct {
        const char *key, *value;
} baseline[] = {
        { "user-friendly-names", "no" }, { "find-multipaths", "strict" }, { "skip-kpartx", "yes" },
        { "recheck-wwid", "yes" },       { "polling-interval", "5" },     { "no-path-retry", "16" },
        { "fast-io-fail-tmo", "5" },     { "dev-loss-tmo", "30" },
};

void cfg_deinit(Cfg *c)
{
        free(c->pairs);
        free(c->wwids);
        *c = (Cfg){ 0 };
}

static const CfgKey *key_find(const char *name)
{
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

static int is_alias(const char *s)
{
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

        return n > 0 && s[n] == '\0' && isalnum((unsigned char) s[0]);
}

static int value_fits(const CfgKey *k, const char *value)
{
        size_t n = strlen(value);
        char *end;
        long v;

        if (strcmp(k->words, "*") == 0)
                return is_alias(value);
        for (const char *at = strstr(k->words, value); n > 0 && at; at = strstr(at + 1, value))
                if ((at == k->words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0') && !strchr(value, ' '))
                        return 1;
        if (k->max == 0 || !isdigit((unsigned char) value[0]))
                return 0;
        errno = 0;
        v = strtol(value, &end, 10);
        return errno == 0 && *end == '\0' && v >= k->min && v <= k->max;
}

static int begin_section(Cfg *c, const char *type, const char *id, unsigned line, char section[static 256],
                         struct storaged_error *err)
{
        char(*more)[256];

        if (strcmp(type, "defaults") == 0) {
                section[0] = '\0';
                if (c->has_defaults++)
                        return error_set(err, -EINVAL, "line %u: there is a second 'defaults' section", line);
                return 0;
        }
        if (strcmp(type, "wwid") != 0)
                return error_set(err, -EINVAL, "line %u: unknown section '%.40s'; there are 'defaults' and 'wwid'",
                                 line, type);
        if (!vpd_wwid_is_valid(id) || c->n_wwids == CFG_LUNS_MAX)
                return error_set(err, -EINVAL, "line %u: '%.60s' is no WWID, or there are too many", line, id);
        for (size_t i = 0; i < c->n_wwids; i++)
                if (strcmp(c->wwids[i], id) == 0)
                        return error_set(err, -EINVAL, "line %u: WWID %.60s stands here a second time", line, id);
        more = reallocarray(c->wwids, c->n_wwids + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        c->wwids = more;
        (void) snprintf(c->wwids[c->n_wwids++], 256, "%s", id);
        (void) snprintf(section, 256, "%s", id);
        return 0;
}

static int add_pair(Cfg *c, const char *section, const char *key, const char *value, unsigned line,
                    struct storaged_error *err)
{
        const CfgKey *k = key_find(key);

        if (!k || !(k->where & (section[0] ? IN_WWID : IN_DEFAULTS)))
                return error_set(err, -EINVAL, "line %u: '%.40s' can't be set %s", line, key,
                                 section[0] ? "for one LUN" : "in the defaults");
        if (!value_fits(k, value))
                return error_set(err, -EINVAL, "line %u: %s can't be '%.60s'; %s%s", line, key, value,
                                 k->max ? "a number in its range" : "one of: ", k->max ? "" : k->words);
        if (c->n_pairs == c->size) {
                size_t size = c->size ? c->size * 2 : 16;
                CfgPair *more = reallocarray(c->pairs, size, sizeof(*more));

                if (!more)
                        return -ENOMEM;
                c->pairs = more;
                c->size = size;
        }
        (void) snprintf(c->pairs[c->n_pairs].section, sizeof(c->pairs[0].section), "%s", section);
        (void) snprintf(c->pairs[c->n_pairs].key, sizeof(c->pairs[0].key), "%s", key);
        (void) snprintf(c->pairs[c->n_pairs].value, sizeof(c->pairs[0].value), "%s", value);
        c->n_pairs++;
        return 0;
}

/* A line without its newline; `section` NULL-like ("?"): none has begun. */
static int parse_line(Cfg *c, const char *line, unsigned number, char section[static 256], struct storaged_error *err)
{
        char first[40], rest[256] = "";
        int n = sscanf(line, " %39s %255[^\n]", first, rest);
        size_t len;

        if (n < 1 || first[0] == '#')
                return 0;
        for (len = strlen(rest); len > 0 && isspace((unsigned char) rest[len - 1]); len--)
                rest[len - 1] = '\0';
        if (!isspace((unsigned char) line[0])) {
                len = strlen(first);
                if (len < 2 || first[len - 1] != ':')
                        return error_set(err, -EINVAL, "line %u: expected 'type: id'", number);
                first[len - 1] = '\0';
                return begin_section(c, first, rest, number, section, err);
        }
        if (section[0] == '?')
                return error_set(err, -EINVAL, "line %u: '%.40s' stands before any section", number, first);
        return add_pair(c, section, first, rest, number, err);
}

int cfg_parse(const char *text, size_t len, Cfg *ret, struct storaged_error *err)
{
        const char *end = text + len;
        char section[256] = "?", line[512];
        unsigned number = 0;
        Cfg c = { 0 };

        for (const char *at = text; at < end;) {
                const char *newline = memchr(at, '\n', (size_t) (end - at));
                size_t n = (size_t) ((newline ? newline : end) - at);
                int r;

                number++;
                if (n >= sizeof(line) || memchr(at, '\0', n)) {
                        cfg_deinit(&c);
                        return error_set(err, -EINVAL, "line %u: too long, or no text", number);
                }
                memcpy(line, at, n);
                line[n] = '\0';
                r = parse_line(&c, line, number, section, err);
                if (r < 0) {
                        cfg_deinit(&c);
                        return r;
                }
                at = newline ? newline + 1 : end;
        }
        *ret = c;
        return 0;
}

int cfg_is_empty(const Cfg *c)
{
        return !c->has_defaults && c->n_wwids == 0;
}

static const char *cfg_find(const Cfg *c, const char *section, const char *key)
{
        for (size_t i = 0; i < c->n_pairs; i++)
                if (strcmp(c->pairs[i].section, section) == 0 && strcmp(c->pairs[i].key, key) == 0)
                        return c->pairs[i].value;
        return NULL;
}

static void to_underscores(const char *key, char ret[static 40])
{
        size_t n = 0;

        for (; n < 39 && key[n]; n++)
                ret[n] = key[n] == '-' ? '_' : key[n];
        ret[n] = '\0';
}

/* The kernel's selectors want an argument. */
static void put_value(const char *key, const char *value, char *ret, size_t size)
{
        (void) snprintf(ret, size, "%s%s", value, strcmp(key, "path-selector") == 0 ? " 0" : "");
}

void cfg_each_default(const Cfg *c, void (*fn)(void *userdata, const char *key, const char *value), void *userdata)
{
        char key[40], value[136];

        for (size_t i = 0; i < sizeof(baseline) / sizeof(baseline[0]); i++) {
                const char *own = cfg_find(c, "", baseline[i].key);

                to_underscores(baseline[i].key, key);
                fn(userdata, key, own ? own : baseline[i].value);
        }
        for (size_t i = 0; i < c->n_pairs; i++) {
                bool is_base = false;

                for (size_t k = 0; k < sizeof(baseline) / sizeof(baseline[0]); k++)
                        is_base |= strcmp(baseline[k].key, c->pairs[i].key) == 0;
                if (c->pairs[i].section[0] || is_base)
                        continue;
                to_underscores(c->pairs[i].key, key);
                put_value(c->pairs[i].key, c->pairs[i].value, value, sizeof(value));
                fn(userdata, key, value);
        }
}

typedef struct Rendering {
        int (*keep)(void *userdata, const char *key);
        void *userdata;
        FILE *f;
} Rendering;

static void render_default(void *userdata, const char *key, const char *value)
{
        Rendering *r = userdata;

        if (!r->keep || !r->keep(r->userdata, key))
                (void) fprintf(r->f, "        %s \"%s\"\n", key, value);
}

void cfg_render(const Cfg *c, int (*keep)(void *userdata, const char *key), void *userdata, FILE *f)
{
        Rendering r = { keep, userdata, f };
        char key[40], value[136];

        (void) fputs(
                "# Made by storaged from multipath.cfg of the cluster; what is changed here is lost.\ndefaults {\n", f);
        cfg_each_default(c, render_default, &r);
        (void) fputs("}\n", f);
        if (c->n_wwids > 0)
                (void) fputs("multipaths {\n", f);
        for (size_t i = 0; i < c->n_wwids; i++) {
                (void) fprintf(f, "        multipath {\n                wwid \"%s\"\n", c->wwids[i]);
                for (size_t k = 0; k < c->n_pairs; k++)
                        if (strcmp(c->pairs[k].section, c->wwids[i]) == 0) {
                                to_underscores(c->pairs[k].key, key);
                                put_value(c->pairs[k].key, c->pairs[k].value, value, sizeof(value));
                                (void) fprintf(f, "                %s \"%s\"\n", key, value);
                        }
                (void) fputs("        }\n", f);
        }
        if (c->n_wwids > 0)
                (void) fputs("}\n", f);
}
