/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Asks a server's portmapper (rpcbind) for the TCP port of an RPC program. */
#include "nfs/nfs-server.h"

#define PORTMAP_E_ABSENT 1 /* the portmapper answers, but does not know the program */

int portmap_lookup(Server *s, uint32_t program, uint32_t version, uint64_t deadline_ms, uint16_t *ret, STORAGED_ERR);
