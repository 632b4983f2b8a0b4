/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line a message. Under systemd (JOURNAL_STREAM names our stderr) the fields go to the journal as
 * fields; elsewhere the line goes to stderr with a time, and the fields in brackets.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include <systemd/sd-journal.h>

static const char *log_identifier = "storaged";
static int log_max_level = LOG_INFO;
static bool log_to_journal;

static bool stderr_is_journal(void)
{
        const char *env = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        return env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && fstat(2, &st) == 0 &&
               (unsigned long long) st.st_dev == dev && (unsigned long long) st.st_ino == ino;
}

void log_open(const char *identifier, int max_level)
{
        log_identifier = identifier;
        log_max_level = max_level;
        log_to_journal = stderr_is_journal();
}

void log_set_max_level(int level)
{
        log_max_level = level;
}

int log_get_max_level(void)
{
        return log_max_level;
}

static void write_journal(int level, const LogContext *c, const char *file, int line, const char *text)
{
        struct {
                const char *key, *value;
        } optional[] = {
                { "STORAGED_STORAGE", c ? c->storage : NULL },
                { "STORAGED_VOLUME", c ? c->volume : NULL },
                { "STORAGED_TASK", c ? c->task : NULL },
                { "STORAGED_PLUGIN", c ? c->plugin : NULL },
        };
        char field[9][1400];
        struct iovec iov[9];
        int n = 0;

#define FIELD(...)                                                        \
        do {                                                              \
                (void) snprintf(field[n], sizeof(field[n]), __VA_ARGS__); \
                iov[n] = (struct iovec){ field[n], strlen(field[n]) };    \
                n++;                                                      \
        } while (0)
        FIELD("MESSAGE=%s", text);
        FIELD("PRIORITY=%d", level);
        FIELD("SYSLOG_IDENTIFIER=%s", log_identifier);
        FIELD("CODE_FILE=%s", file);
        FIELD("CODE_LINE=%d", line);
        for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
                if (optional[i].value)
                        FIELD("%s=%s", optional[i].key, optional[i].value);
#undef FIELD
        (void) sd_journal_sendv(iov, n); /* no journal, nothing to tell it to */
}

static void write_stderr(int level, const LogContext *c, const char *text)
{
        static const char *const names[] = { "emerg", "alert", "crit", "error", "warning", "notice", "info", "debug" };
        char when[32], line[2048];
        struct timespec ts;
        struct tm tm;
        int n;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        (void) localtime_r(&ts.tv_sec, &tm);
        (void) strftime(when, sizeof(when), "%H:%M:%S", &tm);
        n = snprintf(line, sizeof(line), "%s.%03ld %s[%s]: %s%s%s%s%s%s\n", when, ts.tv_nsec / 1000000, log_identifier,
                     names[level & 7], text, c && (c->storage || c->volume) ? " [" : "",
                     c && c->storage ? c->storage : "", c && c->volume ? ":" : "", c && c->volume ? c->volume : "",
                     c && (c->storage || c->volume) ? "]" : "");
        if (n > 0)
                (void) fwrite(line, 1, (size_t) n < sizeof(line) ? (size_t) n : sizeof(line) - 1, stderr);
}

void log_write(int level, int error, const LogContext *context, const char *file, int line, const char *fmt, ...)
{
        char text[1280];
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        if (error && n >= 0 && (size_t) n < sizeof(text))
                (void) snprintf(text + n, sizeof(text) - (size_t) n, ": %s", strerror(error < 0 ? -error : error));
        if (log_to_journal)
                write_journal(level, context, file, line, text);
        else
                write_stderr(level, context, text);
}
