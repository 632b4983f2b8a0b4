/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Logging to the journal with fields, or to stderr where there is no journal. core and api log, once;
 * base, wire, host and plugins return. Secrets are never logged: print the key's name.
 */
#include <stdbool.h>
#include <syslog.h>

/* What the current request is about; set once, shown with every line until cleared. NULL leaves a field out. */
typedef struct LogContext {
        const char *storage, *volume, *task, *plugin;
} LogContext;

/* journal: use it if stderr is connected to it (JOURNAL_STREAM). max_level: LOG_DEBUG … LOG_ERR. */
void log_open(const char *identifier, int max_level);
void log_set_max_level(int level);
int log_get_max_level(void);
void log_write(int level, int error, const LogContext *context, const char *file, int line, const char *fmt, ...)
        __attribute__((format(printf, 6, 7)));

#define log_full(level, error, context, ...) \
        ((level) <= log_get_max_level() ? log_write(level, error, context, __FILE__, __LINE__, __VA_ARGS__) : (void) 0)
#define log_error(...) log_full(LOG_ERR, 0, NULL, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, 0, NULL, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, 0, NULL, __VA_ARGS__)
#define log_debug(...) log_full(LOG_DEBUG, 0, NULL, __VA_ARGS__)
/* return log_error_errno(r, "can't do X to Y"): logs with the error's text and yields r. */
#define log_error_errno(error, ...)                        \
        ({                                                 \
                int _e_ = (error);                         \
                log_full(LOG_ERR, _e_, NULL, __VA_ARGS__); \
                _e_;                                       \
        })
