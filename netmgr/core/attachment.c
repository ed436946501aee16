/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attachment object: its maps, its row, its leases. */

#include "core/attachment.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/delegate.h"
#include "core/dhcp.h"
#include "core/netns-watch.h"
#include "core/network-extra.h"
#include "core/network-status.h"
#include "core/nic.h"
#include "core/ports.h"

static const char *const state_names[_ATTACHMENT_STATE_MAX] = {
        [ATTACHMENT_PLANNED] = "planned",
        [ATTACHMENT_WIRING] = "wiring",
        [ATTACHMENT_UP] = "up",
        [ATTACHMENT_RELEASING] = "releasing",
};

const char *attachment_state_to_string(AttachmentState state) {
        return state >= 0 && state < _ATTACHMENT_STATE_MAX ? state_names[state] : "unknown";
}

AttachmentState attachment_state_from_string(const char *s) {
        for (int i = 0; i < _ATTACHMENT_STATE_MAX; i++)
                if (streq(state_names[i], s))
                        return i;
        return _ATTACHMENT_STATE_INVALID;
}

Attachment *attachment_find(const Manager *m, const char *sandbox, const char *ifname) {
        const Sandbox *s = sandbox_find(m, sandbox);
        Attachment *a;

        if (s)
                LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                        if (streq(a->spec.ifname, ifname))
                                return a;
        return NULL;
}

bool attachment_is_of(const Attachment *a, const char *cni_name) {
        return streq_ptr(a->spec.cni_name, cni_name) || streq_ptr(a->spec.called, cni_name) ||
               streq(a->network->name, cni_name);
}

bool attachment_has_drifted(const Attachment *a) {
        const Network *n = a->network;
        char hash[HASH_STR_SIZE];

        /* What hangs on others' interfaces hangs on the name only, unless we had them made. Rows of old schemas have
         * no hash. */
        if (!a->config_hash[0] || (a->spec.kind == NET_KIND_FOREIGN && !n->list))
                return false;
        return !streq(a->config_hash, hash_format(network_hash(n), hash));
}

bool attachment_is_meant(const Attachment *a, const char *cni_name) {
        return a->spec.imported || attachment_is_of(a, cni_name);
}

/* The one place that links an attachment to its sandbox, network and the Manager's maps. */
static int attachment_link(Attachment *a, Network *n, Sandbox *s) {
        Manager *m = a->manager;

        int r = map_put_u64(m->attachments, a->spec.id, a);
        if (r < 0)
                return r;
        if (a->spec.host_ifname[0]) {
                r = map_put_str(m->host_ends, a->spec.host_ifname, a);
                if (r < 0) {
                        map_remove_u64(m->attachments, a->spec.id);
                        return r;
                }
        }
        a->network = n;
        n->n_attachments++;
        a->sandbox = s;
        list_append(&s->attachments, &a->by_sandbox);
        s->n_attachments++;
        return 0;
}

static int new_of_kind(Manager *m, Network *n, Sandbox *s, const char *ifname, NetKind kind,
                       Attachment **ret) {
        Attachment *a = new0(Attachment, 1);
        if (!a)
                return -ENOMEM;

        a->manager = m;
        a->netns_pin = -EBADF;
        list_init(&a->waiters);
        a->state = ATTACHMENT_PLANNED;
        a->spec.id = ++m->last_id;
        a->spec.kind = kind;
        a->created_usec = now_realtime();
        a->created_boot_usec = now_boottime();
        snprintf(a->spec.ifname, sizeof(a->spec.ifname), "%s", ifname);
        if (kind_has_host_end(kind))
                snprintf(a->spec.host_ifname, sizeof(a->spec.host_ifname), "nmg%" PRIx64,
                         a->spec.id);
        hash_format(network_hash(n), a->config_hash);

        int r = attachment_link(a, n, s);
        if (r < 0) {
                free(a);
                return r;
        }
        *ret = a;
        return 0;
}

int attachment_new(Manager *m, Network *n, Sandbox *s, const char *ifname, Attachment **ret) {
        return new_of_kind(m, n, s, ifname, n->conf->kind, ret);
}

int attachment_new_foreign(Manager *m, Network *n, Sandbox *s, const char *ifname,
                           Attachment **ret) {
        return new_of_kind(m, n, s, ifname, NET_KIND_FOREIGN, ret);
}

static void wake_waiters(Attachment *a) {
        List all;

        /* A woken waiter may make the attachment busy again, or free it. */
        list_init(&all);
        while (!list_is_empty(&a->waiters)) {
                List *first = a->waiters.next;
                list_unlink(first);
                list_append(&all, first);
        }
        while (!list_is_empty(&all)) {
                AttachmentWaiter *w = list_entry(all.next, AttachmentWaiter, list);
                list_unlink(&w->list);
                w->idle(w);
        }
}

void attachment_pin(Attachment *a, int netns_fd) {
        if (!a->spec.nic) {
                safe_close(netns_fd);
                return;
        }
        safe_close(a->netns_pin);
        a->netns_pin = netns_fd;
}

void attachment_pin_path(Attachment *a) {
        if (a->spec.nic && a->netns_pin < 0)
                a->netns_pin = open(a->sandbox->netns_path,
                                    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

void attachment_set_idle(Attachment *a) {
        a->busy = false;
        a->settled_usec = now_monotonic();
        /* It vanished while the operation went on, and then nobody looked. */
        if (a->lost && a->state == ATTACHMENT_UP)
                netns_watch_suspect(a->manager->netns_watch, a->sandbox);
        if (a->state == ATTACHMENT_UP)
                network_status_changed(a->sandbox);
        wake_waiters(a);
}

Attachment *attachment_free(Attachment *a) {
        if (!a)
                return NULL;

        Manager *m = a->manager;
        if (a->announced && m->observer.attachment_removed)
                m->observer.attachment_removed(a, m->observer.userdata);
        m->n_nics_home += a->spec.nic != NULL;
        a->dhcp = dhcp_binding_free(a->dhcp);
        attachment_give_back_all_ports(a);
        attachment_set_host_ifindex(a, 0);
        map_remove_u64(m->attachments, a->spec.id);
        if (a->spec.host_ifname[0])
                map_remove_str(m->host_ends, a->spec.host_ifname);
        if (a->sandbox) {
                network_extra_left(a);
                list_unlink(&a->by_sandbox);
                a->sandbox->n_attachments--;
                a->network->n_attachments--;
                if (a->state == ATTACHMENT_UP)
                        network_status_changed(a->sandbox);
        }
        Sandbox *s = a->sandbox;
        Network *n = a->network;
        a->sandbox = NULL;
        a->network = NULL;
        wake_waiters(a);

        attachment_drop_delegates(a);
        safe_close(a->netns_pin);
        spec_clear(&a->spec);
        free(a->leases);
        free(a->request);
        free(a->result);
        free(a);
        if (s)
                sandbox_release_if_unused(s);
        if (n)
                network_release_if_unused(n);
        return NULL;
}

void attachment_set_host_ifindex(Attachment *a, uint32_t ifindex) {
        Map *map = a->manager->host_ifindexes;

        if (a->host_ifindex && map_get_u64(map, a->host_ifindex) == a)
                map_remove_u64(map, a->host_ifindex);
        a->host_ifindex = ifindex;
        if (!ifindex)
                return;
        /* A number that is used again is the newer one's. Without memory only its events are missed. */
        map_remove_u64(map, ifindex);
        (void) map_put_u64(map, ifindex, a);
}

void attachment_announce(Attachment *a) {
        const ManagerObserver *o = &a->manager->observer;

        if (a->announced)
                return;
        if (!a->sandbox->announced) {
                a->sandbox->announced = true;
                if (o->sandbox_added)
                        o->sandbox_added(a->sandbox, o->userdata);
        }
        a->announced = true;
        if (o->attachment_added)
                o->attachment_added(a, o->userdata);
}

void attachment_set_state(Attachment *a, AttachmentState state) {
        const ManagerObserver *o = &a->manager->observer;

        if (a->state == state && a->announced)
                return;
        bool told = a->state == ATTACHMENT_UP || state == ATTACHMENT_UP;
        a->state = state;
        if (state == ATTACHMENT_UP)
                attachment_announce(a);
        if (a->announced && o->attachment_changed)
                o->attachment_changed(a, o->userdata);
        if (told)
                network_status_changed(a->sandbox);
}

void attachment_to_row(const Attachment *a, char *plan, AttachmentRow *ret) {
        *ret = (AttachmentRow) {
                .id = a->spec.id,
                .network = a->network->name,
                .sandbox = a->sandbox->id,
                .ifname = (char *) a->spec.ifname,
                .kind = (char *) net_kind_to_string(a->spec.kind),
                .state = (char *) attachment_state_to_string(a->state),
                .request = a->request,
                .result = a->result,
                .host_ifname = a->spec.host_ifname[0] ? (char *) a->spec.host_ifname : NULL,
                .host_ifindex = a->host_ifindex,
                .mtu = a->spec.mtu,
                .config_hash = (char *) a->config_hash,
                .plan = plan,
                .created_usec = a->created_usec,
                .created_boot_usec = a->created_boot_usec,
        };
        memcpy(ret->host_mac, a->spec.host_mac.bytes, sizeof(ret->host_mac));
        memcpy(ret->mac, a->spec.mac.bytes, sizeof(ret->mac));
}

static int load_spec(Attachment *a, const AttachmentRow *row, Error *e) {
        a->spec.id = row->id;
        a->spec.kind = net_kind_from_string(row->kind);
        a->state = attachment_state_from_string(row->state);
        if (a->spec.kind < 0 || a->state < 0)
                return error_setf(e, ERROR_LEDGER,
                                  "attachment %" PRIu64 ": unknown kind \"%s\" or state \"%s\"",
                                  row->id, row->kind, row->state);
        snprintf(a->spec.ifname, sizeof(a->spec.ifname), "%s", row->ifname);
        snprintf(a->spec.host_ifname, sizeof(a->spec.host_ifname), "%s",
                 strempty(row->host_ifname));
        snprintf(a->config_hash, sizeof(a->config_hash), "%s", strempty(row->config_hash));
        memcpy(a->spec.host_mac.bytes, row->host_mac, sizeof(row->host_mac));
        memcpy(a->spec.mac.bytes, row->mac, sizeof(row->mac));
        a->spec.mtu = row->mtu;
        attachment_set_host_ifindex(a, row->host_ifindex);
        a->created_usec = row->created_usec;
        a->created_boot_usec = row->created_boot_usec;
        return spec_from_json(row->plan, &a->spec, e);
}

int attachment_load(Manager *m, AttachmentRow *row, Error *e) {
        Network *n = network_find(m, row->network);
        Sandbox *s = sandbox_find(m, row->sandbox);
        if (!n || !s)
                return error_setf(e, ERROR_LEDGER,
                                  "attachment %" PRIu64 " has no network or sandbox", row->id);

        Attachment *a = new0(Attachment, 1);
        if (!a)
                return error_oom(e);
        a->manager = m;
        a->netns_pin = -EBADF;
        list_init(&a->waiters);
        int r = load_spec(a, row, e);
        if (r >= 0)
                r = attachment_link(a, n, s);
        if (r < 0) {
                spec_clear(&a->spec);
                free(a);
                return r;
        }
        if (a->spec.portmap && network_set_portmap(n, a->spec.portmap, NULL) < 0)
                log_warning("attachment %" PRIu64 ": what its host ports may do cannot be read",
                            a->spec.id);
        a->request = TAKE_PTR(row->request);
        a->result = TAKE_PTR(row->result);
        a->announced = s->announced = a->state == ATTACHMENT_UP;
        return 0;
}

int attachment_load_address(Manager *m, const AddressRow *row) {
        LeaseHolder h = { .attachment = row->attachment,
                          .network = row->network,
                          .sandbox = row->sandbox,
                          .ifname = row->ifname,
                          .owner = row->owner,
                          .terms = { .sticky_sec = row->sticky_sec,
                                     .has_rest = row->has_rest,
                                     .rest_sec = row->rest_sec } };
        Attachment *a = row->attachment ? map_get_u64(m->attachments, row->attachment) : NULL;
        Lease *l;

        int r = ipam_load_lease(m->ipam, row->pool, &row->address, row->set_index, &h,
                                row->released_usec, &l);
        if (r < 0 || !a)
                return r;

        Lease **leases = reallocarray(a->leases, a->n_leases + 1, sizeof(Lease *));
        if (!leases)
                return -ENOMEM;
        a->leases = leases;
        a->leases[a->n_leases++] = l;

        /* Of a foreign interface the plan's column has them, too. */
        for (size_t i = 0; i < a->spec.n_addresses; i++)
                if (in_addr_equal(&a->spec.addresses[i].address.address, &row->address.address))
                        return 0;
        SpecAddress *more = reallocarray(a->spec.addresses, a->spec.n_addresses + 1,
                                         sizeof(SpecAddress));
        if (!more)
                return -ENOMEM;
        a->spec.addresses = more;
        more[a->spec.n_addresses++] =
                        (SpecAddress) { .address = row->address, .gateway = row->gateway };
        return 0;
}

PortRow attachment_port_row(const Attachment *a, const SpecPort *port) {
        return (PortRow) { .attachment = a->spec.id,
                           .host = port->host,
                           .protocol = port->protocol,
                           .host_port = port->host_port,
                           .container_port = port->container_port };
}

ShapingRow attachment_shaping_row(const Attachment *a) {
        const NetBandwidth *b = &a->spec.bandwidth;

        return (ShapingRow) { .attachment = a->spec.id,
                              .mode = (char *) net_shaping_mode_to_string(a->spec.shaping_mode),
                              .ingress_rate = b->ingress_rate,
                              .ingress_burst = b->ingress_burst,
                              .egress_rate = b->egress_rate,
                              .egress_burst = b->egress_burst };
}

int attachment_load_port(Manager *m, const PortRow *row, Error *e) {
        Attachment *a = map_get_u64(m->attachments, row->attachment);
        SpecPort p = { .host = row->host,
                       .protocol = row->protocol,
                       .host_port = row->host_port,
                       .container_port = row->container_port };

        if (!a)
                return 0;
        SpecPort *more = reallocarray(a->spec.ports, a->spec.n_ports + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        a->spec.ports = more;
        int r = port_table_take(m->ports, a, &p, e);
        if (r >= 0)
                more[a->spec.n_ports++] = p;
        return r;
}

int attachment_load_shaping(Manager *m, const ShapingRow *row, Error *e) {
        Attachment *a = map_get_u64(m->attachments, row->attachment);

        if (!a)
                return 0;
        a->spec.shaping_mode = net_shaping_mode_from_string(row->mode);
        if (a->spec.shaping_mode < 0)
                return error_setf(e, ERROR_LEDGER,
                                  "attachment %" PRIu64 ": unknown shaping mode \"%s\"",
                                  row->attachment, row->mode);
        a->spec.bandwidth = (NetBandwidth) { .ingress_rate = row->ingress_rate,
                                             .ingress_burst = row->ingress_burst,
                                             .egress_rate = row->egress_rate,
                                             .egress_burst = row->egress_burst };
        return 0;
}

void attachment_release_leases(Attachment *a, uint64_t now_usec) {
        for (size_t i = 0; i < a->n_leases; i++)
                ipam_release(a->manager->ipam, a->leases[i], now_usec);
        a->n_leases = 0;
}

void attachment_forget_leases(Attachment *a) {
        for (size_t i = 0; i < a->n_leases; i++)
                ipam_forget(a->manager->ipam, a->leases[i]);
        a->n_leases = 0;
}

char *attachment_addresses_text(const Attachment *a) {
        size_t n = a->spec.n_addresses;
        char *all = strdup("");

        /* Nothing is known of the interface yet but what its plugin was given. */
        for (size_t i = 0; all && i < (n ? n : a->n_leases); i++) {
                InPrefix p = n ? a->spec.addresses[i].address
                               : (InPrefix) { .address = a->leases[i]->address,
                                              .length = a->leases[i]->prefix_length };
                char *more = strf("%s%s%s", all, i ? "," : "", IN_PREFIX_STR(&p));
                free(all);
                all = more;
        }
        return all;
}
