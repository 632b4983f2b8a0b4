/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs and volume groups. */
#include "cli/run.h"
#include "cli/show-lun.h"
#include "cli/show.h"
#include "cli/verbs.h"

#define P_WWID                                                                             \
        {                                                                                  \
                .name = "wwid", .flags = POS, .complete = "lun", .text = "The LUN's WWID." \
        }

#define P_FRESH                                                                                                   \
        {                                                                                                         \
                .name = "fresh", .type = PARAM_BOOLEAN, .text = "Look at the disks now, at what is on them, too." \
        }

static const Param luns_params[] = {
        P_FRESH,
        { .name = "transport", .complete = "fc iscsi sas sata nvme", .text = "Only LUNs that come this way." },
        P_END,
};

static const Param lun_scan_params[] = {
        { .name = "target", .text = "WWPN or IQN of the only target to look at." },
        { .name = "lun", .type = PARAM_INTEGER, .text = "The only number to look at, of that target." },
        { .name = "on", .complete = "node", .text = "Only this node looks." },
        P_END,
};

static const Param lun_params_only[] = { P_WWID, P_END };

static const Param lun_allow_params[] = {
        P_WWID,
        { .name = "alias", .text = "What its map is called on all nodes." },
        P_END,
};

static const Param lun_remove_params[] = {
        P_WWID,
        { .name = "force",
          .type = PARAM_BOOLEAN,
          .text = "Also a physical volume of a group, and a map whose last writes are lost." },
        P_END,
};

#define P_VGNAME(how)                                                                       \
        {                                                                                   \
                .name = "vgname", .flags = how, .complete = "", .text = "The volume group." \
        }

#define P_WIPE                                                                                                        \
        { .name = "force", .type = PARAM_BOOLEAN, .text = "With --wipe-signature: what is on the LUN may be lost." }, \
        {                                                                                                             \
                .name = "wipe-signature", .hint = "type",                                                             \
                .text = "The type of what was found on the LUN and may be wiped."                                     \
        }

#define P_PATHS                                                                  \
        {                                                                        \
                .name = "paths", .type = PARAM_INTEGER,                          \
                .text = "Paths each node must have, if not as many as the best." \
        }

#define P_LOCKING                                                      \
        {                                                              \
                .name = "locking", .complete = "sanlock dlm none",     \
                .text = "The lock manager, if not what the nodes run." \
        }

static const Param create_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_LOCKING, P_WIPE, P_PATHS, P_END };

static const Param extend_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_WIPE, P_PATHS, P_END };

static const Param reduce_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_END };

static const Param vg_only_params[] = { P_VGNAME(POS), P_END };

static const Param vg_here_params[] = { P_VGNAME(POS), P_NODE_END };

static const Param convert_vg_params[] = { P_VGNAME(POS), P_LOCKING, P_END };

static const Param guard_vg_params[] = {
        { .name = "vgname", .text = "Further volume groups that are this node's own, with commas." },
        { .name = "off", .type = PARAM_BOOLEAN, .text = "Take away what was set up by this command." },
        P_NODE_END
};

static const Param lun_params[] = { P_WWID, P_FRESH, P_END };

const Verb san_verbs[] = {
        { .name = "scan fc",
          .text = "LUNs of the SAN by WWID: which node sees which, over how many paths.",
          .params = luns_params,
          .method = "GET",
          .path = "/cluster/luns",
          .show = show_luns },
        { .name = "lun list",
          .text = "LUNs by WWID: which node sees which, over how many paths, and where they disagree.",
          .params = luns_params,
          .method = "GET",
          .path = "/cluster/luns",
          .show = show_luns },
        { .name = "lun show",
          .text = "One LUN, with its paths on every node.",
          .params = lun_params,
          .method = "GET",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun },
        { .name = "lun scan",
          .text = "Looks for new LUNs on all nodes, and for numbers that lead to another LUN now.",
          .params = lun_scan_params,
          .flags = VERB_DATA,
          .method = "POST",
          .path = "/cluster/luns",
          .run = run_task },
        { .name = "lun resize",
          .text = "Takes over the size that the array gave a LUN: on all nodes, then in LVM.",
          .params = lun_params_only,
          .flags = VERB_DATA,
          .method = "PUT",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun_result,
          .run = run_task },
        { .name = "lun remove",
          .text = "Takes a LUN away from all nodes. After it was unmapped on the array, the same command proves that "
                  "it is gone.",
          .params = lun_remove_params,
          .flags = VERB_DATA,
          .method = "DELETE",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun_result,
          .run = run_task },
        { .name = "lun allow",
          .text = "Has multipath assemble a LUN on all nodes (multipath.cfg of the cluster). Also one that is not "
                  "there yet: it is allowed for when it appears, and a warning says that no node sees it now.",
          .params = lun_allow_params,
          .method = "PUT",
          .path = "/cluster/multipath/{wwid}",
          .run = run_warned },
        { .name = "lun disallow",
          .text = "Takes a LUN out of multipath.cfg. A map that is there stays until `lun remove`.",
          .params = lun_params_only,
          .method = "DELETE",
          .path = "/cluster/multipath/{wwid}" },
        { .name = "lun multipath",
          .text = "How multipath.cfg of the cluster was applied on this node, and where the node's own configuration "
                  "differs.",
          .params = node_params,
          .method = "GET",
          .path = NODE "/multipath",
          .show = show_multipath },
        { .name = "lun ports",
          .text = "FC ports of this node with the remote ports they see, and its iSCSI sessions.",
          .params = node_params,
          .method = "GET",
          .path = NODE "/ports",
          .show = show_ports },
        { .name = "lun create-vg",
          .text = "Makes a volume group on an empty LUN, after all nodes were asked whether they see the same.",
          .params = create_vg_params,
          .method = "POST",
          .path = "/cluster/vgs",
          .run = run_task },
        { .name = "lun extend-vg",
          .text = "Adds an empty LUN to a volume group.",
          .params = extend_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/extend",
          .run = run_task },
        { .name = "lun reduce-vg",
          .text = "Takes a LUN without volumes out of a volume group.",
          .params = reduce_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/reduce",
          .run = run_task },
        { .name = "lun destroy-vg",
          .text = "Removes a volume group without volumes.",
          .params = vg_only_params,
          .method = "DELETE",
          .path = "/cluster/vgs/{vgname}",
          .run = run_task },
        { .name = "vg show",
          .text = "A volume group, and what is active of it on which node.",
          .params = vg_only_params,
          .method = "GET",
          .path = "/cluster/vgs/{vgname}",
          .show = show_vg },
        { .name = "vg convert",
          .text = "Changes the lock type of a volume group, with nothing of it active on any node.",
          .params = convert_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/convert",
          .run = run_task },
        { .name = "vg guard",
          .text = "Limits this node's LVM to the disks of its own volume groups, so that it neither sees nor switches "
                  "on "
                  "what guests have on theirs. What was configured by hand stays as it is.",
          .params = guard_vg_params,
          .method = "POST",
          .path = NODE "/actions/lvm/guard",
          .show = show_guard },
        { .name = "vg start",
          .text = "Starts the locks of a shared volume group on all nodes, also on one that is new.",
          .params = vg_only_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/start",
          .run = run_task },
        { .name = "vg cut-off",
          .text = "Storage lost: lets all I/O of this node to a volume group fail and gives up its locks.",
          .params = vg_here_params,
          .method = "POST",
          .path = NODE "/actions/lvm/cut-off" },
        { 0 },
};
