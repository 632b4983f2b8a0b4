/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What nodes ask each other, by name: each has fault points at the four moments in which a node may die or freeze. */

enum message_moment {
        MESSAGE_ASK,      /* about to be sent */
        MESSAGE_ASKED,    /* received; nothing has been done yet */
        MESSAGE_ANSWER,   /* done; the answer is about to be sent */
        MESSAGE_ANSWERED, /* the answer is there; nobody has been told yet */
};

/* The kind of a request to another node. `target` with or without a query; the text lives for ever. */
const char *message_name(const char *method, const char *target);
/* Passes the fault point "node.MOMENT.NAME". */
void message_fault(enum message_moment moment, const char *name);
