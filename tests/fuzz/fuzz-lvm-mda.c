/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of a physical volume, as any host that sees the LUN may have written them. */
#include <stddef.h>
#include <stdint.h>

#include "common-lvm/mda.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        MdaLocation location;
        MdaLabel label;

        if (mda_parse_label(data, size, &label) == 0 && label.n_areas > MDA_AREAS_MAX)
                __builtin_trap();
        (void) mda_parse_header(data, size, &location);
        return 0;
}
