/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The route table: one row for each method and path, with the parameters it takes. Checks, dispatch and
 * the self-description of GET /schema all read the same rows.
 */
#include <stdbool.h>

#include <json-c/json.h>
#include <storaged/error.h>

#include "api/params.h"

typedef struct Request Request;

enum {
        ROUTE_ANY_PROPERTY = 1 << 0, /* parameters beyond the table are the handler's (or core's) to judge */
        ROUTE_UPLOAD = 1 << 1,       /* the body is multipart/form-data with a file, spooled as it comes */
        ROUTE_HERE = 1 << 2,         /* names a socket of the caller's machine: bridged where another node answers */
        ROUTE_SINK = 1 << 3,         /* the body goes to whoever waits for {token}, as it comes; nodes only */
};

typedef struct Route {
        const char *method;
        /* Below the base: /nodes/{node}/storage. {volume}, last only, stands for the rest, slashes included. */
        const char *path;
        const ParamSpec *params; /* without those of the path; name NULL ends; or NULL */
        unsigned flags;
        int op;                 /* what the handler does, where one handler serves several rows */
        const char *permission; /* who may, in Proxmox VE's words */
        const char *description;
        void (*handler)(Request *r);
} Route;

/* Each file of handlers gives its rows; method NULL ends. */
extern const Route storage_routes[], node_routes[], content_routes[], volume_routes[], task_routes[], scan_routes[],
        config_routes[], schema_routes[], action_routes[], migrate_routes[], lun_routes[], ceph_routes[],
        cluster_routes[], vg_routes[];

/* All rows in order: *i starts at 0 for each of the two; NULL at the end. */
typedef struct RouteIterator {
        size_t table, row;
} RouteIterator;

#define ROUTE_ITERATOR_INIT \
        (RouteIterator)     \
        {                   \
                0           \
        }

const Route *route_next(RouteIterator *i);

typedef struct RouteMatch {
        const Route *route;
        char allow[64]; /* methods the path has, for a 405: "GET, POST" */
} RouteMatch;

/*
 * Finds the row for an encoded path below the base ("/storage/x") and adds the parts in braces, decoded and checked,
 * to `params`. HEAD is answered as GET. -ENOENT: no such path; -EOPNOTSUPP: no such method there, `allow` is set;
 * -EINVAL: a part of the path is not what its name says; -ENOSYS: not a method of HTTP we know.
 */
int route_find(const char *method, Slice path, Params *params, RouteMatch *ret, struct storaged_error *err);

/* What GET /schema shows of it. New reference, NULL if out of memory. */
json_object *route_to_json(const Route *route);
