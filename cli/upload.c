/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fields stand before the file, so that the daemon knows them while the file comes in. What separates the parts is
 * random: no file can hold it but by an accident of 2^-128.
 */
#include "cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUNDARY_SIZE 48

static int make_boundary(char ret[static BOUNDARY_SIZE])
{
        unsigned char bytes[16];
        int n = snprintf(ret, BOUNDARY_SIZE, "----pvesm-");

        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                return -EIO;
        for (size_t i = 0; i < sizeof(bytes); i++)
                n += snprintf(ret + n, BOUNDARY_SIZE - (size_t) n, "%02x", bytes[i]);
        return 0;
}

/* As browsers write it (WHATWG, "multipart/form-data encoding algorithm"): nothing in it may end the line or the word.
 */
static void add_quoted(StrBuf *b, const char *s)
{
        for (; *s; s++)
                if (*s == '"')
                        strbuf_adds(b, "%22");
                else if (*s == '\r')
                        strbuf_adds(b, "%0D");
                else if (*s == '\n')
                        strbuf_adds(b, "%0A");
                else
                        strbuf_addc(b, *s);
}

static void add_field(StrBuf *b, const char *boundary, const char *name, const char *value)
{
        if (value)
                strbuf_addf(b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", boundary, name,
                            value);
}

int upload_begin(const Upload *u, ExchangeBody *ret, char **ret_type, int *ret_fd, struct storaged_error *err)
{
        AUTO(exchange_body_deinit) ExchangeBody body = EXCHANGE_BODY_INIT;
        AUTO(closep) int fd = open(u->path, O_RDONLY | O_CLOEXEC);
        char boundary[BOUNDARY_SIZE];
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set_param(err, -EIO, "file", "can't read '%s': %s", u->path, strerror(errno));
        if (!S_ISREG(st.st_mode)) /* it has become something else since the caller looked */
                return error_set_param(err, -EIO, "file", "'%s' is not a regular file", u->path);
        if (make_boundary(boundary) < 0)
                return error_set(err, -EIO, "the kernel gives no random bytes");
        add_field(&body.before, boundary, "content", u->content);
        add_field(&body.before, boundary, "checksum", u->checksum);
        add_field(&body.before, boundary, "checksum-algorithm", u->checksum_algorithm);
        strbuf_addf(&body.before, "--%s\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"", boundary);
        add_quoted(&body.before, u->filename);
        strbuf_adds(&body.before, "\"\r\nContent-Type: application/octet-stream\r\n\r\n");
        strbuf_addf(&body.after, "\r\n--%s--\r\n", boundary);
        if (strbuf_error(&body.before) < 0 || strbuf_error(&body.after) < 0 ||
            str_printf(ret_type, "multipart/form-data; boundary=%s", boundary) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        body.path = u->path;
        body.size = (uint64_t) st.st_size;
        body.file_fd = fd;
        *ret = body;
        body = EXCHANGE_BODY_INIT;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
