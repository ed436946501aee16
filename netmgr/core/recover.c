/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the ledger of the last life to the objects of this one; see recover.h. */

#include "core/recover.h"

#include <inttypes.h>

#include "base/log-ids.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/delegate.h"
#include "core/dhcp.h"
#include "core/host-local.h"
#include "core/netns-watch.h"
#include "core/network.h"
#include "core/op-networks.h"
#include "core/sandbox.h"
#include "core/trail.h"

typedef struct Loader {
        Manager *manager;
        Error *error;
} Loader;

static int on_network(NetworkRow *row, void *userdata) {
        Loader *l = userdata;
        int r = network_load(l->manager, row, l->error);
        error_prefixf(l->error, "network %s of the ledger", row->name);
        return r;
}

static int on_sandbox(SandboxRow *row, void *userdata) {
        Loader *l = userdata;
        return sandbox_load(l->manager, row) < 0 ? error_oom(l->error) : 0;
}

static int on_attachment(AttachmentRow *row, void *userdata) {
        Loader *l = userdata;
        return attachment_load(l->manager, row, l->error);
}

static int on_address(AddressRow *row, void *userdata) {
        Loader *l = userdata;
        return attachment_load_address(l->manager, row) < 0 ? error_oom(l->error) : 0;
}

static int on_port(PortRow *row, void *userdata) {
        Loader *l = userdata;
        return attachment_load_port(l->manager, row, l->error);
}

static int on_shaping(ShapingRow *row, void *userdata) {
        Loader *l = userdata;
        return attachment_load_shaping(l->manager, row, l->error);
}

static int on_lease(LeaseRow *row, void *userdata) {
        Loader *l = userdata;
        return dhcp_load_lease(l->manager, row, l->error);
}

static int on_delegate(DelegateRow *row, void *userdata) {
        Loader *l = userdata;
        return attachment_load_delegate(l->manager, row) < 0 ? error_oom(l->error) : 0;
}

static int on_import(ImportRow *row, void *userdata) {
        Loader *l = userdata;
        return host_local_load(l->manager, row) < 0 ? error_oom(l->error) : 0;
}

static int on_cursor(CursorRow *row, void *userdata) {
        Loader *l = userdata;
        return ipam_load_cursor(l->manager->ipam, row->network, row->set_index, &row->address) < 0
                               ? error_oom(l->error)
                               : 0;
}

static int load_all(Manager *m, Store *store, Error *e) {
        Loader l = { .manager = m, .error = e };

        int r = store_load_networks(store, on_network, &l, e);
        if (r >= 0)
                r = store_load_sandboxes(store, on_sandbox, &l, e);
        if (r >= 0)
                r = store_load_attachments(store, on_attachment, &l, e);
        if (r >= 0)
                r = store_load_addresses(store, on_address, &l, e);
        if (r >= 0)
                r = store_load_ports(store, on_port, &l, e);
        if (r >= 0)
                r = store_load_shapings(store, on_shaping, &l, e);
        if (r >= 0)
                r = store_load_leases(store, on_lease, &l, e);
        if (r >= 0)
                r = store_load_delegates(store, on_delegate, &l, e);
        if (r >= 0)
                r = store_load_imports(store, on_import, &l, e);
        if (r >= 0)
                r = store_load_cursors(store, on_cursor, &l, e);
        if (r >= 0)
                r = store_load_last_id(store, &m->last_id, e);
        return r;
}

/* Nothing of an earlier boot is in this kernel. Before anything is loaded: no object has to be made
 * for what is gone, and a thousand rows cost what one does. */
static int end_other_boots(Manager *m, Store *store, Error *e) {
        size_t n_sandboxes, n_attachments;

        int r = store_begin(store, e);
        if (r < 0)
                return r;
        r = store_end_other_boots(store, m->boot_id, now_realtime(), &n_sandboxes, &n_attachments,
                                  e);
        if (r >= 0)
                r = store_commit(store, e);
        if (r < 0)
                store_rollback(store);
        else if (n_sandboxes > 0) {
                log_event(LOG_NOTICE, LOG_ID_EARLIER_BOOT,
                          &(LogContext) { .op = "reboot", .reason = "the boot id changed" },
                          "the machine was started anew: released %zu attachments of %zu sandboxes",
                          n_attachments, n_sandboxes);
                audit_count_reaps(m, "reboot", n_attachments);
        }
        return r;
}

/* Which host ends are there; and no id below one that is may be used again. */
static int compare_links(Manager *m, Error *e) {
        _cleanup_(map_freep) Map *present = map_new();
        NlDump d = { 0 };
        Attachment *a;
        NlLink link;
        uint64_t id;

        if (!present)
                return error_oom(e);
        int r = kernel_dump(m->nl, NL_DUMP_LINKS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links");
        for (size_t i = 0; i < d.n_links; i++) {
                if (map_put_str(present, d.links[i].name, m) == -ENOMEM) {
                        kernel_dump_clear(&d);
                        return error_oom(e);
                }
                if (strncmp(d.links[i].name, "nmg", 3) == 0 &&
                    parse_hex64(d.links[i].name + 3, &id) >= 0 && id > m->last_id)
                        m->last_id = id;
        }
        kernel_dump_clear(&d);
        MAP_FOREACH (a, m->host_ends)
                a->lost = !map_get_str(present, a->spec.host_ifname) &&
                          kernel_get_link(m->nl, a->spec.host_ifname, &link) == -ENODEV;
        return 0;
}

int manager_recover(Manager *m, Store *store, Error *e) {
        int r = end_other_boots(m, store, e);
        if (r >= 0)
                r = load_all(m, store, e);
        return r < 0 ? r : compare_links(m, e);
}

/* Of several networks, and the runtime's own interface had not come to be, or not to its end. */
static bool is_left_alone(const Attachment *a) {
        const Attachment *root = attachment_root(a);

        return a->spec.parent[0] && (root == a || root->state != ATTACHMENT_UP);
}

void manager_finish_recovery(Manager *m) {
        Attachment *a;
        Sandbox *s;

        MAP_FOREACH (a, m->attachments) {
                if (a->busy)
                        continue;
                if (a->state != ATTACHMENT_UP)
                        attachment_release(
                                        a, "recover",
                                        a->state == ATTACHMENT_RELEASING
                                                        ? "netmgrd ended while it was being released"
                                                        : "netmgrd ended in the middle of its ADD",
                                        NULL, NULL);
                else if (is_left_alone(a))
                        attachment_release(a, "recover", "the interface that it came with is gone",
                                           NULL, NULL);
        }
        MAP_FOREACH (s, m->sandboxes) {
                netns_watch_add(m->netns_watch, s);
                if (!sandbox_has_link(s) || sandbox_lost_link(s))
                        netns_watch_suspect(m->netns_watch, s);
        }
        networks_release_unused(m);
}

void manager_forget_objects(Manager *m) {
        Attachment *a;
        Sandbox *s;
        Network *n;

        if (!m->attachments || !m->sandboxes || !m->networks || !m->host_ends)
                return;
        MAP_FOREACH (a, m->attachments)
                attachment_free(a);
        MAP_FOREACH (s, m->sandboxes)
                sandbox_free(s);
        MAP_FOREACH (n, m->networks)
                network_free(n);
}
