/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, and how words find a row of it. */
#include "cli/verb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <storaged/cleanup.h>

#include "cli/complete.h"
#include "cli/man.h"

static int find(const char *a, const char *b, const char **ret_name, size_t *ret_used)
{
        const char *words[] = { a, b };
        const Verb *v = NULL;
        size_t used = 0;
        int r = verb_find(words, b ? 2 : 1, &v, &used, NULL);

        *ret_name = v ? v->name : "";
        *ret_used = used;
        return r;
}

static void words_find_rows(void **state)
{
        static const struct {
                const char *a, *b, *name;
                int answer;
        } rows[] = {
                { "status", NULL, "status", 0 },
                { "sta", NULL, "status", 0 },
                { "st", NULL, "status", 0 },
                { "re", NULL, "remove", 0 },         /* not our resize, rename, repair */
                { "a", NULL, "", VERB_E_AMBIGUOUS }, /* add, alloc, apiinfo: Proxmox VE's own quarrel */
                { "h", NULL, "help", 0 },            /* not our health, holders */
                { "i", NULL, "import", 0 },          /* not our info */
                { "inf", NULL, "info", 0 },
                { "t", NULL, "", VERB_E_AMBIGUOUS }, /* task, template */
                { "ta", "li", "task list", 0 },
                { "task", "l", "", VERB_E_AMBIGUOUS }, /* list, log */
                { "p", NULL, "", VERB_E_AMBIGUOUS },
                { "snapshot", NULL, "snapshot", 0 }, /* and not snapshots */
                { "scan", "nfs", "scan nfs", 0 },
                { "sc", "n", "scan nfs", 0 },
                { "scan", "lvm", "scan lvm", 0 },
                { "scan", NULL, "", VERB_E_GROUP },
                { "scan", "nosuch", "", VERB_E_GROUP },
                { "config", "check", "config check", 0 },
                { "nfsscan", NULL, "nfsscan", 0 },
                { "nfss", NULL, "", VERB_E_UNKNOWN }, /* old names only when written out */
                { "nosuch", NULL, "", VERB_E_UNKNOWN },
                { "", NULL, "", VERB_E_UNKNOWN },
                { "statusx", NULL, "", VERB_E_UNKNOWN },
                { "--help", NULL, "", VERB_E_UNKNOWN },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *name;
                size_t used;
                int r = find(rows[i].a, rows[i].b, &name, &used);

                if (r != rows[i].answer || strcmp(name, rows[i].name) != 0)
                        fail_msg("'%s %s': answer %d, name '%s'", rows[i].a, rows[i].b ? rows[i].b : "", r, name);
                if (r == VERB_FOUND)
                        assert_int_equal(used, strchr(name, ' ') ? 2 : 1);
        }
        assert_int_equal(verb_find(NULL, 0, NULL, NULL, NULL), VERB_E_NONE);
}

static void an_ambiguous_word_names_its_candidates(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        const char *words[] = { "t" };
        const Verb *v;
        size_t used;

        (void) state;
        assert_int_equal(verb_find(words, 1, &v, &used, &b), VERB_E_AMBIGUOUS);
        assert_string_equal(b.data, "template task");
}

static void all_commands_of_proxmox_ve_are_there(void **state)
{
        static const char *const usages[] = {
                "pvesm add <type> <storage> [OPTIONS]",
                "pvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]",
                "pvesm export <volume> <format> <filename> [OPTIONS]",
                "pvesm import <volume> <format> <filename> [OPTIONS]",
                "pvesm free <volume> [OPTIONS]",
                "pvesm list <storage> [OPTIONS]",
                "pvesm set <storage> [OPTIONS]",
                "pvesm remove <storage>",
                "pvesm prune-backups <storage> [OPTIONS]",
                "pvesm status [OPTIONS]",
                "pvesm scan nfs <server> [OPTIONS]",
                "pvesm scan iscsi <portal> [OPTIONS]",
                "pvesm scan lvmthin <vg> [OPTIONS]",
                "pvesm lvmscan [OPTIONS]",
                "pvesm cifsscan <server> [OPTIONS]",
                "pvesm apiinfo [OPTIONS]",
                "pvesm extractconfig <volume> [OPTIONS]",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
                bool found = false;

                VERB_EACH (v) {
                        AUTO(freep) char *usage = verb_usage(v);

                        found |= strcmp(usage, usages[i]) == 0;
                }
                if (!found)
                        fail_msg("%s", usages[i]);
        }
}

static void rows_are_whole(void **state)
{
        (void) state;
        VERB_EACH (v) {
                bool options_began = false;

                assert_non_null(v->text);
                assert_non_null(v->params);
                assert_true(v->run || (v->method && v->path));
                for (const Param *p = v->params; p->name; p++) {
                        options_began |= !(p->flags & PARAM_POSITIONAL);
                        if (options_began && (p->flags & PARAM_POSITIONAL))
                                fail_msg("%s: <%s> comes behind an option", v->name, p->name);
                }
        }
}

static char *generated(int (*fn)(FILE *f))
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        assert_int_equal(fn(f), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void manual_and_completion_have_every_command(void **state)
{
        AUTO(freep) char *man = generated(man_write), *bash = generated(complete_write);

        (void) state;
        VERB_EACH (v) {
                AUTO(freep) char *quoted = NULL;

                assert_int_equal(str_printf(&quoted, "'%s')", v->name), 0);
                if (!strstr(bash, quoted))
                        fail_msg("no completion of %s", v->name);
                if (!strstr(man, v->text) && !strchr(v->text, '-') && !strchr(v->text, '\'') && !strchr(v->text, '.'))
                        fail_msg("no manual of %s", v->name);
        }
        assert_non_null(strstr(man, ".SH EXIT STATUS"));
        assert_null(strstr(man, "\n'")); /* would be a request */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_find_rows),
                cmocka_unit_test(an_ambiguous_word_names_its_candidates),
                cmocka_unit_test(all_commands_of_proxmox_ve_are_there),
                cmocka_unit_test(rows_are_whole),
                cmocka_unit_test(manual_and_completion_have_every_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
