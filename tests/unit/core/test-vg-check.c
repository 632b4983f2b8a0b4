/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What speaks against making a volume group on a LUN, and which numbers nodes get at sanlock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "core/host-id.h"
#include "core/vg.h"
#include "wire/json.h"
#include "tests/unit/scratch.h"

#define WWID "3600"
#define GOOD                                                                                    \
        "\"size\":1024,\"n_paths\":4,\"n_active\":4,\"state\":\"ok\",\"device\":\"/dev/mapper/" \
        "3600\",\"content\":\"none\""

/* The reasons with `n2` on node n2 and a good LUN on n1. */
static char *reasons(const char *n2, const char *wipe, uint32_t n_paths, bool may_be_open)
{
        AUTO(freep) char *text = NULL;
        StrBuf b = STRBUF_INIT;
        AUTO_JSON *matrix = NULL;
        VgLunNeeds needs = { wipe, n_paths, may_be_open };

        assert_true(asprintf(&text,
                             "{\"nodes\":[{\"node\":\"n1\",\"online\":1},{\"node\":\"n2\",\"online\":1}],\"luns\":[{"
                             "\"wwid\":\"" WWID "\",\"nodes\":{\"n1\":{" GOOD "}%s%s}}]}",
                             n2 ? "," : "", n2 ? n2 : "") > 0);
        assert_int_equal(json_parse(text, strlen(text), &matrix), 0);
        assert_int_equal(vg_check_lun(matrix, WWID, &needs, &b), 0);
        return b.data ? b.data : strdup("");
}

static void assert_reason(const char *n2, const char *wipe, uint32_t n_paths, const char *expected)
{
        AUTO(freep) char *text = reasons(n2, wipe, n_paths, false);

        if (*expected ? !strstr(text, expected) : *text != '\0')
                fail_msg("expected '%s', found '%s'", expected, text);
}

static void the_same_on_all_nodes_is_taken(void **state)
{
        (void) state;
        assert_reason("\"n2\":{" GOOD "}", NULL, 0, "");
        assert_reason("\"n2\":{" GOOD "}", NULL, 4, "");
}

static void each_reason_is_told(void **state)
{
        (void) state;
        assert_reason(NULL, NULL, 0, "node n2 does not see it");
        assert_reason("\"n2\":{" GOOD "}", NULL, 8, "node n1 has 4 of 8 paths; node n2 has 4 of 8 paths");
        assert_reason(
                "\"n2\":{\"size\":1024,\"n_paths\":4,\"n_active\":2,\"state\":\"degraded\",\"device\":\"/dev/x\"}",
                NULL, 0, "node n2 has 2 of 4 paths");
        assert_reason("\"n2\":{\"size\":512,\"n_paths\":4,\"n_active\":4,\"device\":\"/dev/x\"}", NULL, 0,
                      "node n2 sees 512 bytes");
        assert_reason("\"n2\":{" GOOD ",\"mounts\":[\"/mnt\"]}", NULL, 0, "node n2 has it mounted");
        assert_reason("\"n2\":{" GOOD ",\"holders\":[\"dm-7\"]}", NULL, 0, "node n2 has devices on it");
        assert_reason("\"n2\":{" GOOD ",\"n_open\":1}", NULL, 0, "node n2 has it open");
        assert_reason("\"n2\":{" GOOD ",\"storages\":[\"ibm\"]}", NULL, 0, "node n2 uses it for");
}

/* Of the first look; who has it mounted or under a map counts at once. */
static void what_is_only_open_is_looked_at_again(void **state)
{
        AUTO(freep) char *open = reasons("\"n2\":{" GOOD ",\"n_open\":1}", NULL, 0, true);
        AUTO(freep) char *mounted = reasons("\"n2\":{" GOOD ",\"n_open\":1,\"mounts\":[\"/mnt\"]}", NULL, 0, true);

        (void) state;
        assert_string_equal(open, "");
        assert_string_equal(mounted, "node n2 has it mounted: [ \"\\/mnt\" ]");
}

static void a_signature_is_named_to_be_wiped(void **state)
{
        static const char *const swap = "\"n2\":{\"size\":1024,\"n_paths\":4,\"n_active\":4,\"device\":\"/dev/"
                                        "x\",\"content\":\"other\",\"signature\":\"swap\"}";
        static const char *const pv =
                "\"n2\":{\"size\":1024,\"n_paths\":4,\"n_active\":4,\"device\":\"/dev/x\",\"content\":\"pv\","
                "\"signature\":\"LVM2_member\",\"vg\":\"old\"}";

        (void) state;
        assert_reason(swap, NULL, 0, "--wipe-signature swap");
        assert_reason(swap, "ext4", 0, "--wipe-signature swap");
        assert_reason(swap, "swap", 0, "");
        assert_reason(pv, "LVM2_member", 0, "volume group \"old\"");
}

static void a_lun_nobody_sees(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        AUTO_JSON *matrix = NULL;
        VgLunNeeds needs = { NULL, 0, false };

        (void) state;
        assert_int_equal(json_parse("{\"nodes\":[],\"luns\":[]}", 22, &matrix), 0);
        assert_int_equal(vg_check_lun(matrix, WWID, &needs, &b), 0);
        assert_non_null(strstr(b.data, "no node sees"));
}

static void a_number_is_a_nodes_for_ever(void **state)
{
        static const char *const first[] = { "n2", "n1" }, *const second[] = { "n3", "n1", "n2" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        char dir[SCRATCH_MAX], path[128];
        Paths p = { .cluster = dir };
        unsigned ids[3] = { 0 }, again[3] = { 0 };

        (void) state;
        assert_non_null(scratch_make(dir));
        (void) snprintf(path, sizeof(path), "%s/priv/storaged", dir);
        assert_int_equal(fs_mkdir_p(path, 0700), 0);
        assert_int_equal(host_ids_assign(&p, first, 2, ids, FENCE_NONE, &err), 0);
        assert_int_equal(ids[0], 1);
        assert_int_equal(ids[1], 2);
        assert_int_equal(host_ids_assign(&p, second, 3, again, FENCE_NONE, &err), 0);
        assert_int_equal(again[0], 3);
        assert_int_equal(again[1], 2);
        assert_int_equal(again[2], 1);
        (void) snprintf(path, sizeof(path), "%s/priv/storaged/host-ids", dir);
        assert_int_equal(unlink(path), 0);
        (void) snprintf(path, sizeof(path), "%s/priv/storaged", dir);
        assert_int_equal(rmdir(path), 0);
        (void) snprintf(path, sizeof(path), "%s/priv", dir);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_on_all_nodes_is_taken),
                cmocka_unit_test(each_reason_is_told),
                cmocka_unit_test(what_is_only_open_is_looked_at_again),
                cmocka_unit_test(a_signature_is_named_to_be_wiped),
                cmocka_unit_test(a_lun_nobody_sees),
                cmocka_unit_test(a_number_is_a_nodes_for_ever),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
