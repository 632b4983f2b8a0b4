/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as JSON, and as text to be written as JSON. What was taken must write and read back as itself; what the
 * writer makes of a text must always be JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_read(const char *text, size_t len)
{
        AUTO_JSON *o = NULL;
        AUTO_JSON *again = NULL;
        const char *written;

        if (json_parse(text, len, &o) < 0)
                return;
        written = json_text(o);
        if (json_parse(written, strlen(written), &again) < 0 || !json_object_equal(o, again))
                abort();
        (void) json_get_string(o, "op");
        (void) json_get_int(o, "size", 0);
        (void) json_get_uint(o, "size", 0);
        (void) json_get_bool(o, "protected", false);
}

static void check_write(const char *text)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        AUTO_JSON *o = NULL;

        jsonw_object_begin(&b);
        jsonw_key(&b, text);
        jsonw_array_begin(&b);
        jsonw_string(&b, text);
        jsonw_string(&b, text);
        jsonw_array_end(&b);
        jsonw_object_end(&b);
        if (json_parse(b.data, b.len, &o) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1);

        if (!text)
                return 0;
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';
        check_read(text, size);
        check_write(text);
        free(text);
        return 0;
}
