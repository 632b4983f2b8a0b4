/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The inside of the engine, for the files engine*.c alone. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/vec.h"
#include "clusterfs/engine.h"
#include "clusterfs/frame.h"
#include "clusterfs/outbox.h"
#include "clusterfs/resync.h"
#include "clusterfs/sync.h"

enum phase { PHASE_LOCAL, PHASE_DOWN, PHASE_WAIT, PHASE_RECEIVE, PHASE_ACTIVE, PHASE_EXCLUDED };

/* A change of our own: from submit to its answer. */
typedef struct Change Change;

struct Change {
        Change *next;
        StrBuf body;    /* kept until it has been applied, to be sent again in a new term */
        uint16_t wire;  /* who speaks an older version does not understand it */
        bool is_fenced; /* names a lock by its number */
        int refusal;    /* 0, or why it was not sent but a change that changes nothing */
        uint64_t sequence;
        engine_done_fn done;
        void *userdata;
        uint64_t ino, index, ticket, applied_usec;
};

typedef struct ChangeList {
        Change *first, **last;
} ChangeList;

/* A change that came while the tree is being received. */
typedef struct Held {
        Member from;
        FrameHeader header;
        uint8_t *body;
        size_t len;
} Held;

typedef struct Peer {
        Member member;
        bool has_state, is_admitted;
        bool is_excused; /* did not send its state in time: this configuration goes on without it */
        bool is_slow;    /* does not confirm: nobody waits for it until it does */
        MemberState state;
        uint64_t last_index; /* the tree's when something of this member was delivered last */
        uint64_t acked;      /* it has stored everything up to this index */
} Peer;

struct Engine {
        sd_event *event;
        EngineOptions options;
        EngineEvents events;
        char *state_dir, *node;
        Tree *tree;
        History history;
        Db *db;
        Corosync *corosync;
        Outbox *outbox;
        FrameParts *parts;
        enum phase phase;
        VEC(Peer) peers;
        Term term;
        uint16_t wire;
        uint64_t sequence;
        bool is_quorate, state_dirty, ack_owed;
        uint64_t active_usec;     /* when this term became ours */
        uint64_t ack_later_usec;  /* when to confirm what nobody waits for; 0: there is nothing */
        bool is_open;             /* changes of our own may be sent in this term */
        ChangeList sent, applied; /* sent: not yet delivered; applied: not yet answered */
        Donor *donor;
        Receiver *receiver;
        VEC(Held) held;
        size_t held_bytes;
        ClusterLog log;
        TreeSink sink;
        uint32_t current_writer;
        sd_event_source *db_io, *retry, *verify, *watch;
        uint64_t progress; /* counts what came in while receiving; as it was when `watch` was set */
        uint64_t progress_seen;
        uint8_t verify_sum[TREE_HASH_SIZE];
        uint64_t verify_index;                                  /* 0: not compared in this term */
        uint64_t committed;                                     /* ticket */
        uint64_t flushing_index, stored_index, confirmed_index; /* under way to the disk, there, said to the others */
};

/* engine.c */
void change_list_init(ChangeList *l);
void change_list_add(ChangeList *l, Change *c);
Change *change_list_take(ChangeList *l, Change **at);
void change_finish(Change *c, int result);
void change_list_fail(ChangeList *l, int error);
void engine_arm_retry(Engine *e, uint64_t usec);
void engine_tell_all_changed(Engine *e);

/* engine-send.c */
int engine_send_now(void *userdata, const void *header, size_t header_len, const void *data, size_t len);
int engine_send(Engine *e, uint16_t type, uint32_t flags, uint64_t sequence, StrBuf *body, bool bulk);
void engine_send_change(Engine *e, Change *c);
void engine_send_state(Engine *e);
void engine_pump(Engine *e);

/* engine-answer.c */
void engine_open(Engine *e);
void engine_ack_later(Engine *e);
void engine_forget_stored(Engine *e);
void engine_answer(Engine *e);
int engine_on_db(sd_event_source *s, int fd, uint32_t revents, void *userdata);
int engine_on_retry(sd_event_source *s, uint64_t usec, void *userdata);

/* engine-deliver.c */
void engine_deliver_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len);
void engine_on_message(void *userdata, Member from, const void *data, size_t len);
void engine_on_settled(void *userdata);

/* engine-lock.c */
void engine_deliver_lock_ask(Engine *e, const uint8_t *body, size_t len);

/* engine-log.c */
void engine_deliver_log(Engine *e, Member from, const uint8_t *body, size_t len);

/* engine-verify.c */
void engine_deliver_verify(Engine *e);
void engine_deliver_checksum(Engine *e, Member from, const uint8_t *body, size_t len);
int engine_on_verify(sd_event_source *s, uint64_t usec, void *userdata);

/* engine-term.c */
void engine_try_sync(Engine *e);
Peer *engine_find_peer(Engine *e, Member m);
void engine_on_members(void *userdata, const Member *members, size_t n);
void engine_on_quorum(void *userdata, bool is_quorate);
void engine_become_active(Engine *e);
void engine_deliver_state(Engine *e, Member from, const uint8_t *body, size_t len);

/* engine-split.c */
void engine_split(Engine *e, const Member *members, size_t n);

/* engine-excuse.c */
void engine_watch(Engine *e);
int engine_on_watch(sd_event_source *s, uint64_t usec, void *userdata);
void engine_deliver_excuse(Engine *e, Member from, const uint8_t *body, size_t len);

/* engine-receive.c */
void engine_receive_failed(Engine *e, int error);
void engine_forget_held(Engine *e);
void engine_deliver_index(Engine *e, const uint8_t *body, size_t len);
void engine_deliver_data(Engine *e, const uint8_t *body, size_t len);
void engine_hold_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len);
