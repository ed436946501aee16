/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctnetlink over libmnl; see conntrack.h. Source: linux/netfilter/nfnetlink_conntrack.h. */

#include "policy/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/time.h>

#include "base/limits.h"

/* Entries deleted in one pass (10 MB); what is left then is found by the next one. */
#define VICTIMS_MAX 65536U
/* So that a flood of new flows cannot hold the thread: 4 million entries. */
#define PASSES_MAX 64
/* A dump that the kernel could not finish is tried again. */
#define DUMP_TRIES 3

struct ConntrackSocket {
        struct mnl_socket *nl;
        uint32_t seq;
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
};

typedef struct Tuple {
        InAddr source, destination;
        uint8_t protocol;
        uint16_t port; /* of the destination, host order */
} Tuple;

/* What a deletion needs: the kernel's own attribute of the original tuple, and the entry's id, so
 * that a successor with the same tuple is left alone. */
typedef struct Victim {
        uint8_t family;
        uint16_t tuple_size, zone;
        uint32_t id;
        bool has_id, has_zone;
        uint8_t tuple[128];
} Victim;

typedef struct Pass {
        FlowFilter *ports; /* owned; the filters of each kind */
        InAddr *addresses; /* owned; sorted: every entry is looked up four times */
        size_t n_ports, n_addresses;
        Victim *victims; /* owned */
        size_t n_victims, allocated;
        int error;
} Pass;

int conntrack_open(ConntrackSocket **ret, Error *e) {
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        ConntrackSocket *s = new0(ConntrackSocket, 1);

        if (!s)
                return error_oom(e);
        s->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        if (!s->nl || mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
            setsockopt(mnl_socket_get_fd(s->nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                       sizeof(timeout)) < 0) {
                int r = -errno;
                conntrack_close(s);
                return error_set_errnof(e, ERROR_KERNEL, r, "opening the conntrack socket");
        }
        *ret = s;
        return 0;
}

ConntrackSocket *conntrack_close(ConntrackSocket *s) {
        if (!s)
                return NULL;
        if (s->nl)
                mnl_socket_close(s->nl);
        free(s);
        return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------- */

typedef struct Attributes {
        const struct nlattr *tb[CTA_MAX + 1];
        uint16_t max;
} Attributes;

static int collect(const struct nlattr *attr, void *data) {
        Attributes *a = data;

        if (mnl_attr_get_type(attr) <= a->max)
                a->tb[mnl_attr_get_type(attr)] = attr;
        return MNL_CB_OK;
}

static Attributes nested(const struct nlattr *attr, uint16_t max) {
        Attributes a = { .max = max };

        if (attr)
                (void) mnl_attr_parse_nested(attr, collect, &a);
        return a;
}

static InAddr read_address(const Attributes *ip, uint16_t v4, uint16_t v6) {
        InAddr a = { .family = AF_UNSPEC };

        if (ip->tb[v4] && mnl_attr_get_payload_len(ip->tb[v4]) == 4) {
                a.family = AF_INET;
                memcpy(a.bytes, mnl_attr_get_payload(ip->tb[v4]), 4);
        } else if (ip->tb[v6] && mnl_attr_get_payload_len(ip->tb[v6]) == 16) {
                a.family = AF_INET6;
                memcpy(a.bytes, mnl_attr_get_payload(ip->tb[v6]), 16);
        }
        return a;
}

static Tuple read_tuple(const struct nlattr *attr) {
        Attributes t = nested(attr, CTA_TUPLE_MAX);
        Attributes ip = nested(t.tb[CTA_TUPLE_IP], CTA_IP_MAX);
        Attributes proto = nested(t.tb[CTA_TUPLE_PROTO], CTA_PROTO_MAX);
        Tuple tuple = { .source = read_address(&ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC),
                        .destination = read_address(&ip, CTA_IP_V4_DST, CTA_IP_V6_DST) };

        if (proto.tb[CTA_PROTO_NUM] && mnl_attr_get_payload_len(proto.tb[CTA_PROTO_NUM]) >= 1)
                tuple.protocol = mnl_attr_get_u8(proto.tb[CTA_PROTO_NUM]);
        if (proto.tb[CTA_PROTO_DST_PORT] &&
            mnl_attr_get_payload_len(proto.tb[CTA_PROTO_DST_PORT]) >= 2)
                tuple.port = ntohs(mnl_attr_get_u16(proto.tb[CTA_PROTO_DST_PORT]));
        return tuple;
}

static int compare_addresses(const void *a, const void *b) {
        return in_addr_compare(a, b);
}

static bool has_address(const Pass *p, const InAddr *a) {
        return p->n_addresses > 0 &&
               bsearch(a, p->addresses, p->n_addresses, sizeof(*a), compare_addresses);
}

static bool is_towards(const FlowFilter *f, const Tuple *original) {
        return original->port == f->port && original->protocol == f->protocol &&
               original->destination.family == f->address.family &&
               (in_addr_is_unspecified(&f->address) ||
                in_addr_equal(&f->address, &original->destination));
}

static bool is_meant(const Pass *p, const Tuple *original, const Tuple *reply) {
        if (has_address(p, &original->source) || has_address(p, &original->destination) ||
            has_address(p, &reply->source) || has_address(p, &reply->destination))
                return true;
        for (size_t i = 0; i < p->n_ports; i++)
                if (is_towards(&p->ports[i], original))
                        return true;
        return false;
}

static int add_victim(Pass *p, const struct nlmsghdr *h, const Attributes *a) {
        const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(h);
        uint16_t size = mnl_attr_get_payload_len(a->tb[CTA_TUPLE_ORIG]);
        Victim v = { .family = nfg->nfgen_family, .tuple_size = size };

        if (size > sizeof(v.tuple) || p->n_victims >= VICTIMS_MAX)
                return 0;
        if (GREEDY_REALLOC(p->victims, p->allocated, p->n_victims + 1) < 0)
                return -ENOMEM;
        memcpy(v.tuple, mnl_attr_get_payload(a->tb[CTA_TUPLE_ORIG]), size);
        if (a->tb[CTA_ID] && mnl_attr_get_payload_len(a->tb[CTA_ID]) >= 4) {
                v.has_id = true;
                v.id = mnl_attr_get_u32(a->tb[CTA_ID]);
        }
        if (a->tb[CTA_ZONE] && mnl_attr_get_payload_len(a->tb[CTA_ZONE]) >= 2) {
                v.has_zone = true;
                v.zone = mnl_attr_get_u16(a->tb[CTA_ZONE]);
        }
        p->victims[p->n_victims++] = v;
        return 0;
}

static int on_entry(const struct nlmsghdr *h, void *data) {
        Attributes a = { .max = CTA_MAX };
        Pass *p = data;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg) ||
            mnl_attr_parse(h, sizeof(struct nfgenmsg), collect, &a) < 0 || !a.tb[CTA_TUPLE_ORIG])
                return MNL_CB_OK;
        Tuple original = read_tuple(a.tb[CTA_TUPLE_ORIG]),
              reply = read_tuple(a.tb[CTA_TUPLE_REPLY]);
        if (p->error >= 0 && is_meant(p, &original, &reply))
                p->error = add_victim(p, h, &a);
        return MNL_CB_OK;
}

/* ---- asking ----------------------------------------------------------------------------------- */

static struct nlmsghdr *message(ConntrackSocket *s, uint16_t type, uint16_t flags, uint8_t family) {
        struct nlmsghdr *h = mnl_nlmsg_put_header(s->buffer);
        struct nfgenmsg *nfg;

        h->nlmsg_type = (uint16_t) (NFNL_SUBSYS_CTNETLINK << 8 | type);
        h->nlmsg_flags = NLM_F_REQUEST | flags;
        h->nlmsg_seq = ++s->seq;
        nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));
        nfg->nfgen_family = family;
        nfg->version = NFNETLINK_V0;
        return h;
}

/* What is left of an answer that nobody waited for (a timeout) must not become the next one's. */
static bool is_stale(const void *answer, size_t size, uint32_t seq) {
        const struct nlmsghdr *h = answer;

        return mnl_nlmsg_ok(h, (int) size) && h->nlmsg_seq != seq;
}

static int converse(ConntrackSocket *s, const struct nlmsghdr *h, mnl_cb_t on, void *data) {
        uint32_t seq = h->nlmsg_seq, port = mnl_socket_get_portid(s->nl);

        if (mnl_socket_sendto(s->nl, h, h->nlmsg_len) < 0)
                return -errno;
        for (;;) {
                ssize_t n = mnl_socket_recvfrom(s->nl, s->buffer, sizeof(s->buffer));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                if (is_stale(s->buffer, (size_t) n, seq))
                        continue;
                int r = mnl_cb_run(s->buffer, (size_t) n, seq, port, on, data);
                if (r < 0)
                        return -errno;
                if (r == MNL_CB_STOP)
                        return 0;
        }
}

static int on_stats(const struct nlmsghdr *h, void *data) {
        Attributes a = { .max = CTA_STATS_GLOBAL_MAX };

        if (mnl_nlmsg_get_payload_len(h) >= sizeof(struct nfgenmsg) &&
            mnl_attr_parse(h, sizeof(struct nfgenmsg), collect, &a) >= 0 &&
            a.tb[CTA_STATS_GLOBAL_ENTRIES] &&
            mnl_attr_get_payload_len(a.tb[CTA_STATS_GLOBAL_ENTRIES]) >= 4)
                *(uint32_t *) data = ntohl(mnl_attr_get_u32(a.tb[CTA_STATS_GLOBAL_ENTRIES]));
        return MNL_CB_OK;
}

/* Walking the table costs by its size even when nothing is in it. */
static bool table_is_empty(ConntrackSocket *s) {
        uint32_t entries = UINT32_MAX;

        return converse(s, message(s, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, AF_UNSPEC), on_stats,
                        &entries) >= 0 &&
               entries == 0;
}

static int delete_victim(ConntrackSocket *s, const Victim *v) {
        struct nlmsghdr *h = message(s, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, v->family);

        mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, v->tuple_size, v->tuple);
        if (v->has_id)
                mnl_attr_put_u32(h, CTA_ID, v->id);
        if (v->has_zone)
                mnl_attr_put_u16(h, CTA_ZONE, v->zone);
        return converse(s, h, NULL, NULL);
}

/* Collects the victims of one walk over the table. */
static int find_victims(ConntrackSocket *s, Pass *p) {
        int r = 0;

        for (int try = 0; try < DUMP_TRIES; try++) {
                p->n_victims = 0;
                r = converse(s, message(s, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC), on_entry, p);
                if (r != -EINTR && r != -ENOBUFS)
                        break;
        }
        return r < 0 ? r : p->error;
}

static int delete_victims(ConntrackSocket *s, const Pass *p, unsigned *deleted) {
        for (size_t i = 0; i < p->n_victims; i++) {
                int r = delete_victim(s, &p->victims[i]);
                if (r >= 0)
                        (*deleted)++;
                else if (r != -ENOENT) /* it ended by itself */
                        return r;
        }
        return 0;
}

static int sort_filters(Pass *p, const FlowFilter *filters, size_t n) {
        p->ports = new0(FlowFilter, n);
        p->addresses = new0(InAddr, n);
        if (!p->ports || !p->addresses)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (filters[i].what == FLOW_OF_PORT)
                        p->ports[p->n_ports++] = filters[i];
                else if (in_addr_is_set(&filters[i].address))
                        p->addresses[p->n_addresses++] = filters[i].address;
        if (p->n_addresses > 0)
                qsort(p->addresses, p->n_addresses, sizeof(InAddr), compare_addresses);
        return 0;
}

int conntrack_forget(ConntrackSocket *s, const FlowFilter *filters, size_t n, unsigned *ret_deleted,
                     Error *e) {
        Pass p = { 0 };

        *ret_deleted = 0;
        if (n == 0 || table_is_empty(s))
                return 0;
        int r = sort_filters(&p, filters, n);
        for (int i = 0; r >= 0 && i < PASSES_MAX; i++) {
                r = find_victims(s, &p);
                if (r >= 0)
                        r = delete_victims(s, &p, ret_deleted);
                if (p.n_victims < VICTIMS_MAX)
                        break;
        }
        free(p.victims);
        free(p.addresses);
        free(p.ports);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "forgetting flows") : 0;
}
