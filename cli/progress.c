/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bar: redrawn in place with a carriage return, as wide as the terminal is now, percent first and bytes
 * last. Whoever prints anything else clears it before, so it never mixes with lines.
 */
#include "cli/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define REDRAW_USEC (50 * USEC_PER_MSEC)
#define BAR_MAX 40u

void progress_init(Progress *p, FILE *file)
{
        *p = (Progress){ .file = isatty(fileno(file)) ? file : NULL };
}

static void format_bytes(char *buf, size_t size, uint64_t bytes)
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double v = (double) bytes;
        size_t i = 0;

        for (; v >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
                v /= 1024;
        (void) snprintf(buf, size, i == 0 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

size_t progress_format(char *buf, size_t size, unsigned columns, uint64_t done, uint64_t total)
{
        double part = total > 0 ? (double) done / (double) total : 0;
        char a[32], b[32], tail[80], bar[BAR_MAX + 1];
        unsigned width, filled;
        int n;

        part = part > 1 ? 1 : part;
        format_bytes(a, sizeof(a), done);
        format_bytes(b, sizeof(b), total);
        (void) snprintf(tail, sizeof(tail), "%s of %s", a, b);
        width = columns > strlen(tail) + 10 ? columns - (unsigned) strlen(tail) - 10 : 0;
        width = width > BAR_MAX ? BAR_MAX : width;
        filled = (unsigned) (part * width);
        memset(bar, '.', width);
        memset(bar, '=', filled);
        bar[width] = '\0';
        if (width >= 4)
                n = snprintf(buf, size, "%3u%% [%s] %s", (unsigned) (part * 100), bar, tail);
        else
                n = snprintf(buf, size, "%3u%%", (unsigned) (part * 100));
        return n < 0 ? 0 : (size_t) n >= size ? size - 1 : (size_t) n;
}

void progress_update(Progress *p, uint64_t done, uint64_t total)
{
        struct winsize ws = { .ws_col = 80 };
        uint64_t now;
        char line[256];

        if (!p->file || total == 0)
                return;
        now = now_usec();
        if (p->is_drawn && done < total && now - p->drawn_usec < REDRAW_USEC)
                return;
        if (ioctl(fileno(p->file), TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
                ws.ws_col = 80;
        (void) progress_format(line, sizeof(line), ws.ws_col - 1u, done, total);
        (void) fprintf(p->file, "\r%s\033[K", line);
        (void) fflush(p->file);
        p->is_drawn = true;
        p->drawn_usec = now;
}

void progress_clear(Progress *p)
{
        if (!p->file || !p->is_drawn)
                return;
        (void) fputs("\r\033[K", p->file);
        (void) fflush(p->file);
        p->is_drawn = false;
}
