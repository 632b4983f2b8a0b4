/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From memory back to text, by the writing rules of Proxmox VE, so that both can rewrite the same file in
 * turn without a difference. What the text means is the same before and after, and writing what was
 * written gives the same bytes again.
 */
#include "core/config-parts.h"

#include <errno.h>
#include <stdlib.h>

static void write_line(const ConfigPair *p, StrBuf *b)
{
        strbuf_addc(b, '\t');
        strbuf_adds(b, p->key);
        if (p->value[0] != '\0') {
                strbuf_addc(b, ' ');
                strbuf_adds(b, p->value);
        }
        strbuf_addc(b, '\n');
}

static int compare_lines(const void *a, const void *b)
{
        const ConfigPair *const *x = a, *const *y = b;

        return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

/* A section nobody here understands: its lines in the order they had. */
static void write_unknown(const StorageConfig *s, StrBuf *b)
{
        AUTO(freep) const ConfigPair **lines = calloc(s->n_pairs + 1, sizeof(*lines));

        if (!lines) {
                b->error = b->error ? b->error : -ENOMEM;
                return;
        }
        for (size_t i = 0; i < s->n_pairs; i++)
                lines[i] = &s->pairs[i];
        qsort(lines, s->n_pairs, sizeof(*lines), compare_lines);
        for (size_t i = 0; i < s->n_pairs; i++)
                write_line(lines[i], b);
}

/* Whether a filled in value belongs in the file: what all storages of the type have by nature does not. */
static bool is_written_default(const StorageConfig *s, const ConfigPair *p, bool is_new)
{
        if (str_eq(p->key, "shared") || s->broken)
                return false;
        if (str_eq(p->key, "content") && is_new)
                return false;
        /* Beside a line that is kept without effect it would be a second one of that key. */
        for (size_t i = 0; i < s->n_pairs; i++)
                if (&s->pairs[i] != p && str_eq(s->pairs[i].key, p->key))
                        return false;
        return true;
}

static void write_pairs(const StorageConfig *s, bool required, bool is_new, StrBuf *b)
{
        for (size_t i = 0; i < s->n_pairs; i++) {
                const ConfigPair *p = &s->pairs[i];
                const Property *property = type_find_property(s->type, p->key);

                if ((property && (property->flags & STORAGED_PROPERTY_REQUIRED)) != required)
                        continue;
                if (p->is_default && !is_written_default(s, p, is_new))
                        continue;
                if (!str_eq(p->key, "disable") || p->is_unknown) /* else it stands at the top */
                        write_line(p, b);
        }
}

void storage_config_write(const StorageConfig *s, bool is_new, StrBuf *b)
{
        strbuf_addf(b, "%s: %s\n", s->type_name, s->id);
        if (!s->type) {
                write_unknown(s, b);
                strbuf_addc(b, '\n');
                return;
        }
        if (s->is_disabled)
                strbuf_adds(b, "\tdisable\n");
        write_pairs(s, true, is_new, b);
        write_pairs(s, false, is_new, b);
        strbuf_addc(b, '\n');
}

char *config_write(const Config *c)
{
        StrBuf b = STRBUF_INIT;

        for (size_t i = 0; i < c->n_storages; i++) {
                const StorageConfig *s = c->storages[i];

                if (s->in_file)
                        storage_config_write(s->in_file, false, &b);
                else if (s->line > 0)
                        storage_config_write(s, false, &b);
        }
        return strbuf_take(&b);
}
