/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A root of a test's own, and all paths below it. The test includes cmocka before this. */
#include <storaged/error.h>

#include "base/paths.h"
#include "tests/unit/scratch.h"

typedef struct Fixture {
        char root[SCRATCH_MAX];
        Paths paths;
        struct storaged_error err;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_non_null(scratch_make(f->root));
        assert_int_equal(paths_init(&f->paths, f->root), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        (void) scratch_remove(f->root);
        paths_deinit(&f->paths);
        free(f);
        return 0;
}
