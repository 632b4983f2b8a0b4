/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A progress bar on the terminal (stderr); nothing elsewhere. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
        FILE *file;    /* NULL: no terminal, nothing is drawn */
        bool is_drawn; /* the line of the bar is on the screen */
        uint64_t drawn_usec;
} Progress;

/* For `file` if that is a terminal. */
void progress_init(Progress *p, FILE *file);
/* Draws again if anything would change, at most 20 times a second. */
void progress_update(Progress *p, uint64_t done, uint64_t total);
/* Takes the bar off the screen, before other output and at the end. */
void progress_clear(Progress *p);
/* The line itself, at most `columns` wide, NUL-terminated; for progress_update. Gives its length. */
size_t progress_format(char *buf, size_t size, unsigned columns, uint64_t done, uint64_t total);
