/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lockspace that changes its members stands still until all agree who they are: whoever asks for a lock meanwhile
 * waits without a bound, as does every command of LVM on a shared group. That is short, unless a node has to be fenced
 * and is not, there is no quorum, or Corosync's membership broke and healed faster than the nodes could tell each other
 * (without fencing dlm_controld then waits for messages that never come). dlm_controld knows which of them it is.
 */
#include "lvm/dlm.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/dlmconstants.h>

#include <libdlmcontrol.h>

static void explain(const struct dlmc_change *c, char *ret, size_t size)
{
        if (c->wait_messages)
                (void) snprintf(ret, size, "waits for messages of %d of its %d members", c->wait_condition,
                                c->member_count);
        else if (c->wait_condition == DLMC_LS_WAIT_QUORUM)
                (void) snprintf(ret, size, "waits for Corosync's quorum");
        else if (c->wait_condition == DLMC_LS_WAIT_FENCING)
                (void) snprintf(ret, size, "waits until the nodes that left it have been fenced");
        else if (c->wait_condition == DLMC_LS_WAIT_RINGID)
                (void) snprintf(ret, size, "waits until Corosync has settled its membership");
        else
                (void) snprintf(ret, size, "is changing its members");
}

bool dlm_each_stopped(dlm_fn fn, void *userdata)
{
        struct dlmc_lockspace *all = NULL;
        int n = 0;
        bool is_any = false;

        if (dlmc_lockspaces(&n, &all) < 0)
                return false;
        for (int i = 0; i < n; i++) {
                char why[DLM_WHY_MAX];

                if (!(all[i].flags & DLMC_LF_KERNEL_STOPPED))
                        continue;
                explain(&all[i].cg_next, why, sizeof(why));
                is_any = true;
                fn(userdata, all[i].name, why);
        }
        free(all);
        return is_any;
}
