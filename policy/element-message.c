/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See element-message.h. */

#include "policy/element-message.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <stdio.h>

#include "policy/ruleset-internal.h"

/* Elements in one message: the list attribute has a length of 16 bits, an element with comment and
 * limit needs at most some 350 bytes of it. */
#define ELEMENTS_PER_MESSAGE 160
/* Two elements of some 40 bytes each. */
#define RANGES_PER_MESSAGE 400

/* What nft prints of a comment; the kernel takes 256 bytes with its frame. */
#define COMMENT_MAX 128

int change_list_append(ChangeList *l, const ElementList *elements, const PolicyAttachment *who) {
        if (GREEDY_REALLOC(l->items, l->allocated, l->n + elements->n) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < elements->n; i++)
                l->items[l->n++] = (Change) { .element = elements->items[i], .who = who };
        return 0;
}

struct nftnl_expr *policy_limit_expr(const PolicyLimit *limit) {
        struct nftnl_expr *e = nftnl_expr_alloc("limit");

        if (!e)
                return NULL;
        nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, limit->rate);
        nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, 1); /* a second */
        nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, limit->burst);
        nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKT_BYTES);
        nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
        return e;
}

/* Elements that a person looks for by sandbox; the others have the interface in their key, or are of
 * several. */
static bool has_comment(PolicySet set) {
        return set == SET_PORTS || set == SET_BR_PORTS || policy_set_is_host_map(set);
}

static int add_comment(struct nftnl_set_elem *elem, const PolicyAttachment *who) {
        char text[COMMENT_MAX];
        struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

        if (!u)
                return -ENOMEM;
        snprintf(text, sizeof(text), "network=%.40s sandbox=%.64s", who->network, who->sandbox);
        nftnl_udata_put_strz(u, NFTNL_UDATA_SET_ELEM_COMMENT, text);
        int r = nftnl_set_elem_set(elem, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(u),
                                   nftnl_udata_buf_len(u));
        nftnl_udata_buf_free(u);
        return r < 0 ? -ENOMEM : 0;
}

static int add_element(struct nftnl_set *set, const Change *c, bool adding) {
        const PolicySetInfo *info = &policy_sets[c->element.set];
        struct nftnl_set_elem *elem = nftnl_set_elem_alloc();

        if (!elem)
                return -ENOMEM;
        nftnl_set_elem_add(set, elem);
        if (nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, c->element.key, info->key_size) < 0)
                return -ENOMEM;
        if (!adding)
                return 0;
        if (info->data_size > 0 &&
            nftnl_set_elem_set(elem, NFTNL_SET_ELEM_DATA, c->element.data, info->data_size) < 0)
                return -ENOMEM;
        if (info->limit) {
                struct nftnl_expr *e = policy_limit_expr(&(PolicyLimit) {
                                .rate = c->element.rate, .burst = c->element.burst });
                if (!e)
                        return -ENOMEM;
                nftnl_set_elem_add_expr(elem, e);
        }
        return c->who && has_comment(c->element.set) ? add_comment(elem, c->who) : 0;
}

static struct nftnl_set *set_of(PolicySet id, uint32_t group) {
        struct nftnl_set *set = nftnl_set_alloc();
        char name[NFT_NAME_MAX];

        policy_set_name(id, group, name);
        if (set && nftnl_set_set_str(set, NFTNL_SET_NAME, name) < 0) {
                nftnl_set_free(set);
                return NULL;
        }
        return set;
}

static int compare(const void *a, const void *b) {
        return memcmp(&((const Change *) a)->element, &((const Change *) b)->element,
                      sizeof(Element));
}

void change_list_build(ChangeList *l, NftBatch *b, uint16_t type) {
        size_t i = 0;

        if (l->n > 1)
                qsort(l->items, l->n, sizeof(Change), compare);
        while (i < l->n) {
                const Element *first = &l->items[i].element;
                struct nftnl_set *set = set_of(first->set, first->group);
                size_t end = MIN_OF(i + ELEMENTS_PER_MESSAGE, l->n);

                for (; set && i < end && l->items[i].element.set == first->set &&
                       l->items[i].element.group == first->group;
                     i++)
                        if (add_element(set, &l->items[i], type == NFT_MSG_NEWSETELEM) < 0)
                                b->error = -ENOMEM;
                nft_batch_elements(b, &policy_tables[policy_sets[first->set].table], type, set);
                if (b->error < 0)
                        return;
        }
}

/* ---- ranges ----------------------------------------------------------------------------------- */

/* A range in the kernel's tree: its first address, and the one behind its last as an end. A range up
 * to the top has no end. */
static int add_tree_range(struct nftnl_set *set, const AddressRange *range) {
        struct nftnl_set_elem *first = nftnl_set_elem_alloc(), *end;
        uint32_t size = family_bytes(range->first.family);
        InAddr behind;

        if (!first)
                return -ENOMEM;
        nftnl_set_elem_add(set, first);
        if (nftnl_set_elem_set(first, NFTNL_SET_ELEM_KEY, range->first.bytes, size) < 0)
                return -ENOMEM;
        if (!in_addr_add(&range->last, 1, &behind))
                return 0;
        end = nftnl_set_elem_alloc();
        if (!end)
                return -ENOMEM;
        nftnl_set_elem_add(set, end);
        nftnl_set_elem_set_u32(end, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
        return nftnl_set_elem_set(end, NFTNL_SET_ELEM_KEY, behind.bytes, size) < 0 ? -ENOMEM : 0;
}

/* group . first to group . last; the group in network order, as ranges are compared by bytes. */
static int add_group_range(struct nftnl_set *set, uint32_t group, const AddressRange *range) {
        struct nftnl_set_elem *elem = nftnl_set_elem_alloc();
        uint32_t size = 4 + family_bytes(range->first.family), order = htonl(group);
        uint8_t key[20], end[20];

        if (!elem)
                return -ENOMEM;
        nftnl_set_elem_add(set, elem);
        memcpy(key, &order, 4);
        memcpy(end, &order, 4);
        memcpy(key + 4, range->first.bytes, size - 4);
        memcpy(end + 4, range->last.bytes, size - 4);
        return nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, key, size) < 0 ||
                                               nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY_END, end,
                                                                  size) < 0
                               ? -ENOMEM
                               : 0;
}

typedef struct RangeList {
        AddressRange *items;
        size_t n, allocated;
} RangeList;

static int collect(RangeList *l, const InPrefix *prefixes, size_t n, int family) {
        for (size_t i = 0; i < n; i++) {
                if (prefixes[i].address.family != family)
                        continue;
                if (GREEDY_REALLOC(l->items, l->allocated, l->n + 1) < 0)
                        return -ENOMEM;
                l->items[l->n++] = address_range_of(&prefixes[i]);
        }
        return 0;
}

static int build_keep(NftBatch *b, PolicySet id, int family, PolicyNetwork *const *networks,
                      size_t n) {
        /* Nobody outside answers to multicast and link-local destinations with a node's address. */
        static const InPrefix always[] = {
                { .address = { .family = AF_INET, .bytes = { 224 } }, .length = 4 },
                { .address = { .family = AF_INET6, .bytes = { 0xff } }, .length = 8 },
                { .address = { .family = AF_INET6, .bytes = { 0xfe, 0x80 } }, .length = 10 },
        };
        _cleanup_free_ AddressRange *owned = NULL;
        RangeList l = { 0 };

        int r = collect(&l, always, ELEMENTSOF(always), family);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = collect(&l, networks[i]->subnets, networks[i]->n_subnets, family);
        owned = l.items;
        l.n = address_ranges_merge(l.items, l.n);
        for (size_t i = 0; i < l.n && r >= 0;) {
                struct nftnl_set *set = set_of(id, 0);
                size_t end = MIN_OF(i + RANGES_PER_MESSAGE, l.n);

                for (r = set ? 0 : -ENOMEM; i < end && r >= 0; i++)
                        r = add_tree_range(set, &l.items[i]);
                nft_batch_elements(b, &policy_tables[TABLE_NAT], NFT_MSG_NEWSETELEM, set);
        }
        if (r < 0)
                b->error = r;
        return r;
}

static int build_keepnet(NftBatch *b, PolicySet id, int family, PolicyNetwork *const *networks,
                         size_t n) {
        for (size_t i = 0; i < n; i++) {
                const PolicyNetwork *net = networks[i];
                _cleanup_free_ AddressRange *owned = NULL;
                RangeList l = { 0 };

                if (net->group == 0 || net->n_excludes == 0)
                        continue;
                int r = collect(&l, net->excludes, net->n_excludes, family);
                owned = l.items;
                if (r >= 0 && l.n == 0)
                        continue;
                l.n = address_ranges_merge(l.items, l.n);
                struct nftnl_set *set = r < 0 ? NULL : set_of(id, 0);
                for (size_t k = 0; set && k < l.n && r >= 0; k++)
                        r = add_group_range(set, net->group, &l.items[k]);
                if (r < 0)
                        b->error = r;
                nft_batch_elements(b, &policy_tables[TABLE_NAT], NFT_MSG_NEWSETELEM, set);
                if (b->error < 0)
                        return b->error;
        }
        return 0;
}

int ranges_build(NftBatch *b, bool empty_first, PolicyNetwork *const *networks, size_t n,
                 Error *e) {
        static const PolicySet sets[] = { SET_KEEP4, SET_KEEP6, SET_KEEPNET4, SET_KEEPNET6 };

        for (size_t i = 0; i < ELEMENTSOF(sets) && empty_first; i++)
                nft_batch_elements(b, &policy_tables[TABLE_NAT], NFT_MSG_DELSETELEM,
                                   set_of(sets[i], 0));
        if (build_keep(b, SET_KEEP4, AF_INET, networks, n) < 0 ||
            build_keep(b, SET_KEEP6, AF_INET6, networks, n) < 0 ||
            build_keepnet(b, SET_KEEPNET4, AF_INET, networks, n) < 0 ||
            build_keepnet(b, SET_KEEPNET6, AF_INET6, networks, n) < 0)
                return error_oom(e);
        return 0;
}
