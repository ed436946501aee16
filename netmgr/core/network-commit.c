/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a network hands to the committer: its row, and what the rule tables say of it. */

#include "base/hash.h"
#include "core/enforce.h"
#include "core/network-internal.h"

/* A changed configuration holds for what is attached already as far as the rule tables go: masquerade,
 * isolation, what host ports may do. */
typedef struct ReenforceCommit {
        Commit commit;
        Manager *manager;
        PolicyNetwork *network;
        PolicyAttachment **attachments; /* owned */
        size_t n_attachments;
} ReenforceCommit;

static int reenforce_write(Commit *c _unused_, Store *store _unused_, Error *e _unused_) {
        return 0;
}

static int reenforce_enforce(Commit *c, Firewall *f) {
        ReenforceCommit *rc = (ReenforceCommit *) c;
        int r = rc->network ? firewall_put_network(f, rc->network) : 0;

        for (size_t i = 0; i < rc->n_attachments && r >= 0; i++)
                r = firewall_put(f, rc->attachments[i]);
        return r;
}

static void reenforce_free(ReenforceCommit *rc) {
        policy_network_free(rc->network);
        for (size_t i = 0; i < rc->n_attachments; i++)
                policy_attachment_free(rc->attachments[i]);
        free(rc->attachments);
        free(rc);
}

static void reenforce_delivered(Task *task) {
        ReenforceCommit *rc = (ReenforceCommit *) task;

        manager_set_commit_health(rc->manager, &rc->commit);
        error_clear(&task->error);
        reenforce_free(rc);
}

void network_reenforce(Network *n) {
        ReenforceCommit *rc = new0(ReenforceCommit, 1);
        Attachment *a;

        if (!rc)
                return; /* the next start tells the tables */
        rc->manager = n->manager;
        rc->network = enforce_network(n);
        rc->attachments = new0(PolicyAttachment *, n->n_attachments + 1);
        MAP_FOREACH (a, n->manager->attachments)
                if (rc->attachments && a->network == n && a->state == ATTACHMENT_UP && !a->lost &&
                    enforce_concerns(a) &&
                    (rc->attachments[rc->n_attachments] = enforce_attachment(a)))
                        rc->n_attachments++;
        rc->commit.write = reenforce_write;
        rc->commit.enforce = reenforce_enforce;
        rc->commit.task.deliver = reenforce_delivered;
        if (n->manager->committer)
                committer_submit(n->manager->committer, &rc->commit);
        else
                reenforce_free(rc); /* before the start is complete: the first sync has it */
}

/* One write of the network table, with copies of what it writes. */
typedef struct NetworkCommit {
        Commit commit;
        Manager *manager;
        NetworkRow row; /* owned copy; only the name when it is a deletion */
        bool remove, forget_cursors;
        bool is_first; /* there was no row before */
        NetworkStored stored;
        void *userdata;
        PolicyNetwork **policies; /* owned: this one and those whose `allow` names it */
        size_t n_policies;
} NetworkCommit;

static int network_commit_enforce(Commit *c, Firewall *f) {
        NetworkCommit *nc = (NetworkCommit *) c;
        int r = nc->remove ? firewall_remove_network(f, nc->row.name) : 0;

        for (size_t i = 0; i < nc->n_policies && r >= 0; i++)
                r = firewall_put_network(f, nc->policies[i]);
        return r;
}

static bool allows(const Network *n, const char *name) {
        for (size_t i = 0; i < n->conf->n_allow; i++)
                if (streq(n->conf->allow[i], name))
                        return true;
        return false;
}

static int add_policies(NetworkCommit *nc, const char *name, bool with_itself) {
        const Network *n;

        nc->policies = new0(PolicyNetwork *, map_size(nc->manager->networks) + 1);
        if (!nc->policies)
                return -ENOMEM;
        MAP_FOREACH (n, nc->manager->networks) {
                bool itself = streq(n->name, name);
                if (!(itself ? with_itself : n->stored && allows(n, name)))
                        continue;
                nc->policies[nc->n_policies] = enforce_network(n);
                if (!nc->policies[nc->n_policies++])
                        return -ENOMEM;
        }
        return 0;
}

static void network_commit_free(NetworkCommit *nc) {
        for (size_t i = 0; i < nc->n_policies; i++)
                policy_network_free(nc->policies[i]);
        free(nc->policies);
        network_row_clear(&nc->row);
        free(nc);
}

static int network_commit_write(Commit *c, Store *store, Error *e) {
        NetworkCommit *nc = (NetworkCommit *) c;

        if (!nc->remove)
                return store_put_network(store, &nc->row, e);
        int r = nc->forget_cursors ? store_delete_cursors(store, nc->row.name, e) : 0;
        return r < 0 ? r : store_delete_network(store, nc->row.name, e);
}

static void network_commit_delivered(Task *task) {
        NetworkCommit *nc = (NetworkCommit *) task;

        Network *n = network_find(nc->manager, nc->row.name);

        manager_set_commit_health(nc->manager, &nc->commit);
        if (n && !nc->remove && !nc->commit.written) {
                n->stored = false;
                n->has_row &= !nc->is_first;
        }
        if (n && nc->remove)
                network_unstored(n, nc->commit.written ? 0 : task->r, &task->error);
        if (nc->stored)
                nc->stored(task->r, &task->error, nc->userdata);
        error_clear(&task->error);
        network_commit_free(nc);
}

static int network_commit_new(Manager *m, const char *name, NetworkCommit **ret) {
        NetworkCommit *nc = new0(NetworkCommit, 1);

        if (!nc || !(nc->row.name = strdup(name))) {
                free(nc);
                return -ENOMEM;
        }
        nc->manager = m;
        nc->commit.write = network_commit_write;
        nc->commit.enforce = network_commit_enforce;
        nc->commit.task.deliver = network_commit_delivered;
        *ret = nc;
        return 0;
}

int network_store(Network *n, NetworkStored stored, void *userdata) {
        NetworkCommit *nc;
        NetworkRow row;
        char hash[HASH_STR_SIZE];

        int r = network_commit_new(n->manager, n->name, &nc);
        if (r < 0)
                return r;
        network_to_row(n, &row);
        row.hash = (char *) hash_format(network_hash(n), hash);
        nc->row.bridge_created = row.bridge_created;
        nc->row.mtu = row.mtu;
        nc->row.group = row.group;
        memcpy(nc->row.bridge_mac, row.bridge_mac, sizeof(row.bridge_mac));
        nc->row.kind = strdup(row.kind);
        nc->row.source = strdup(row.source);
        nc->row.config = strdup(row.config);
        nc->row.hash = strdup(row.hash);
        nc->row.bridge = row.bridge ? strdup(row.bridge) : NULL;
        if (!nc->row.kind || !nc->row.source || !nc->row.config || !nc->row.hash ||
            (row.bridge && !nc->row.bridge) || add_policies(nc, n->name, true) < 0) {
                network_commit_free(nc);
                return -ENOMEM;
        }
        nc->stored = stored;
        nc->userdata = userdata;
        nc->is_first = !n->has_row;
        n->stored = n->has_row = true;
        committer_submit(n->manager->committer, &nc->commit);
        return 0;
}

int network_unstore(Manager *m, const char *name, bool forget_cursors) {
        NetworkCommit *nc;
        int r = network_commit_new(m, name, &nc);
        if (r < 0)
                return r;
        nc->remove = true;
        if (add_policies(nc, name, false) < 0) {
                network_commit_free(nc);
                return -ENOMEM;
        }
        nc->forget_cursors = forget_cursors;
        committer_submit(m->committer, &nc->commit);
        return 0;
}
