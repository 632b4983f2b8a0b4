/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which backups a rule keeps. The backups of one guest are gone through once per rule, newest first, in runs of one
 * period (hour, day, … in local time). A period that already holds a backup kept by an earlier rule is passed over; of
 * any other one the newest that is still undecided is kept and the rest goes, until the rule has its number.
 * What no rule has kept in the end goes. Whatever fails here, nothing is marked for removal by mistake.
 */
#include "core/prune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <storaged/cleanup.h>

#include "base/parse.h"
#include "base/str.h"

static const char keep[] = "keep", removed[] = "remove";

static const struct {
        const char *name;
        size_t offset;
} rule_keys[] = {
        /* keep-all is none of them */
        { "keep-last", offsetof(PruneRule, last) },       { "keep-hourly", offsetof(PruneRule, hourly) },
        { "keep-daily", offsetof(PruneRule, daily) },     { "keep-weekly", offsetof(PruneRule, weekly) },
        { "keep-monthly", offsetof(PruneRule, monthly) }, { "keep-yearly", offsetof(PruneRule, yearly) },
};
#define N_KEYS (sizeof(rule_keys) / sizeof(rule_keys[0]))

static uint64_t *rule_value(PruneRule *rule, size_t i)
{
        return (uint64_t *) (void *) ((char *) rule + rule_keys[i].offset);
}

/* One "key=value"; `seen` has a bit per key, the last for keep-all. */
static int rule_parse_part(char *part, PruneRule *rule, unsigned *seen, struct storaged_error *err)
{
        char *value = strchr(part, '=');
        size_t i;
        int r;

        if (!value)
                return error_set_param(err, -EINVAL, "prune-backups",
                                       "'%.64s' is not key=value, as in keep-last=3,keep-daily=7", part);
        *value++ = '\0';
        for (i = 0; i < N_KEYS && strcmp(part, rule_keys[i].name) != 0; i++)
                ;
        if (i == N_KEYS && strcmp(part, "keep-all") != 0)
                return error_set_param(
                        err, -EINVAL, "prune-backups",
                        "unknown key '%.64s': known are keep-all, keep-last, keep-hourly, keep-daily, keep-weekly, "
                        "keep-monthly and keep-yearly",
                        part);
        if (*seen & 1u << i)
                return error_set_param(err, -EINVAL, "prune-backups", "'%s' is given twice", part);
        *seen |= 1u << i;
        r = i == N_KEYS ? parse_bool(value, &rule->keep_all) : parse_u64(value, rule_value(rule, i));
        if (r < 0)
                return error_set_param(err, -EINVAL, "prune-backups", "value '%.64s' of %s is not a %s", value, part,
                                       i == N_KEYS ? "boolean" : "number");
        return 0;
}

int prune_rule_parse(const char *text, PruneRule *ret, struct storaged_error *err)
{
        AUTO(freep) char *copy = strdup(text);
        char *save = NULL;
        PruneRule rule = { 0 };
        unsigned seen = 0;
        bool any = false;

        if (!copy)
                return error_set(err, -ENOMEM, "out of memory");
        for (char *part = strtok_r(copy, ", \t", &save); part; part = strtok_r(NULL, ", \t", &save)) {
                int r = rule_parse_part(part, &rule, &seen, err);

                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < N_KEYS; i++)
                any = any || *rule_value(&rule, i) > 0;
        if (any && rule.keep_all)
                return error_set_param(err, -EINVAL, "prune-backups",
                                       "keep-all can't be given together with other keep-… values");
        if (!any)
                rule.keep_all = true;
        *ret = rule;
        return 0;
}

enum { PERIOD_LAST, PERIOD_HOUR, PERIOD_DAY, PERIOD_WEEK, PERIOD_MONTH, PERIOD_YEAR, PERIOD_MAX };

typedef struct Entry {
        PruneBackup *backup;
        int64_t period[PERIOD_MAX];
} Entry;

/* ISO 8601: weeks begin on Monday, week 1 holds the year's first Thursday. */
static int64_t iso_week(const struct tm *tm)
{
        int weekday = (tm->tm_wday + 6) % 7, year = tm->tm_year + 1900;
        int thursday = tm->tm_yday - weekday + 3; /* the week belongs to the year of its Thursday */
        bool leap;

        if (thursday < 0) {
                year--;
                leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                thursday += leap ? 366 : 365;
        } else {
                leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                if (thursday >= (leap ? 366 : 365)) {
                        year++;
                        thursday = 0;
                }
        }
        return (int64_t) year * 100 + thursday / 7;
}

static void entry_init(Entry *e, PruneBackup *backup)
{
        time_t t = (time_t) backup->ctime;
        struct tm tm = { 0 };

        (void) localtime_r(&t, &tm);
        e->backup = backup;
        e->period[PERIOD_LAST] = backup->ctime;
        e->period[PERIOD_YEAR] = tm.tm_year;
        e->period[PERIOD_MONTH] = (int64_t) tm.tm_year * 12 + tm.tm_mon;
        e->period[PERIOD_WEEK] = iso_week(&tm);
        e->period[PERIOD_DAY] = (int64_t) tm.tm_year * 366 + tm.tm_yday;
        e->period[PERIOD_HOUR] = e->period[PERIOD_DAY] * 24 + tm.tm_hour;
}

/* By group, then newest first, then by name. */
static int entry_compare(const void *a, const void *b)
{
        const PruneBackup *x = ((const Entry *) a)->backup, *y = ((const Entry *) b)->backup;
        int c = strcmp(x->group, y->group);

        if (c != 0)
                return c;
        if (x->ctime != y->ctime)
                return x->ctime > y->ctime ? -1 : 1;
        return strcmp(x->volid, y->volid);
}

static void mark_run(Entry *run, size_t n)
{
        const char *mark = keep;

        for (size_t i = 0; i < n; i++) {
                if (run[i].backup->mark)
                        continue;
                run[i].backup->mark = mark;
                mark = removed;
        }
}

/* One rule over one group. */
static void mark_period(Entry *entries, size_t n, int period, uint64_t count)
{
        for (size_t from = 0, to; from < n && count > 0; from = to) {
                bool has_kept = false, has_open = false;

                for (to = from; to < n && entries[to].period[period] == entries[from].period[period]; to++) {
                        has_kept = has_kept || entries[to].backup->mark == keep;
                        has_open = has_open || !entries[to].backup->mark;
                }
                if (has_kept || !has_open)
                        continue;
                mark_run(entries + from, to - from);
                count--;
        }
}

static void mark_group(const PruneRule *rule, Entry *entries, size_t n)
{
        const uint64_t counts[PERIOD_MAX] = { rule->last,   rule->hourly,  rule->daily,
                                              rule->weekly, rule->monthly, rule->yearly };

        for (int period = 0; period < PERIOD_MAX; period++)
                mark_period(entries, n, period, counts[period]);
        for (size_t i = 0; i < n; i++)
                if (!entries[i].backup->mark)
                        entries[i].backup->mark = removed;
}

void prune_mark(const PruneRule *rule, PruneBackup *backups, size_t n)
{
        AUTO(freep) Entry *entries = calloc(n ? n : 1, sizeof(*entries));
        size_t n_entries = 0;
        /* An empty rule and a lack of memory must not mean "remove all". */
        bool keep_all = !entries || rule->keep_all ||
                        !(rule->last || rule->hourly || rule->daily || rule->weekly || rule->monthly || rule->yearly);

        for (size_t i = 0; i < n; i++) {
                PruneBackup *b = &backups[i];

                b->mark = b->is_protected ? "protected" : !b->group ? "renamed" : keep_all ? keep : NULL;
                if (!b->mark)
                        entry_init(&entries[n_entries++], b);
        }
        if (n_entries == 0)
                return;
        qsort(entries, n_entries, sizeof(*entries), entry_compare);
        for (size_t from = 0, to; from < n_entries; from = to) {
                for (to = from; to < n_entries && strcmp(entries[to].backup->group, entries[from].backup->group) == 0;
                     to++)
                        ;
                mark_group(rule, entries + from, to - from);
        }
}
