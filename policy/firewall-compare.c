/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See firewall-compare.h. */

#include "policy/firewall-compare.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/limits.h"
#include "base/macro.h"

#define DUMP_TRIES 5

/* What one dump fills. */
typedef struct Reading {
        PolicySet set;
        uint32_t group;
        ElementList elements;
        unsigned n_rules;
} Reading;

typedef struct Comparison {
        struct mnl_socket *nl;
        uint32_t seq;
        CompareFound found;
        void *userdata;
} Comparison;

static void copy_field(uint8_t *to, size_t max, const struct nftnl_set_elem *elem, uint16_t attr) {
        uint32_t size = 0;
        const void *data = nftnl_set_elem_get((struct nftnl_set_elem *) elem, attr, &size);

        if (data)
                memcpy(to, data, MIN_OF((size_t) size, max));
}

static int on_limit(struct nftnl_expr *expr, void *data) {
        Element *element = data;

        if (strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "limit") == 0) {
                element->rate = nftnl_expr_get_u64(expr, NFTNL_EXPR_LIMIT_RATE);
                element->burst = nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_BURST);
        }
        return 0;
}

static int on_element(struct nftnl_set_elem *elem, void *data) {
        Reading *reading = data;
        const PolicySetInfo *info = &policy_sets[reading->set];
        Element element = { .set = reading->set, .group = reading->group };

        copy_field(element.key, info->key_size, elem, NFTNL_SET_ELEM_KEY);
        copy_field(element.data, info->data_size, elem, NFTNL_SET_ELEM_DATA);
        /* A single expression is told by an attribute of its own. */
        if (info->limit && nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_EXPR)) {
                uint32_t size;
                (void) on_limit((struct nftnl_expr *) nftnl_set_elem_get(elem, NFTNL_SET_ELEM_EXPR,
                                                                         &size),
                                &element);
        } else if (info->limit)
                (void) nftnl_set_elem_expr_foreach(elem, on_limit, &element);
        if (element_list_append(&reading->elements, &element) < 0)
                reading->elements.error = -ENOMEM;
        return 0;
}

static int on_elements(const struct nlmsghdr *h, void *data) {
        struct nftnl_set *set = nftnl_set_alloc();

        if (!set)
                return MNL_CB_ERROR;
        if (nftnl_set_elems_nlmsg_parse(h, set) >= 0)
                (void) nftnl_set_elem_foreach(set, on_element, data);
        nftnl_set_free(set);
        return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *h _unused_, void *data) {
        ((Reading *) data)->n_rules++;
        return MNL_CB_OK;
}

/* -EINTR: somebody changed the tables meanwhile. */
static int receive_dump(Comparison *c, mnl_cb_t take, Reading *reading) {
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        bool interrupted = false;

        for (;;) {
                ssize_t n = mnl_socket_recvfrom(c->nl, buffer, sizeof(buffer));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                int left = (int) n;
                for (struct nlmsghdr *h = (void *) buffer; mnl_nlmsg_ok(h, left);
                     h = mnl_nlmsg_next(h, &left)) {
                        interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
                        h->nlmsg_flags &= (uint16_t) ~NLM_F_DUMP_INTR;
                }
                int r = mnl_cb_run(buffer, (size_t) n, c->seq, mnl_socket_get_portid(c->nl), take,
                                   reading);
                if (r < 0)
                        return -errno;
                if (r == MNL_CB_STOP)
                        return interrupted ? -EINTR : 0;
        }
}

static int dump_set(Comparison *c, Reading *reading) {
        uint8_t buffer[4096] __attribute__((aligned(8)));
        const NftTable *t = &policy_tables[policy_sets[reading->set].table];
        char name[NFT_NAME_MAX];
        struct nlmsghdr *h = nftnl_nlmsg_build_hdr((char *) buffer, NFT_MSG_GETSETELEM, t->family,
                                                   NLM_F_DUMP, ++c->seq);

        policy_set_name(reading->set, reading->group, name);
        mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, t->name);
        mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, name);
        if (mnl_socket_sendto(c->nl, h, h->nlmsg_len) < 0)
                return -errno;
        return receive_dump(c, on_elements, reading);
}

static int dump_rules(Comparison *c, PolicyTable table, Reading *reading) {
        uint8_t buffer[4096] __attribute__((aligned(8)));
        const NftTable *t = &policy_tables[table];
        struct nlmsghdr *h = nftnl_nlmsg_build_hdr((char *) buffer, NFT_MSG_GETRULE, t->family,
                                                   NLM_F_DUMP, ++c->seq);

        mnl_attr_put_strz(h, NFTA_RULE_TABLE, t->name);
        if (mnl_socket_sendto(c->nl, h, h->nlmsg_len) < 0)
                return -errno;
        return receive_dump(c, on_rule, reading);
}

static void tell(Comparison *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(Comparison *c, const char *format, ...) {
        char sentence[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(sentence, sizeof(sentence), format, ap);
        va_end(ap);
        c->found(sentence, c->userdata);
}

/* The run of expected elements that belongs to one set. */
static ElementList slice(const ElementList *all, size_t *from, PolicySet set, uint32_t group) {
        size_t start = *from, end = start;

        while (end < all->n && all->items[end].set == set && all->items[end].group == group)
                end++;
        *from = end;
        return (ElementList) { .items = all->items + start, .n = end - start };
}

static int compare_set(Comparison *c, const ElementList *want, PolicySet set, uint32_t group,
                       Error *e) {
        ElementList extra = { 0 }, missing = { 0 };
        Reading reading = { .set = set, .group = group };
        char name[NFT_NAME_MAX];
        int r = -EINTR;

        policy_set_name(set, group, name);
        for (int try = 0; r == -EINTR && try < DUMP_TRIES; try++) {
                element_list_clear(&reading.elements);
                r = dump_set(c, &reading);
        }
        if (r == -ENOENT) {
                tell(c, "set %s of table %s is missing", name,
                     policy_tables[policy_sets[set].table].name);
                r = 0;
        } else if (r < 0)
                r = error_set_errnof(e, ERROR_KERNEL, r, "listing set %s", name);
        else {
                element_list_sort(&reading.elements);
                r = elements_diff(&reading.elements, want, &extra, &missing);
                if (r < 0 || reading.elements.error < 0)
                        r = error_oom(e);
                else if (extra.n + missing.n > 0)
                        tell(c,
                             "set %s of table %s lacks %zu elements and has %zu that are not wanted",
                             name, policy_tables[policy_sets[set].table].name, missing.n, extra.n);
        }
        element_list_clear(&reading.elements);
        element_list_clear(&extra);
        element_list_clear(&missing);
        return r;
}

static int compare_rules(Comparison *c, const CompareExpect *expect, PolicyTable table, bool *ret,
                         Error *e) {
        Reading reading;
        int r = -EINTR;

        for (int try = 0; r == -EINTR && try < DUMP_TRIES; try++) {
                reading = (Reading) { 0 };
                r = dump_rules(c, table, &reading);
        }
        *ret = r >= 0 && reading.n_rules > 0;
        if (r < 0 && r != -ENOENT)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the rules of table %s",
                                        policy_tables[table].name);
        if (!*ret)
                tell(c, "table %s is missing, or empty", policy_tables[table].name);
        else if (reading.n_rules != expect->n_rules[table])
                tell(c, "table %s has %u rules, wanted %u", policy_tables[table].name,
                     reading.n_rules, expect->n_rules[table]);
        return 0;
}

static bool is_next(const CompareExpect *expect, size_t at, PolicySet set) {
        return at < expect->elements->n && expect->elements->items[at].set == set;
}

/* All sets that are there once; those of conditions only as far as something should be in them. */
static int compare_sets(Comparison *c, const CompareExpect *expect, const bool *present, Error *e) {
        size_t at = 0;

        for (PolicySet set = 0; set < _SET_MAX; set++)
                for (uint32_t group = 0;; group = expect->elements->items[at].group) {
                        ElementList want = slice(expect->elements, &at, set, group);

                        if (present[policy_sets[set].table] && !policy_sets[set].interval) {
                                int r = compare_set(c, &want, set, group, e);
                                if (r < 0)
                                        return r;
                        }
                        if (!is_next(expect, at, set))
                                break;
                }
        return 0;
}

int firewall_compare_tables(const CompareExpect *expect, CompareFound found, void *userdata,
                            Error *e) {
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        Comparison c = { .nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC),
                         .found = found,
                         .userdata = userdata };
        bool present[_TABLE_MAX] = { 0 };
        int r = 0;

        if (!c.nl || mnl_socket_bind(c.nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
            setsockopt(mnl_socket_get_fd(c.nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                       sizeof(timeout)) < 0)
                r = error_set_errnof(e, ERROR_KERNEL, errno, "opening an nftables socket");
        for (PolicyTable t = 0; t < _TABLE_MAX && r >= 0; t++)
                if (expect->table[t])
                        r = compare_rules(&c, expect, t, &present[t], e);
        if (r >= 0)
                r = compare_sets(&c, expect, present, e);
        if (c.nl)
                mnl_socket_close(c.nl);
        return r;
}
