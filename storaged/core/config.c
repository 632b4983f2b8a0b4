/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.cfg's meaning. section.c has split the text into sections and pairs; here each section is
 * judged against its type. Nothing is thrown away because it is not understood: a section of an unknown
 * type, an unknown key and a value that can't be used all stay with the storage, marked, have no effect
 * and are rewritten as they were. Each section is judged alone, so a bad one can't harm another.
 */
#include "core/config.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "core/config-parts.h"
#include "wire/volname.h"

int storage_config_new(StorageConfig **ret, const char *id, const char *type_name, const Type *type, unsigned line)
{
        AUTO(storage_config_freep) StorageConfig *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->id = strdup(id);
        s->type_name = strdup(type_name);
        if (!s->id || !s->type_name)
                return -ENOMEM;
        s->type = type;
        s->line = line;

        *ret = TAKE(s);
        return 0;
}

static void pair_deinit(ConfigPair *p)
{
        free(p->key);
        free(p->value);
}

StorageConfig *storage_config_free(StorageConfig *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_pairs; i++)
                pair_deinit(&s->pairs[i]);
        free(s->pairs);
        free(s->id);
        free(s->type_name);
        free(s->broken);
        strlist_deinit(&s->nodes);
        storage_config_free(s->in_file);
        free(s);
        return NULL;
}

int storage_config_add(StorageConfig *s, const char *key, const char *value, unsigned line, unsigned flags)
{
        ConfigPair p = { .line = line, .is_default = flags & PAIR_DEFAULT, .is_unknown = flags & PAIR_UNKNOWN };

        if ((s->n_pairs & (s->n_pairs + 1)) == 0) { /* grown at powers of two */
                ConfigPair *pairs = reallocarray(s->pairs, (s->n_pairs + 1) * 2, sizeof(*pairs));

                if (!pairs)
                        return -ENOMEM;
                s->pairs = pairs;
        }
        p.key = strdup(key);
        p.value = strdup(value);
        if (!p.key || !p.value) {
                pair_deinit(&p);
                return -ENOMEM;
        }
        s->pairs[s->n_pairs++] = p;
        return 0;
}

const ConfigPair *storage_config_find_pair(const StorageConfig *s, const char *key)
{
        for (size_t i = 0; i < s->n_pairs; i++)
                if (str_eq(s->pairs[i].key, key))
                        return &s->pairs[i];
        return NULL;
}

const char *storage_config_get(const StorageConfig *s, const char *key)
{
        for (size_t i = 0; i < s->n_pairs; i++)
                if (str_eq(s->pairs[i].key, key) && (!s->pairs[i].is_unknown || !s->type))
                        return s->pairs[i].value;
        return NULL;
}

bool storage_config_is_enabled_on(const StorageConfig *s, const char *node)
{
        return !s->is_disabled && (s->nodes.n == 0 || strlist_has(&s->nodes, node));
}

const StorageConfig *config_find(const Config *c, const char *id)
{
        for (size_t i = 0; i < c->n_storages; i++)
                if (str_eq(c->storages[i]->id, id))
                        return c->storages[i];
        return NULL;
}

char *content_mask_to_text(uint32_t contents)
{
        StrList words = STRLIST_INIT;
        char *text = NULL;
        int r = 0;

        for (unsigned i = 0; i < 32 && r == 0; i++)
                if (contents & (UINT32_C(1) << i))
                        r = strlist_adds(&words, content_to_string(UINT32_C(1) << i));
        strlist_sort(&words);
        if (r == 0)
                text = strlist_join(&words, ",");
        strlist_deinit(&words);
        return text;
}

static uint32_t content_text_to_mask(const char *text)
{
        uint32_t mask = 0;

        while (*text) {
                size_t n = strcspn(text, ",");
                char word[16] = "";

                if (n < sizeof(word)) {
                        memcpy(word, text, n);
                        mask |= content_from_string(word);
                }
                text += n + (text[n] == ',');
        }
        return mask;
}

static int compare_pairs(const void *a, const void *b)
{
        const ConfigPair *x = a, *y = b;
        int r = strcmp(x->key, y->key);

        return r ? r : (x->line > y->line) - (x->line < y->line);
}

static int set_broken(StorageConfig *s, const char *what, const char *name, const char *why)
{
        return s->broken ? 0 : str_printf(&s->broken, "%s '%s' %s", what, name, why);
}

/* What the pairs say beyond their text. */
static int derive(StorageConfig *s)
{
        const char *content = storage_config_get(s, "content"), *nodes = storage_config_get(s, "nodes"),
                   *disable = storage_config_get(s, "disable");
        int r = 0;

        s->contents = content && s->type ? content_text_to_mask(content) : 0;
        if ((s->contents & STORAGED_CONTENT_NONE) && s->contents != STORAGED_CONTENT_NONE)
                s->contents = 0; /* nobody can tell what was meant */
        s->is_disabled = disable && (str_eq(disable, "1") || (!s->type && disable[0] == '\0'));
        s->is_shared = str_eq(storage_config_get(s, "shared"), "1");
        if (nodes)
                r = strlist_split(&s->nodes, nodes, CONFIG_SEPARATORS);
        strlist_sort(&s->nodes);
        return r;
}

int storage_config_finish(StorageConfig *s, bool keep_empty)
{
        int r = 0;

        if (s->type) {
                const char *content = storage_config_get(s, "content");
                uint32_t contents = content ? content_text_to_mask(content) : 0;

                if ((contents & STORAGED_CONTENT_NONE) && contents != STORAGED_CONTENT_NONE)
                        r = set_broken(s, "content", "none", "can't stand with other contents");
                if (r == 0 && !content && !keep_empty) {
                        AUTO(freep) char *text = content_mask_to_text(s->type->default_contents);

                        if (!text)
                                return -ENOMEM;
                        r = *text ? storage_config_add(s, "content", text, 0, PAIR_DEFAULT) : 0;
                }
                if (r == 0 && s->type->sharing == STORAGED_SHARED_ALWAYS)
                        r = storage_config_add(s, "shared", "1", 0, PAIR_DEFAULT);
                /* The path of `local` is known to all. */
                if (r == 0 && str_eq(s->id, CONFIG_LOCAL_ID) && str_eq(s->type_name, "dir") &&
                    !storage_config_find_pair(s, "path"))
                        r = storage_config_add(s, "path", CONFIG_LOCAL_PATH, 0, PAIR_DEFAULT);
                for (size_t i = 0; r == 0 && i < s->type->n_properties; i++) {
                        const Property *p = &s->type->properties[i];

                        if ((p->flags & STORAGED_PROPERTY_REQUIRED) && !(p->flags & STORAGED_PROPERTY_SECRET) &&
                            !storage_config_get(s, p->name))
                                r = set_broken(s, "required property", p->name, "is missing");
                }
        }
        if (r < 0)
                return r;
        if (s->n_pairs > 1)
                qsort(s->pairs, s->n_pairs, sizeof(*s->pairs), compare_pairs);
        return derive(s);
}

/* --- reading one section */

/* Words of a list value. If there is a NUL byte in it, only NUL bytes separate. */
static int split_list(const SectionPair *p, StrList *ret)
{
        int r = 0;

        if (strlen(p->value) == p->value_len)
                return strlist_split(ret, p->value, CONFIG_SEPARATORS);
        for (size_t i = 0; i < p->value_len && r == 0; i += strlen(p->value + i) + 1)
                if (p->value[i] != '\0')
                        r = strlist_adds(ret, p->value + i);
        return r;
}

/* A line without effect that is kept; with a NUL byte it can't be. */
static int keep_line(StorageConfig *s, const SectionPair *p)
{
        if (strlen(p->value) != p->value_len)
                return 0;
        return storage_config_add(s, p->key, p->value, p->line, PAIR_UNKNOWN);
}

/* A line that can't be used for the reason in `err`. */
static int reject_line(StorageConfig *s, const SectionPair *p, SectionFile *f, const char *reason)
{
        int r = section_file_warn(f, p->line, "storage '%s': %.900s: the line has no effect", s->id, reason);

        return r < 0 ? r : keep_line(s, p);
}

static int read_content(StorageConfig *s, const SectionPair *p, SectionFile *f, unsigned *empty_line)
{
        StrList words = STRLIST_INIT;
        AUTO(freep) char *text = NULL;
        uint32_t mask = 0;
        int r;

        r = split_list(p, &words);
        for (size_t i = 0; r == 0 && i < words.n; i++) {
                uint32_t bit = content_from_string(words.items[i]);
                char reason[200];

                if (bit == 0) {
                        (void) snprintf(reason, sizeof(reason), "'%.100s' is not a content type", words.items[i]);
                        strlist_deinit(&words);
                        return reject_line(s, p, f, reason);
                }
                if (bit & s->type->contents)
                        mask |= bit;
                else
                        r = section_file_warn(f, p->line,
                                              "storage '%s': content type '%s' is not supported by type '%s': "
                                              "the word has no effect",
                                              s->id, words.items[i], s->type_name);
        }
        strlist_deinit(&words);
        if (r < 0)
                return r;
        if (mask == 0) {
                *empty_line = *empty_line ? *empty_line : p->line;
                return keep_line(s, p);
        }
        text = content_mask_to_text(mask);
        return text ? storage_config_add(s, p->key, text, p->line, 0) : -ENOMEM;
}

static int read_nodes(StorageConfig *s, const Property *property, const SectionPair *p, SectionFile *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        StrList words = STRLIST_INIT;
        AUTO(freep) char *joined = NULL, *text = NULL;
        int r;

        if (str_eq(s->id, CONFIG_LOCAL_ID))
                return section_file_warn(f, p->line,
                                         "storage 'local' exists on every node: its restriction to nodes is dropped");
        r = split_list(p, &words);
        if (r == 0) {
                joined = strlist_join(&words, ",");
                r = joined ? 0 : -ENOMEM;
        }
        strlist_deinit(&words);
        if (r < 0)
                return r;
        r = property_normalize(property, joined, &text, &err);
        if (r == -EINVAL)
                return reject_line(s, p, f, err.text);
        return r < 0 ? r : storage_config_add(s, p->key, text, p->line, 0);
}

/* *empty_line becomes the first line of contents that leaves none. */
static int read_pair(StorageConfig *s, const SectionPair *p, SectionFile *f, unsigned *empty_line)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const Property *property = type_find_property(s->type, p->key);
        const char *value = p->value;
        char reason[256];
        int r;

        if (!property)
                (void) snprintf(reason, sizeof(reason), "property '%.80s' is not known for type '%.64s'", p->key,
                                s->type_name);
        else if (property->flags & STORAGED_PROPERTY_SECRET)
                (void) snprintf(reason, sizeof(reason), "property '%s' is a secret and is not read from storage.cfg",
                                p->key);
        else if (!p->has_value && property->type != STORAGED_PROPERTY_BOOLEAN)
                (void) snprintf(reason, sizeof(reason), "property '%s' has no value", p->key);
        else if (str_eq(p->key, "content"))
                return read_content(s, p, f, empty_line);
        else if (str_eq(p->key, "nodes"))
                return read_nodes(s, property, p, f);
        else if (strlen(value) != p->value_len)
                (void) snprintf(reason, sizeof(reason), "the value of '%s' has a NUL byte", p->key);
        else {
                if (!p->has_value)
                        value = "1";
                r = property_check(property, value, &err);
                if (r == 0)
                        return storage_config_add(s, p->key, value, p->line, 0);
                return r == -EINVAL ? reject_line(s, p, f, err.text) : r;
        }
        return reject_line(s, p, f, reason);
}

/* Of several lines with one known key the first that can be used counts, else the first; the others go. */
static int drop_repeated(StorageConfig *s, SectionFile *f)
{
        size_t kept = 0;
        int r = 0;

        if (s->n_pairs > 1)
                qsort(s->pairs, s->n_pairs, sizeof(*s->pairs), compare_pairs);
        for (size_t i = 0, end; i < s->n_pairs; i = end) {
                bool is_known = type_find_property(s->type, s->pairs[i].key);
                size_t best = i;
                bool best_counts;
                unsigned line;

                for (end = i + 1; end < s->n_pairs && str_eq(s->pairs[end].key, s->pairs[i].key); end++)
                        ;
                while (best < end && s->pairs[best].is_unknown)
                        best++;
                if (best == end)
                        best = i;
                line = s->pairs[best].line;
                best_counts = !s->pairs[best].is_unknown;
                for (size_t j = i; j < end; j++) {
                        if (j == best || !is_known) {
                                s->pairs[kept++] = s->pairs[j];
                                continue;
                        }
                        if (r == 0 && !(best_counts && s->pairs[j].is_unknown)) /* that one has a warning already */
                                r = section_file_warn(f, s->pairs[j].line,
                                                      "storage '%s': property '%s' is set by line %u: "
                                                      "this line is ignored",
                                                      s->id, s->pairs[j].key, line);
                        pair_deinit(&s->pairs[j]);
                }
        }
        s->n_pairs = kept;
        return r;
}

/* *ret stays NULL for a section that can't be kept: without a usable id there is nothing to name it by. */
static int read_section(StorageConfig **ret, const Schema *schema, const Section *section, SectionFile *f)
{
        AUTO(storage_config_freep) StorageConfig *s = NULL;
        const Type *type = schema_find(schema, section->type);
        const ConfigPair *content;
        unsigned empty_line = 0;
        int r;

        if (!storage_id_is_valid(section->id, strlen(section->id)))
                return section_file_warn(f, section->line, "'%.100s' is not a storage id: the section is ignored",
                                         section->id);
        r = storage_config_new(&s, section->id, section->type, type, section->line);
        if (r < 0)
                return r;
        if (!type)
                r = section_file_warn(f, section->line,
                                      "storage '%s': type '%.64s' is not known: the section is kept as it is", s->id,
                                      section->type);
        for (size_t i = 0; r == 0 && i < section->n_pairs; i++) {
                const SectionPair *p = &section->pairs[i];

                if (type)
                        r = read_pair(s, p, f, &empty_line);
                else if (strlen(p->value) != p->value_len)
                        r = section_file_warn(f, p->line,
                                              "storage '%s': the value of '%.80s' has a NUL byte: the line is ignored",
                                              s->id, p->key);
                else
                        r = storage_config_add(s, p->key, p->value, p->line, PAIR_UNKNOWN);
        }
        if (r == 0 && type)
                r = drop_repeated(s, f);
        content = storage_config_find_pair(s, "content");
        if (r == 0)
                r = storage_config_finish(s, content && content->is_unknown && content->line == empty_line);
        if (r == 0 && s->broken)
                r = section_file_warn(f, s->line, "storage '%s' can't be used: %s", s->id, s->broken);
        if (r < 0)
                return r;

        *ret = TAKE(s);
        return 0;
}

/* --- the file as a whole */

static bool is_usable(const StorageConfig *s)
{
        return s->type && !s->broken;
}

static int compare_ids(const void *a, const void *b)
{
        const StorageConfig *const *x = a, *const *y = b;
        int r = strcmp((*x)->id, (*y)->id);

        return r ? r : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

/* One storage for each id: the last, but one that can be used is not given up for one that can't. */
static int drop_duplicates(Config *c, SectionFile *f)
{
        AUTO(freep) StorageConfig **sorted = NULL;
        size_t kept = 0;
        int r = 0;

        if (c->n_storages < 2)
                return 0;
        sorted = calloc(c->n_storages, sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, c->storages, c->n_storages * sizeof(*sorted));
        qsort(sorted, c->n_storages, sizeof(*sorted), compare_ids);
        for (size_t i = 1; i < c->n_storages && r == 0; i++) {
                StorageConfig *first = sorted[i - 1], *second = sorted[i];
                bool keep_first = is_usable(first) && !is_usable(second);

                if (!str_eq(first->id, second->id))
                        continue;
                r = section_file_warn(f, second->line,
                                      "storage '%s' is already defined in line %u: %s definition is ignored",
                                      second->id, first->line, keep_first ? "this" : "that");
                if (keep_first)
                        sorted[i] = first; /* to be compared with the next */
                (keep_first ? second : first)->line = 0;
        }
        for (size_t i = 0; i < c->n_storages; i++) {
                if (c->storages[i]->line == 0)
                        storage_config_free(c->storages[i]);
                else
                        c->storages[kept++] = c->storages[i];
        }
        c->n_storages = kept;
        return r;
}

static int new_local(StorageConfig **ret, const Schema *schema, unsigned line)
{
        static const struct storaged_pair pairs[] = {
                { "content", "backup,images,iso,rootdir,snippets,vztmpl" },
                { "path", CONFIG_LOCAL_PATH },
                { "prune-backups", "keep-all=1" },
        };
        AUTO(storage_config_freep) StorageConfig *s = NULL;
        int r;

        r = storage_config_new(&s, CONFIG_LOCAL_ID, "dir", schema_find(schema, "dir"), line);
        for (size_t i = 0; r == 0 && i < sizeof(pairs) / sizeof(pairs[0]); i++)
                r = storage_config_add(s, pairs[i].key, pairs[i].value, 0, PAIR_DEFAULT);
        if (r == 0)
                r = storage_config_finish(s, false);
        if (r < 0)
                return r;

        *ret = TAKE(s);
        return 0;
}

/* `local` is the directory /var/lib/vz on every node, whatever the file says. */
static int ensure_local(Config *c, const Schema *schema, SectionFile *f)
{
        StorageConfig *local = NULL;
        size_t at;
        int r;

        for (at = 0; at < c->n_storages; at++)
                if (str_eq(c->storages[at]->id, CONFIG_LOCAL_ID))
                        break;
        if (at == c->n_storages) {
                r = new_local(&local, schema, 0);
                if (r < 0)
                        return r;
                memmove(c->storages + 1, c->storages,
                        c->n_storages * sizeof(*c->storages)); /* there is room for one more */
                c->storages[0] = local;
                c->n_storages++;
                return 0;
        }
        if (is_usable(c->storages[at]) && str_eq(c->storages[at]->type_name, "dir") &&
            str_eq(storage_config_get(c->storages[at], "path"), CONFIG_LOCAL_PATH))
                return 0;
        r = section_file_warn(f, c->storages[at]->line,
                              "storage 'local' is always the directory " CONFIG_LOCAL_PATH
                              ": this definition has no effect");
        if (r == 0)
                r = new_local(&local, schema, c->storages[at]->line);
        if (r < 0)
                return r;
        local->in_file = c->storages[at];
        c->storages[at] = local;
        return 0;
}

/* By line, those of one line in the order they were made. At most SECTION_WARNINGS_MAX + 1 of them. */
static void sort_warnings(SectionFile *f)
{
        for (size_t i = 1; i < f->n_warnings; i++) {
                SectionWarning w = f->warnings[i];
                size_t j = i;

                if (w.line == 0)
                        continue;
                for (; j > 0 && f->warnings[j - 1].line > w.line; j--)
                        f->warnings[j] = f->warnings[j - 1];
                f->warnings[j] = w;
        }
}

int config_parse(const Schema *schema, const char *text, size_t len, Config **ret)
{
        AUTO(config_freep) Config *c = calloc(1, sizeof(*c));
        SectionFile f = SECTION_FILE_INIT;
        int r;

        if (!c)
                return -ENOMEM;
        digest_sha1_hex(text ? text : "", len, c->digest);
        r = section_file_parse(text ? text : "", len, &f);
        if (r < 0)
                return r;
        c->storages = calloc(f.n_sections + 1, sizeof(*c->storages)); /* one more for `local` */
        if (!c->storages)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < f.n_sections; i++) {
                StorageConfig *s = NULL;

                r = read_section(&s, schema, &f.sections[i], &f);
                if (r == 0 && s)
                        c->storages[c->n_storages++] = s;
        }
        if (r == 0)
                r = drop_duplicates(c, &f);
        if (r == 0)
                r = ensure_local(c, schema, &f);
        if (r == 0) {
                sort_warnings(&f);
                c->warnings = f.warnings;
                c->n_warnings = f.n_warnings;
                f.warnings = NULL;
                f.n_warnings = 0;
        }
        section_file_deinit(&f);
        if (r < 0)
                return r;

        *ret = TAKE(c);
        return 0;
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_storages; i++)
                storage_config_free(c->storages[i]);
        free(c->storages);
        for (size_t i = 0; i < c->n_warnings; i++)
                free(c->warnings[i].text);
        free(c->warnings);
        free(c);
        return NULL;
}
