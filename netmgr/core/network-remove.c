/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The end of a network: its links, its row, the object. The row is the last to go, so that after a crash the next
 * start knows what is left to be deleted.
 */

#include <stdio.h>
#include <string.h>

#include "core/network-extra.h"
#include "core/network-internal.h"
#include "core/reconcile.h"

/* Somebody came for it while it went. */
static bool is_wanted(const Network *n) {
        return n->n_attachments > 0 || !list_is_empty(&n->waiters) ||
               (!n->gone && n->source != NETWORK_CONFIG);
}

bool network_bridge_goes(const Network *n) {
        const Network *other;

        MAP_FOREACH (other, n->manager->networks)
                if (other != n && other->state == NETWORK_REMOVING && n->bridge[0] &&
                    streq(other->bridge, n->bridge))
                        return true;
        return false;
}

/* Those that came for it, or for the bridge that went with it. */
static void start_waiting(Manager *m) {
        Network *n;

        MAP_FOREACH (n, m->networks)
                if (n->state == NETWORK_IDLE && !list_is_empty(&n->waiters) &&
                    !network_bridge_goes(n))
                        (void) network_ensure_start(n, NULL);
}

static void drop_finish(Network *n, int r, const Error *e) {
        NetworkStored dropped = n->dropped;
        Manager *m = n->manager;

        n->dropped = NULL;
        n->state = NETWORK_IDLE;
        if (r < 0) {
                /* The row is there, and so is the network. An inline one is tried again. */
                n->gone = false;
                reconcile_soon(n->manager);
        }
        if (dropped)
                dropped(r, e, n->dropped_userdata);
        if (r >= 0 && !is_wanted(n)) {
                if (n->source != NETWORK_CONFIG)
                        ipam_forget_cursors(n->manager->ipam, n->name);
                network_free(n);
        }
        start_waiting(m);
}

void network_unstored(Network *n, int r, const Error *e) {
        if (r < 0)
                n->has_row = true;
        if (n->state == NETWORK_REMOVING)
                drop_finish(n, r, e);
}

/* The last steps of every removal: the row, then the object. */
static void network_drop(Network *n) {
        _cleanup_error_ Error error = ERROR_NULL;
        uint32_t group = n->group;

        n->state = NETWORK_REMOVING;
        if (!n->has_row) {
                drop_finish(n, 0, NULL);
                return;
        }
        n->group = 0; /* what others allow is no longer this one */
        n->stored = n->has_row = false;
        /* Round robin goes on where it stood when an inline network comes again. */
        int r = network_unstore(n->manager, n->name, n->source != NETWORK_CONFIG);
        n->group = group;
        if (r < 0)
                network_unstored(n, error_oom(&error), &error);
}

typedef struct BridgeReap {
        Reap reap;
        Manager *manager;
        char network[NETWORK_NAME_MAX + 1];
} BridgeReap;

static void bridge_reaped(Task *task) {
        BridgeReap *b = (BridgeReap *) task;
        Network *n = network_find(b->manager, b->network);

        if (n && n->state == NETWORK_REMOVING) {
                if (task->r < 0)
                        drop_finish(n,
                                    error_set_errnof(&task->error, ERROR_KERNEL, task->r,
                                                     "deleting bridge %s", n->bridge),
                                    &task->error);
                else {
                        n->bridge_created = false;
                        network_drop(n);
                }
        }
        error_clear(&task->error);
        free(b);
}

/* Of several networks on one bridge the one that made it goes: from now on it is another's. The row of that one
 * is ahead of the deletion of this one's, so that a crash in between leaves an owner. */
static bool bequeath_bridge(Network *n) {
        Network *heir;

        MAP_FOREACH (heir, n->manager->networks) {
                if (heir == n || !streq(heir->bridge, n->bridge) ||
                    (heir->n_attachments == 0 && list_is_empty(&heir->waiters)))
                        continue;
                heir->bridge_created = true;
                heir->bridge_mac = n->bridge_mac;
                n->bridge_created = false;
                if (network_store(heir, NULL, NULL) < 0)
                        heir->stored = false; /* with its next change */
                return true;
        }
        return false;
}

static void network_take_down(Network *n) {
        BridgeReap *b;
        char extra[16];

        if (n->state == NETWORK_REMOVING || n->state == NETWORK_ENSURING)
                return;
        /* Rows that refer to it may be among those; reconcile comes again when they are written. */
        if (!n->dropped && committer_owes(n->manager->committer))
                return;
        /* That of a drop-in stays, as people know it: what else they put there has nothing to do with us. */
        bool bridge = n->bridge_created && n->conf->plugin == NET_PLUGIN_NETMGR &&
                      !bequeath_bridge(n);
        network_extra_name(n, extra);
        if (extra[0] && network_extra_is_shared(n, extra))
                extra[0] = '\0';
        else
                network_extra_reap_name(n, extra);
        if (!bridge && !extra[0]) {
                network_drop(n);
                return;
        }
        b = new0(BridgeReap, 1);
        if (!b) {
                reconcile_soon(n->manager); /* which tries again */
                return;
        }
        n->state = NETWORK_REMOVING;
        b->manager = n->manager;
        b->reap.task.deliver = bridge_reaped;
        snprintf(b->network, sizeof(b->network), "%s", n->name);
        snprintf(b->reap.name, sizeof(b->reap.name), "%s", bridge ? n->bridge : extra);
        if (bridge)
                memcpy(b->reap.ifb, extra, sizeof(b->reap.ifb));
        reaper_submit(n->manager->reaper, &b->reap);
}

void network_release_if_unused(Network *n) {
        if (n->n_attachments == 0 && list_is_empty(&n->waiters) &&
            (n->source == NETWORK_CONFIG || n->gone) && n->manager->reaper)
                network_take_down(n);
}

void networks_release_unused(Manager *m) {
        Network *n;

        MAP_FOREACH (n, m->networks)
                network_release_if_unused(n);
}

int network_remove(Manager *m, const char *name, NetworkStored dropped, void *userdata, Error *e) {
        Network *n = network_find(m, name);

        if (!n || n->gone)
                return error_setf(e, ERROR_NO_SUCH_NETWORK, "there is no network %s", name);
        if (n->n_attachments > 0)
                return error_setf(e, ERROR_IN_USE,
                                  "network %s has %zu attachments; delete those sandboxes first",
                                  name, n->n_attachments);
        n->gone = true;
        n->dropped = dropped;
        n->dropped_userdata = userdata;
        network_release_if_unused(n);
        return 0;
}

void network_discard(Network *n) {
        n->gone = true;
        /* Without a row and a bridge there is nothing to wait for. */
        if (!n->has_row && !n->bridge_created && !is_wanted(n) && n->state == NETWORK_IDLE)
                network_drop(n);
        else
                network_release_if_unused(n);
}
