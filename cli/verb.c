/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding a command by what was typed. An exact name wins; a prefix must be unique, where Proxmox VE's own
 * commands come before ours: what was a unique prefix there stays one, however many commands we add.
 */
#include "cli/verb.h"

#include <string.h>

static bool is_prefix(const char *name, const char *word, size_t len)
{
        return len > 0 && strncmp(name, word, len) == 0;
}

typedef struct Match {
        const char *word; /* a first word, or a second behind a group */
        size_t len;
        bool is_pve;
        unsigned n_all, n_pve;
        const char *all, *pve; /* the last that fits, as it starts in the table */
        StrBuf *candidates;
} Match;

/* Does `name` (of `len` bytes) fit? Counts names, not rows: a group has many. */
static void match_one(Match *m, const char *name, size_t len, bool is_pve)
{
        const char *last = is_pve ? m->pve : m->all;
        bool is_new = !last || strncmp(last, name, len) != 0 || (last[len] != '\0' && last[len] != ' ');

        if (!is_prefix(name, m->word, m->len) || m->len > len || !is_new)
                return;
        if (is_pve) {
                m->pve = name;
                m->n_pve++;
        } else {
                m->all = name;
                m->n_all++;
        }
        if (m->candidates)
                strbuf_addf(m->candidates, "%s%.*s", m->candidates->len ? " " : "", (int) len, name);
}

/* The start in the table of the one name that the word means, NULL with an answer else. */
static const char *match_end(const Match *m, int *ret_answer)
{
        const char *name = m->n_pve == 1 ? m->pve : m->n_pve == 0 && m->n_all == 1 ? m->all : NULL;

        *ret_answer = name ? VERB_FOUND : m->n_pve + m->n_all > 1 ? VERB_E_AMBIGUOUS : VERB_E_UNKNOWN;
        return name;
}

static size_t word_len(const char *name)
{
        return strcspn(name, " ");
}

/*
 * One more word of a command whose name so far is `prefix` (of `len` bytes, with the space behind it): exact, else a
 * prefix, Proxmox VE's own before ours. The word as it starts in the table, or NULL.
 */
static const char *find_word(const char *prefix, size_t len, const char *word, StrBuf *candidates, int *ret_answer)
{
        Match m = { .word = word ? word : "", .len = word ? strlen(word) : 0, .candidates = candidates };

        if (candidates)
                candidates->len = 0;
        *ret_answer = VERB_FOUND;
        VERB_EACH (v)
                if (strncmp(v->name, prefix, len) == 0 && word_len(v->name + len) == m.len &&
                    strncmp(v->name + len, m.word, m.len) == 0)
                        return v->name + len;
        VERB_EACH (v)
                if (strncmp(v->name, prefix, len) == 0 && !(v->flags & VERB_ALIAS))
                        match_one(&m, v->name + len, word_len(v->name + len), v->flags & VERB_PVE);
        return match_end(&m, ret_answer);
}

/* The command whose whole name is the first `len` bytes; NULL: only a group begins so. */
static const Verb *find_whole(const char *name, size_t len)
{
        VERB_EACH (v)
                if (strlen(v->name) == len && strncmp(v->name, name, len) == 0)
                        return v;
        return NULL;
}

int verb_find(const char *const *words, size_t n_words, const Verb **ret, size_t *ret_used, StrBuf *candidates)
{
        const char *name = "";
        size_t len = 0;

        if (n_words == 0)
                return VERB_E_NONE;
        for (size_t i = 0;; i++) {
                int answer;
                const char *word = find_word(name, len, i < n_words ? words[i] : NULL, candidates, &answer);
                const Verb *found;

                if (!word)
                        return i == 0 || answer == VERB_E_AMBIGUOUS ? answer : VERB_E_GROUP;
                name = word - len; /* the row that the word is in */
                len += word_len(word);
                found = find_whole(name, len);
                if (found) {
                        *ret = found;
                        *ret_used = i + 1;
                        return VERB_FOUND;
                }
                len++;
        }
}

const Param *verb_find_param(const Verb *v, const char *name)
{
        for (const Param *p = v->params; p && p->name; p++)
                if (str_eq(p->name, name))
                        return p;
        return NULL;
}

bool verb_prints_data(const Verb *v)
{
        return v->show || (v->run && (v->flags & VERB_DATA));
}

bool verb_has_options(const Verb *v)
{
        if (v->flags & VERB_OPEN)
                return true;
        for (const Param *p = v->params; p && p->name; p++)
                if (!(p->flags & PARAM_POSITIONAL))
                        return true;
        return verb_prints_data(v);
}

char *verb_usage(const Verb *v)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        strbuf_addf(&b, "pvesm %s", v->name);
        for (const Param *p = v->params; p && p->name; p++) {
                if (p->flags & PARAM_POSITIONAL)
                        strbuf_addf(&b, p->flags & PARAM_OPTIONAL ? " [<%s>]" : " <%s>", p->name);
                else if (p->flags & PARAM_REQUIRED)
                        strbuf_addf(&b, " --%s <%s>", p->name, param_hint(p));
        }
        if (verb_has_options(v))
                strbuf_adds(&b, " [OPTIONS]");
        return strbuf_take(&b);
}

const char *param_hint(const Param *p)
{
        static const char *const words[] = {
                [PARAM_STRING] = "string", [PARAM_BOOLEAN] = "boolean", [PARAM_INTEGER] = "integer",
                [PARAM_LIST] = "list",     [PARAM_SECRET] = "password", [PARAM_FILE] = "file",
        };

        return p->hint ? p->hint : words[p->type];
}
