/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One request to another node and its answer, on a connection of its own. Not for others than cluster/remote.c. */
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "base/str.h"
#include "cluster/remote.h"
#include "cluster/tls.h"
#include "wire/http-answer.h"

typedef struct Transfer Transfer;

/* Once, when it is over: err NULL, or why there is no answer. Frees the transfer or lets it be, and touches it last. */
typedef void (*transfer_fn)(Transfer *t, const struct storaged_error *err);

struct Transfer {
        TAILQ_ENTRY(Transfer) entry; /* the owner's, as what stands behind `ended` */
        void *owner;
        bool is_ping;
        struct storaged_error verdict; /* it is to end with this */
        remote_fn fn;
        void *userdata;

        const char *name; /* of what is asked: cluster/message.h */
        char *node, *ip;
        unsigned port;
        Tls *tls;
        sd_event_source *io, *body_io, *sink_io;
        bool is_agreed;      /* the handshake is over: the other end is who it should be */
        uint64_t begun_usec; /* CLOCK_MONOTONIC */
        uint64_t heard_usec; /* when the other node last gave a sign of life */
        StrBuf out;          /* request bytes that are still to be sent from out_sent on */
        size_t out_sent;
        int body_fd, sink_fd; /* of a stream; -EBADF: none, or done with */
        StrBuf pending;       /* body bytes that the sink did not take, from pending_sent on */
        size_t pending_sent;
        HttpAnswer answer;
        StrBuf body;
        transfer_fn ended;
};

/* Takes over the descriptors of call->stream if it succeeds. Nothing happens before the event loop runs. */
int transfer_new(Transfer **ret, sd_event *event, const Certs *certs, const RemoteCall *call, transfer_fn ended,
                 struct storaged_error *err);
Transfer *transfer_free(Transfer *t);
DEFINE_CLEANUP(Transfer *, transfer_free)
