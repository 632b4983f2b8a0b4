/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rule's text, the marks it gives, and names of backups. The marks' cases are written as times and marks side by
 * side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <storaged/cleanup.h>

#include "core/backup-name.h"
#include "core/prune.h"

static void zone(const char *tz)
{
        assert_int_equal(setenv("TZ", tz, 1), 0);
        tzset();
}

static int setup(void **state)
{
        (void) state;
        zone("UTC");
        return 0;
}

/* "2026-11-21 10:00" in the zone that is set. */
static int64_t at(const char *text)
{
        struct tm tm = { .tm_isdst = -1 };

        assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min),
                         5);
        tm.tm_year -= 1900;
        tm.tm_mon--;
        return (int64_t) mktime(&tm);
}

static PruneRule rule(const char *text)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        PruneRule r = { 0 };

        assert_int_equal(prune_rule_parse(text, &r, &err), 0);
        return r;
}

typedef struct Case {
        const char *time, *mark;
} Case;

/* Given newest first, marked in the given and in the reverse order of input. */
static void check(const char *text, const Case *cases)
{
        PruneRule r = rule(text);
        PruneBackup b[64];
        char volids[64][32];
        size_t n = 0;

        for (; cases[n].time; n++)
                (void) snprintf(volids[n], sizeof(volids[n]), "s:backup/%03zu", n);
        for (int reverse = 0; reverse < 2; reverse++) {
                for (size_t i = 0; i < n; i++)
                        b[reverse ? n - 1 - i : i] =
                                (PruneBackup){ volids[i], "qemu/100", at(cases[i].time), false, NULL };
                prune_mark(&r, b, n);
                for (size_t i = 0; i < n; i++) {
                        const char *mark = b[reverse ? n - 1 - i : i].mark;

                        if (strcmp(mark, cases[i].mark) != 0)
                                fail_msg("%s: %s is marked %s, not %s", text, cases[i].time, mark, cases[i].mark);
                }
        }
}
#define CHECK(text, ...) check(text, (const Case[]){ __VA_ARGS__, { NULL, NULL } })

static void rule_reads_all_keys(void **state)
{
        PruneRule r = rule("keep-last=1,keep-hourly=2,keep-daily=3, keep-weekly=4,keep-monthly=5,keep-yearly=6");

        (void) state;
        assert_int_equal(r.last, 1);
        assert_int_equal(r.hourly, 2);
        assert_int_equal(r.daily, 3);
        assert_int_equal(r.weekly, 4);
        assert_int_equal(r.monthly, 5);
        assert_int_equal(r.yearly, 6);
        assert_false(r.keep_all);
}

static void rule_of_zeros_keeps_all(void **state)
{
        (void) state;
        assert_true(rule("").keep_all);
        assert_true(rule("keep-last=0").keep_all);
        assert_true(rule("keep-last=0,keep-daily=0").keep_all);
        assert_true(rule("keep-all=1").keep_all);
        assert_true(rule("keep-all=1,keep-last=0").keep_all);
        assert_true(rule("keep-all=0").keep_all);
        assert_false(rule("keep-all=0,keep-last=1").keep_all);
}

static void rule_refuses_what_it_does_not_know(void **state)
{
        static const char *const bad[] = { "keep-last",
                                           "keep-last=",
                                           "keep-last=x",
                                           "keep-last=-1",
                                           "keep-last=1.5",
                                           "keep-foo=1",
                                           "keep-all=1,keep-last=1",
                                           "keep-last=1,keep-all=1",
                                           "keep-last=1,keep-last=2",
                                           "keep-all=2",
                                           "keep-all",
                                           "last=1",
                                           "keep-last=1;keep-daily=1",
                                           "=1",
                                           "keep-last=99999999999999999999" };

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                PruneRule r = { .last = 77 };

                if (prune_rule_parse(bad[i], &r, &err) != -EINVAL)
                        fail_msg("'%s' was taken", bad[i]);
                assert_string_equal(err.param, "prune-backups");
                assert_true(err.text[0]);
                assert_int_equal(r.last, 77);
        }
}

static void last_keeps_the_newest(void **state)
{
        (void) state;
        CHECK("keep-last=2", { "2026-03-03 10:02", "keep" }, { "2026-03-03 10:01", "keep" },
              { "2026-03-03 10:00", "remove" });
        CHECK("keep-last=9", { "2026-03-03 10:02", "keep" }, { "2026-03-03 10:01", "keep" });
}

static void hourly_keeps_the_newest_of_an_hour(void **state)
{
        (void) state;
        CHECK("keep-hourly=2", { "2026-03-03 10:50", "keep" }, { "2026-03-03 10:00", "remove" },
              { "2026-03-03 09:59", "keep" }, { "2026-03-03 09:00", "remove" }, { "2026-03-03 08:59", "remove" });
}

static void daily_skips_days_without_backups(void **state)
{
        (void) state;
        CHECK("keep-daily=2", { "2026-03-03 23:59", "keep" }, { "2026-03-03 00:00", "remove" },
              { "2026-02-20 12:00", "keep" }, { "2026-02-19 12:00", "remove" });
}

static void weekly_goes_by_iso_weeks(void **state)
{
        (void) state;
        /* Monday to Sunday */
        CHECK("keep-weekly=2", { "2026-03-09 10:00", "keep" }, { "2026-03-08 10:00", "keep" },
              { "2026-03-02 10:00", "remove" }, { "2026-03-01 10:00", "remove" });
        /* 2026-12-28 to 2027-01-03 is week 53 of 2026 */
        CHECK("keep-weekly=2", { "2027-01-04 10:00", "keep" }, { "2027-01-03 10:00", "keep" },
              { "2026-12-31 10:00", "remove" }, { "2026-12-28 10:00", "remove" }, { "2026-12-27 10:00", "remove" });
        /* 2024-12-30 is already in week 1 of 2025 */
        CHECK("keep-weekly=2", { "2025-01-05 10:00", "keep" }, { "2024-12-30 10:00", "remove" },
              { "2024-12-29 10:00", "keep" });
}

static void iso_weeks_agree_with_the_library(void **state)
{
        PruneRule r = rule("keep-weekly=1000000");
        enum { DAYS = 20000 };
        PruneBackup *b = calloc(DAYS, sizeof(*b));

        (void) state;
        for (int i = 0; i < DAYS; i++) /* from 1990, one a day */
                b[i] = (PruneBackup){ "v", "qemu/1", 631152000 + i * INT64_C(86400) + 3600, false, NULL };
        prune_mark(&r, b, DAYS);
        for (int i = 0; i < DAYS - 1; i++) {
                time_t t = (time_t) b[i].ctime, next = (time_t) b[i + 1].ctime;
                char week[16], week_next[16];
                struct tm tm;

                (void) strftime(week, sizeof(week), "%G-%V", localtime_r(&t, &tm));
                (void) strftime(week_next, sizeof(week_next), "%G-%V", localtime_r(&next, &tm));
                assert_string_equal(b[i].mark, strcmp(week, week_next) == 0 ? "remove" : "keep");
        }
        free(b);
}

static void monthly_and_yearly(void **state)
{
        (void) state;
        CHECK("keep-monthly=2", { "2026-03-01 00:00", "keep" }, { "2026-02-28 23:00", "keep" },
              { "2026-02-01 23:00", "remove" }, { "2025-03-01 00:00", "remove" });
        CHECK("keep-yearly=2", { "2026-03-01 00:00", "keep" }, { "2026-01-01 00:00", "remove" },
              { "2025-12-31 00:00", "keep" }, { "2024-03-01 00:00", "remove" });
}

static void a_covered_period_is_not_counted(void **state)
{
        (void) state;
        /* today is covered by keep-last: the two daily ones are the days before */
        CHECK("keep-last=1,keep-daily=2", { "2026-03-05 10:00", "keep" }, { "2026-03-05 09:00", "remove" },
              { "2026-03-04 10:00", "keep" }, { "2026-03-04 09:00", "remove" }, { "2026-03-03 10:00", "keep" },
              { "2026-03-02 10:00", "remove" });
        /* the week, the month and the year of what the days keep are covered */
        CHECK("keep-daily=2,keep-weekly=1,keep-monthly=1,keep-yearly=1", { "2026-03-12 10:00", "keep" },
              { "2026-03-11 10:00", "keep" }, { "2026-03-10 10:00", "remove" }, { "2026-03-07 10:00", "keep" },
              { "2026-03-03 10:00", "remove" }, { "2026-02-20 10:00", "keep" }, { "2026-01-20 10:00", "remove" },
              { "2025-06-01 10:00", "keep" }, { "2025-05-01 10:00", "remove" }, { "2024-05-01 10:00", "remove" });
}

static void what_a_rule_removes_a_later_one_does_not_keep(void **state)
{
        (void) state;
        /* Both of 2026-03-01 are of a day that keep-daily fills; the older one is not taken as the week's. */
        CHECK("keep-daily=1,keep-weekly=2", { "2026-03-01 12:00", "keep" }, { "2026-03-01 11:00", "remove" },
              { "2026-02-21 10:00", "keep" }, { "2026-02-14 10:00", "keep" }, { "2026-02-07 10:00", "remove" });
}

static void a_week_over_two_months_leaves_the_month_open(void **state)
{
        (void) state;
        /* The week of 2026-03-01 (Sunday) is covered by the backup of that day; February is not. */
        CHECK("keep-weekly=1,keep-monthly=1", { "2026-03-01 10:00", "keep" }, { "2026-02-28 10:00", "remove" },
              { "2026-02-20 10:00", "keep" }, { "2026-02-10 10:00", "remove" });
}

static void a_year_of_daily_backups(void **state)
{
        static char times[400][32];
        PruneRule r = rule("keep-last=3,keep-daily=7,keep-weekly=4,keep-monthly=12,keep-yearly=1");
        PruneBackup b[400];
        size_t n_kept = 0;

        (void) state;
        for (int i = 0; i < 400; i++) {
                (void) snprintf(times[i], sizeof(times[i]), "v%03d", i);
                b[i] = (PruneBackup){ times[i], "lxc/200", at("2026-06-15 02:00") - i * INT64_C(86400), false, NULL };
        }
        prune_mark(&r, b, 400);
        for (int i = 0; i < 400; i++)
                n_kept += strcmp(b[i].mark, "keep") == 0;
        /* 3 last; 7 more days; 4 more weeks; 12 more months (from April 2026 back); the one year left has no backup
         * uncovered */
        assert_int_equal(n_kept, 3 + 7 + 4 + 12);
        for (int i = 0; i < 10; i++)
                assert_string_equal(b[i].mark, "keep");
        assert_string_equal(b[10].mark, "remove");
}

static void groups_are_judged_by_themselves(void **state)
{
        PruneRule r = rule("keep-last=1");
        PruneBackup b[] = {
                { "a", "qemu/100", 1000, false, NULL },
                { "b", "lxc/100", 900, false, NULL },
                { "c", "qemu/101", 800, false, NULL },
                { "d", "qemu/100", 700, false, NULL },
        };

        (void) state;
        prune_mark(&r, b, 4);
        assert_string_equal(b[0].mark, "keep");
        assert_string_equal(b[1].mark, "keep");
        assert_string_equal(b[2].mark, "keep");
        assert_string_equal(b[3].mark, "remove");
}

static void protected_and_renamed_ones_stay_and_do_not_count(void **state)
{
        PruneRule r = rule("keep-last=1");
        PruneBackup b[] = {
                { "a", "qemu/100", 1000, true, NULL }, { "b", NULL, 950, false, NULL },
                { "c", "qemu/100", 900, false, NULL }, { "d", "qemu/100", 800, false, NULL },
                { "e", "qemu/100", 700, true, NULL },  { "f", NULL, 600, true, NULL },
        };
        static const char *const marks[] = { "protected", "renamed", "keep", "remove", "protected", "protected" };

        (void) state;
        prune_mark(&r, b, 6);
        for (size_t i = 0; i < 6; i++)
                assert_string_equal(b[i].mark, marks[i]);
}

static void keep_all_keeps_all(void **state)
{
        PruneRule r = rule("keep-all=1"), garbage;
        PruneBackup b[] = { { "a", "qemu/100", 1000, false, NULL }, { "b", NULL, 900, false, NULL } };

        (void) state;
        prune_mark(&r, b, 2);
        assert_string_equal(b[0].mark, "keep");
        assert_string_equal(b[1].mark, "renamed");
        /* a rule of zeros whose padding is not zero */
        memset(&garbage, 0xff, sizeof(garbage));
        garbage.keep_all = false;
        garbage.last = garbage.hourly = garbage.daily = garbage.weekly = garbage.monthly = garbage.yearly = 0;
        prune_mark(&garbage, b, 2);
        assert_string_equal(b[0].mark, "keep");
        prune_mark(&r, NULL, 0);
}

static void days_are_those_of_the_local_zone(void **state)
{
        /* 23:30 and 00:30 UTC: two days there, one in Berlin */
        const int64_t late = 1772407800 /* 2026-03-01 23:30 UTC */, early = late + 3600;
        PruneRule r = rule("keep-daily=2");
        PruneBackup b[] = { { "a", "qemu/100", early, false, NULL }, { "b", "qemu/100", late, false, NULL } };

        (void) state;
        prune_mark(&r, b, 2);
        assert_string_equal(b[1].mark, "keep");
        zone("Europe/Berlin");
        prune_mark(&r, b, 2);
        assert_string_equal(b[0].mark, "keep");
        assert_string_equal(b[1].mark, "remove");
        zone("UTC");
}

static void hour_that_comes_twice_is_one(void **state)
{
        const int64_t first = 1792886400 + 1800; /* 2026-10-25 02:30 CEST = 00:30 UTC */
        PruneRule r = rule("keep-hourly=5");
        PruneBackup b[] = { { "a", "qemu/100", first + 3600, false, NULL }, { "b", "qemu/100", first, false, NULL } };

        (void) state;
        zone("CET-1CEST,M3.5.0,M10.5.0/3");
        prune_mark(&r, b, 2);
        assert_string_equal(b[0].mark, "keep");
        assert_string_equal(b[1].mark, "remove");
        zone("UTC");
}

static void names_of_backups(void **state)
{
        static const struct {
                const char *name, *type;
                uint32_t vmid;
                const char *time; /* NULL: not standard */
        } rows[] = {
                { "vzdump-qemu-100-2026_11_21-10_00_00.vma.zst", "qemu", 100, "2026-11-21 10:00" },
                { "vzdump-lxc-999999999-2026_01_31-23_59_00.tar", "lxc", 999999999, "2026-01-31 23:59" },
                { "vzdump-openvz-101-2012_02_29-00_00_00.tgz", "openvz", 101, "2012-02-29 00:00" },
                { "vzdump-qemu-100-2026_11_21-10_00_00-mine.vma.zst", "qemu", 100, NULL },
                { "vzdump-qemu-100-before-upgrade.vma", "qemu", 100, NULL },
                { "vzdump-qemu-100-2026_02_31-10_00_00.vma", "qemu", 100, NULL },
                { "vzdump-qemu-100-2026_13_01-10_00_00.vma", "qemu", 100, NULL },
                { "vzdump-qemu-100-2026_11_21-24_00_00.vma", "qemu", 100, NULL },
                { "vzdump-qemu-100-2026_11_21-10_00_00.txt", "qemu", 100, NULL },
                { "vzdump-qemu-100-2026_11_21-10_00_00", "qemu", 100, NULL },
                { "vzdump-qemu-100-", "qemu", 100, NULL },
                { "vzdump-qemu-100", "qemu", 0, NULL },
                { "vzdump-qemu-099-2026_11_21-10_00_00.vma", "qemu", 0, NULL },
                { "vzdump-kvm-100-2026_11_21-10_00_00.vma", "unknown", 0, NULL },
                { "backup.tar", "unknown", 0, NULL },
                { "", "unknown", 0, NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                BackupName n;

                backup_name_parse(rows[i].name, &n);
                assert_string_equal(n.type, rows[i].type);
                assert_int_equal(n.vmid, rows[i].vmid);
                assert_int_equal(n.is_standard, rows[i].time != NULL);
                if (rows[i].time)
                        assert_int_equal(n.ctime, at(rows[i].time));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rule_reads_all_keys),
                cmocka_unit_test(rule_of_zeros_keeps_all),
                cmocka_unit_test(rule_refuses_what_it_does_not_know),
                cmocka_unit_test(last_keeps_the_newest),
                cmocka_unit_test(hourly_keeps_the_newest_of_an_hour),
                cmocka_unit_test(daily_skips_days_without_backups),
                cmocka_unit_test(weekly_goes_by_iso_weeks),
                cmocka_unit_test(iso_weeks_agree_with_the_library),
                cmocka_unit_test(monthly_and_yearly),
                cmocka_unit_test(a_covered_period_is_not_counted),
                cmocka_unit_test(what_a_rule_removes_a_later_one_does_not_keep),
                cmocka_unit_test(a_week_over_two_months_leaves_the_month_open),
                cmocka_unit_test(a_year_of_daily_backups),
                cmocka_unit_test(groups_are_judged_by_themselves),
                cmocka_unit_test(protected_and_renamed_ones_stay_and_do_not_count),
                cmocka_unit_test(keep_all_keeps_all),
                cmocka_unit_test(days_are_those_of_the_local_zone),
                cmocka_unit_test(hour_that_comes_twice_is_one),
                cmocka_unit_test(names_of_backups),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
