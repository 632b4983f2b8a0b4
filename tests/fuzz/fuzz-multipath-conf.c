/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of multipath: the first byte picks the reader. multipath.cfg of the cluster is written by whoever
 * may write there, multipath.conf and the overrides by hand. What multipath.cfg is accepted as has to come out as a
 * drop-in that the other reader understands, key by key, and that says nothing but what was asked for.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "multipath/cfg.c"
#include "multipath/conf.c"
#include "multipath/vpd.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Seen {
        const Cfg *cfg;
        size_t n_wwids, n_values;
} Seen;

static int check_word(void *userdata, const char *section, const char *key, const char *value)
{
        Seen *s = userdata;

        if (strcmp(section, "defaults") != 0 && strcmp(section, "multipaths/multipath") != 0)
                abort(); /* a value broke out of its place */
        if (strchr(key, '-') || strchr(value, '"') || strchr(value, '\n'))
                abort();
        if (strcmp(section, "defaults") == 0)
                return 0;
        if (strcmp(key, "wwid") != 0) {
                s->n_values++;
                return 0;
        }
        if (s->n_wwids >= s->cfg->n_wwids || strcmp(s->cfg->wwids[s->n_wwids++], value) != 0)
                abort();
        return 0;
}

static void try_cfg(const char *text, size_t size)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Cfg c = { 0 };
        Seen seen = { &c, 0, 0 };
        char *drop_in = NULL;
        size_t len = 0, n_own = 0;
        FILE *f;

        if (cfg_parse(text, size, &c, &err) < 0) {
                if (!strncmp(err.text, "line ", 5) || !err.text[0]) /* out of memory says nothing */
                        return;
                abort();
        }
        f = open_memstream(&drop_in, &len);
        cfg_render(&c, NULL, NULL, f);
        (void) fclose(f);
        if (conf_read(drop_in, len, check_word, &seen, &err) != 0 || seen.n_wwids != c.n_wwids)
                abort();
        for (size_t i = 0; i < c.n_pairs; i++)
                n_own += c.pairs[i].section[0] != '\0';
        if (seen.n_values != n_own)
                abort();
        free(drop_in);
        cfg_deinit(&c);
}

static int check_form(void *userdata, const char *section, const char *key, const char *value)
{
        (void) userdata;
        if (!section[0] || strlen(section) >= 3 * 256 || !key[0] || strlen(key) >= 256 || strlen(value) >= 256)
                abort();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *copy;

        if (size < 1)
                return 0;
        copy = malloc(size > 1 ? size - 1 : 1); /* exactly as long as it is: what reads on is found out */
        memcpy(copy, data + 1, size - 1);
        if (data[0] % 2)
                try_cfg(copy, size - 1);
        else
                (void) conf_read(copy, size - 1, check_form, NULL, NULL);
        free(copy);
        return 0;
}
