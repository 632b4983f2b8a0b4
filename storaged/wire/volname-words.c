/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words for contents, formats and naming schemes, and their bits. */
#include "wire/volname.h"

#include <string.h>

typedef struct Word {
        const char *text;
        uint32_t bit;
} Word;

static const Word content_words[] = {
        { "images", STORAGED_CONTENT_IMAGES },
        { "rootdir", STORAGED_CONTENT_ROOTDIR },
        { "iso", STORAGED_CONTENT_ISO },
        { "vztmpl", STORAGED_CONTENT_VZTMPL },
        { "backup", STORAGED_CONTENT_BACKUP },
        { "snippets", STORAGED_CONTENT_SNIPPETS },
        { "import", STORAGED_CONTENT_IMPORT },
        { "none", STORAGED_CONTENT_NONE },
        { NULL, 0 },
};
static const Word format_words[] = {
        { "raw", STORAGED_FORMAT_RAW },
        { "qcow2", STORAGED_FORMAT_QCOW2 },
        { "vmdk", STORAGED_FORMAT_VMDK },
        { "subvol", STORAGED_FORMAT_SUBVOL },
        { NULL, 0 },
};
static const Word naming_words[] = {
        { "file", STORAGED_NAMING_FILE },
        { "lvm", STORAGED_NAMING_LVM },
        { "lvmthin", STORAGED_NAMING_LVMTHIN },
        { "rbd", STORAGED_NAMING_RBD },
        { "zfs", STORAGED_NAMING_ZFS },
        { "iscsi", STORAGED_NAMING_ISCSI },
        { "iscsidirect", STORAGED_NAMING_ISCSIDIRECT },
        { "pbs", STORAGED_NAMING_PBS },
        { "lun", STORAGED_NAMING_LUN },
        { NULL, 0 },
};

static const char *word_of(const Word *words, uint32_t bit)
{
        for (; words->text; words++)
                if (words->bit == bit)
                        return words->text;
        return NULL;
}

static uint32_t bit_of(const Word *words, const char *text)
{
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0)
                        return words->bit;
        return 0;
}

const char *content_to_string(uint32_t content)
{
        return word_of(content_words, content);
}

uint32_t content_from_string(const char *s)
{
        return bit_of(content_words, s);
}

const char *format_to_string(uint32_t format)
{
        return word_of(format_words, format);
}

uint32_t format_from_string(const char *s)
{
        return bit_of(format_words, s);
}

const char *naming_to_string(uint32_t naming)
{
        return word_of(naming_words, naming);
}

uint32_t naming_from_string(const char *s)
{
        return bit_of(naming_words, s);
}
