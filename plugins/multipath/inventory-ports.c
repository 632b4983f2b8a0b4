/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports: this node's FC hosts with the remote ports they see, and iSCSI sessions. Few, so read each time. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "multipath/inventory.h"
#include "multipath/js.h"
#include "multipath/sysfs.h"

typedef struct Ports {
        json_object *rows;
        const char *kind;
} Ports;

static void add_attribute(json_object *o, int dir, const char *key, const char *attribute)
{
        char text[256];

        if (sysfs_text(dir, attribute, text, sizeof(text)) > 0)
                js_text(o, key, strncmp(text, "0x", 2) == 0 ? text + 2 : text);
}

static int add_row(void *userdata, int dir, const char *name, uint64_t inode)
{
        /* kind, key in the answer, attribute */
        static const char *const rows[][3] = {
                { "fc-host", "wwpn", "port_name" },          { "fc-host", "wwnn", "node_name" },
                { "fc-host", "state", "port_state" },        { "fc-host", "speed", "speed" },
                { "fc-host", "fabric", "fabric_name" },      { "fc-remote-port", "wwpn", "port_name" },
                { "fc-remote-port", "wwnn", "node_name" },   { "fc-remote-port", "state", "port_state" },
                { "fc-remote-port", "roles", "roles" },      { "fc-remote-port", "scsi_target", "scsi_target_id" },
                { "iscsi-session", "target", "targetname" }, { "iscsi-session", "initiator", "initiatorname" },
                { "iscsi-session", "state", "state" },
        };
        Ports *p = userdata;
        AUTO(closep) int port = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        json_object *o;

        (void) inode;
        if (port < 0)
                return 0;
        o = json_object_new_object();
        js_text(o, "kind", p->kind);
        js_text(o, "name", name);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (strcmp(rows[i][0], p->kind) == 0)
                        add_attribute(o, port, rows[i][1], rows[i][2]);
        js_push(p->rows, o);
        return 0;
}

json_object *inventory_ports(int sys)
{
        static const char *const classes[][2] = {
                { "class/fc_host", "fc-host" },
                { "class/fc_remote_ports", "fc-remote-port" },
                { "class/iscsi_session", "iscsi-session" },
        };
        Ports p = { .rows = json_object_new_array() };

        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
                p.kind = classes[i][1];
                (void) sysfs_each(sys, classes[i][0], add_row, &p); /* no such class: no such ports */
        }
        return p.rows;
}
