/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See nft-fake.h. The state is a set of lines ("netmgr_np set ports", "… element KEY = DATA"), each a fact;
 * a transaction works on a copy. */

#include "nft-fake.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/parse.h"

typedef struct Facts {
        char **lines; /* owned, sorted */
        size_t n, allocated;
} Facts;

struct NftFake {
        Facts facts;
        unsigned n_sends, fail_at;
        int fail_r, get_table_r;
        bool fail_all, fail_after, no_owner, no_bridge;
        uint32_t foreign_owner;
};

typedef struct FakeSocket {
        NftSocket socket; /* first member */
        NftFake *fake;
} FakeSocket;

#define OUR_PORT 4711U

/* ---- facts ------------------------------------------------------------------------------------ */

static void facts_clear(Facts *f) {
        for (size_t i = 0; i < f->n; i++)
                free(f->lines[i]);
        free(f->lines);
        *f = (Facts) { 0 };
}

static Facts facts_copy(const Facts *f) {
        Facts copy = { .lines = calloc(f->n + 1, sizeof(char *)),
                       .n = f->n,
                       .allocated = f->n + 1 };

        for (size_t i = 0; i < f->n; i++)
                copy.lines[i] = strdup(f->lines[i]);
        return copy;
}

/* The index of the first line that is not less. */
static size_t facts_at(const Facts *f, const char *line) {
        size_t low = 0, high = f->n;

        while (low < high) {
                size_t mid = (low + high) / 2;
                if (strcmp(f->lines[mid], line) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static const char *facts_find(const Facts *f, const char *prefix) {
        size_t i = facts_at(f, prefix);
        return i < f->n && strncmp(f->lines[i], prefix, strlen(prefix)) == 0 ? f->lines[i] : NULL;
}

static void facts_add(Facts *f, const char *line) {
        size_t i = facts_at(f, line);

        if (i < f->n && streq(f->lines[i], line))
                return;
        if (GREEDY_REALLOC(f->lines, f->allocated, f->n + 1) < 0)
                abort();
        memmove(&f->lines[i + 1], &f->lines[i], (f->n - i) * sizeof(char *));
        f->lines[i] = strdup(line);
        f->n++;
}

/* Everything that begins so; how many. */
static size_t facts_remove(Facts *f, const char *prefix) {
        size_t first = facts_at(f, prefix), last = first;

        while (last < f->n && strncmp(f->lines[last], prefix, strlen(prefix)) == 0)
                free(f->lines[last++]);
        memmove(&f->lines[first], &f->lines[last], (f->n - last) * sizeof(char *));
        f->n -= last - first;
        return last - first;
}

/* ---- messages --------------------------------------------------------------------------------- */

typedef struct Attributes {
        const struct nlattr *tb[64];
} Attributes;

static int collect(const struct nlattr *attr, void *data) {
        Attributes *a = data;

        if (mnl_attr_get_type(attr) < ELEMENTSOF(a->tb))
                a->tb[mnl_attr_get_type(attr)] = attr;
        return MNL_CB_OK;
}

static Attributes read_message(const struct nlmsghdr *h) {
        Attributes a = { 0 };
        (void) mnl_attr_parse(h, sizeof(struct nfgenmsg), collect, &a);
        return a;
}

static Attributes read_nested(const struct nlattr *attr) {
        Attributes a = { 0 };
        if (attr)
                (void) mnl_attr_parse_nested(attr, collect, &a);
        return a;
}

static const char *text(const struct nlattr *attr) {
        return attr ? mnl_attr_get_str(attr) : "";
}

/* Without the padding between attributes, which has no meaning and no value. */
static void put_attribute(FILE *f, const struct nlattr *attr) {
        const struct nlattr *item;

        if (attr->nla_type & NLA_F_NESTED) {
                fprintf(f, "{%u", mnl_attr_get_type(attr));
                mnl_attr_for_each_nested(item, attr) put_attribute(f, item);
                fputc('}', f);
                return;
        }
        fprintf(f, "%u:", mnl_attr_get_type(attr));
        for (size_t i = 0; i < mnl_attr_get_payload_len(attr); i++)
                fprintf(f, "%02x", ((const uint8_t *) mnl_attr_get_payload(attr))[i]);
        fputc(' ', f);
}

static char *hex(const struct nlattr *attr) {
        char *s = NULL;
        size_t size;
        FILE *f = open_memstream(&s, &size);

        if (attr)
                put_attribute(f, attr);
        fclose(f);
        return s;
}

static int new_table(NftFake *fake, Facts *f, const struct nlmsghdr *h, const Attributes *a) {
        const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(h);
        uint32_t flags = a->tb[NFTA_TABLE_FLAGS] ? ntohl(mnl_attr_get_u32(a->tb[NFTA_TABLE_FLAGS]))
                                                 : 0;
        _cleanup_free_ char *line = strf("%s table flags %u", text(a->tb[NFTA_TABLE_NAME]), flags);
        _cleanup_free_ char *any = strf("%s table", text(a->tb[NFTA_TABLE_NAME]));

        if (fake->no_owner && flags)
                return -EOPNOTSUPP;
        if (fake->no_bridge && nfg->nfgen_family == NFPROTO_BRIDGE)
                return -EAFNOSUPPORT;
        if (facts_find(f, any))
                return -EOPNOTSUPP; /* our code never adds one that is there */
        facts_add(f, line);
        return 0;
}

static int new_set(Facts *f, const Attributes *a) {
        _cleanup_free_ char *line =
                        strf("%s set %s", text(a->tb[NFTA_SET_TABLE]), text(a->tb[NFTA_SET_NAME]));
        _cleanup_free_ char *table = strf("%s table", text(a->tb[NFTA_SET_TABLE]));

        if (!facts_find(f, table))
                return -ENOENT;
        facts_add(f, line);
        return 0;
}

static int new_chain(Facts *f, const Attributes *a) {
        _cleanup_free_ char *line = strf("%s chain %s", text(a->tb[NFTA_CHAIN_TABLE]),
                                         text(a->tb[NFTA_CHAIN_NAME]));
        _cleanup_free_ char *table = strf("%s table", text(a->tb[NFTA_CHAIN_TABLE]));

        if (!facts_find(f, table))
                return -ENOENT;
        facts_add(f, line);
        return 0;
}

static bool facts_have(const Facts *f, const char *line) {
        size_t i = facts_at(f, line);
        return i < f->n && streq(f->lines[i], line);
}

/* Sets that its expressions look up, and the chain that it jumps to, must be there. */
static int check_expressions(const Facts *f, const char *table, const struct nlattr *list) {
        const struct nlattr *item;

        mnl_attr_for_each_nested(item, list) {
                Attributes e = read_nested(item);
                Attributes d = read_nested(e.tb[NFTA_EXPR_DATA]);
                _cleanup_free_ char *wanted = NULL;

                if (streq(text(e.tb[NFTA_EXPR_NAME]), "lookup"))
                        wanted = strf("%s set %s", table, text(d.tb[NFTA_LOOKUP_SET]));
                if (streq(text(e.tb[NFTA_EXPR_NAME]), "immediate")) {
                        Attributes value = read_nested(d.tb[NFTA_IMMEDIATE_DATA]);
                        Attributes verdict = read_nested(value.tb[NFTA_DATA_VERDICT]);
                        if (verdict.tb[NFTA_VERDICT_CHAIN])
                                wanted = strf("%s chain %s", table,
                                              text(verdict.tb[NFTA_VERDICT_CHAIN]));
                }
                if (wanted && !facts_have(f, wanted))
                        return -ENOENT;
        }
        return 0;
}

static int new_rule(Facts *f, const Attributes *a) {
        const char *table = text(a->tb[NFTA_RULE_TABLE]);
        _cleanup_free_ char *chain = strf("%s chain %s", table, text(a->tb[NFTA_RULE_CHAIN]));
        _cleanup_free_ char *body = hex(a->tb[NFTA_RULE_EXPRESSIONS]);
        _cleanup_free_ char *prefix = strf("%s rule %s ", table, text(a->tb[NFTA_RULE_CHAIN]));
        size_t n = 0;

        if (!facts_have(f, chain))
                return -ENOENT;
        for (size_t i = facts_at(f, prefix);
             i < f->n && strncmp(f->lines[i], prefix, strlen(prefix)) == 0; i++)
                n++;
        _cleanup_free_ char *line = strf("%s%04zu %s", prefix, n, body);
        facts_add(f, line);
        return check_expressions(f, table, a->tb[NFTA_RULE_EXPRESSIONS]);
}

static int one_element(Facts *f, const char *set, bool add, const struct nlattr *item) {
        Attributes e = read_nested(item);
        Attributes k = read_nested(e.tb[NFTA_SET_ELEM_KEY]),
                   d = read_nested(e.tb[NFTA_SET_ELEM_DATA]);
        Attributes end = read_nested(e.tb[NFTA_SET_ELEM_KEY_END]);
        _cleanup_free_ char *key = hex(k.tb[NFTA_DATA_VALUE]), *data = hex(d.tb[NFTA_DATA_VALUE]);
        _cleanup_free_ char *key_end = hex(end.tb[NFTA_DATA_VALUE]),
                            *expr = hex(e.tb[NFTA_SET_ELEM_EXPR]);
        uint32_t flags = e.tb[NFTA_SET_ELEM_FLAGS]
                                         ? ntohl(mnl_attr_get_u32(e.tb[NFTA_SET_ELEM_FLAGS]))
                                         : 0;
        _cleanup_free_ char *prefix = strf("%s element %s %s/%u =", set, key, key_end, flags);
        _cleanup_free_ char *line = strf("%s %s %s", prefix, data, expr);
        const char *there = facts_find(f, prefix);

        if (!add)
                return facts_remove(f, prefix) > 0 ? 0 : -ENOENT;
        if (there) {
                /* the same data: success, and the old limit stays */
                _cleanup_free_ char *same = strf("%s %s ", prefix, data);
                return strncmp(there, same, strlen(same)) == 0 ? 0 : -EEXIST;
        }
        facts_add(f, line);
        return 0;
}

static int elements(Facts *f, const Attributes *a, bool add) {
        const char *table = text(a->tb[NFTA_SET_ELEM_LIST_TABLE]),
                   *name = text(a->tb[NFTA_SET_ELEM_LIST_SET]);
        _cleanup_free_ char *set = strf("%s set %s", table, name),
                            *key = strf("%s %s", table, name);
        const struct nlattr *list = a->tb[NFTA_SET_ELEM_LIST_ELEMENTS], *item;
        int r = 0, n = 0;

        if (!facts_have(f, set))
                return -ENOENT;
        if (list)
                mnl_attr_for_each_nested(item, list) {
                        if (r >= 0)
                                r = one_element(f, key, add, item);
                        n++;
                }
        if (!add && n == 0) {
                _cleanup_free_ char *all = strf("%s element ", key);
                (void) facts_remove(f, all);
        }
        return r;
}

static int carry_out(NftFake *fake, Facts *f, const struct nlmsghdr *h) {
        Attributes a = read_message(h);

        switch (h->nlmsg_type & 0xff) {
        case NFT_MSG_NEWTABLE:
                return new_table(fake, f, h, &a);
        case NFT_MSG_DELTABLE: {
                _cleanup_free_ char *all = strf("%s ", text(a.tb[NFTA_TABLE_NAME]));
                return facts_remove(f, all) > 0 ? 0 : -ENOENT;
        }
        case NFT_MSG_NEWSET:
                return new_set(f, &a);
        case NFT_MSG_NEWCHAIN:
                return new_chain(f, &a);
        case NFT_MSG_NEWRULE:
                return new_rule(f, &a);
        case NFT_MSG_NEWSETELEM:
        case NFT_MSG_DELSETELEM:
                return elements(f, &a, (h->nlmsg_type & 0xff) == NFT_MSG_NEWSETELEM);
        default:
                return -EINVAL;
        }
}

static int fake_send(NftSocket *s, NftBatch *b) {
        NftFake *fake = ((FakeSocket *) s)->fake;
        bool fail = ++fake->n_sends == fake->fail_at || fake->fail_all;
        Facts next = facts_copy(&fake->facts);
        int left = (int) b->size, r = 0;

        if (fail && !fake->fail_after) {
                facts_clear(&next);
                return -fake->fail_r;
        }
        for (const struct nlmsghdr *h = (void *) b->buffer; r >= 0 && mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left)) {
                if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
                        continue; /* begin and end of the batch */
                r = carry_out(fake, &next, h);
                if (r < 0)
                        b->failed_seq = h->nlmsg_seq;
        }
        if (r < 0) {
                facts_clear(&next);
                return r;
        }
        facts_clear(&fake->facts);
        fake->facts = next;
        return fail ? -fake->fail_r : 0;
}

static int fake_get_table(NftSocket *s, const NftTable *t, NftTableState *ret) {
        NftFake *fake = ((FakeSocket *) s)->fake;
        _cleanup_free_ char *any = strf("%s table", t->name);

        if (fake->get_table_r)
                return -fake->get_table_r;
        *ret = (NftTableState) { .exists = facts_find(&fake->facts, any) != NULL };
        if (fake->foreign_owner) {
                ret->exists = true;
                ret->owner = fake->foreign_owner;
        }
        return 0;
}

static uint32_t fake_port_id(NftSocket *s) {
        return OUR_PORT;
}

static void fake_close(NftSocket *s) {
        free(s);
}

static const NftSocketOps fake_ops = {
        .send = fake_send, .get_table = fake_get_table, .port_id = fake_port_id, .close = fake_close
};

/* ---- control ---------------------------------------------------------------------------------- */

NftFake *nft_fake_new(void) {
        return new0(NftFake, 1);
}

void nft_fake_free(NftFake *f) {
        facts_clear(&f->facts);
        free(f);
}

NftSocket *nft_fake_socket(NftFake *f) {
        FakeSocket *s = new0(FakeSocket, 1);

        s->socket.ops = &fake_ops;
        s->fake = f;
        return &s->socket;
}

void nft_fake_fail(NftFake *f, unsigned nth, int r, bool after) {
        f->fail_at = f->n_sends + nth;
        f->fail_r = r;
        f->fail_after = after;
}

void nft_fake_fail_all(NftFake *f, int r, bool after) {
        f->fail_all = r != 0;
        f->fail_at = 0;
        f->fail_r = r;
        f->fail_after = after;
}

void nft_fake_fail_get_table(NftFake *f, int r) {
        f->get_table_r = r;
}

void nft_fake_flush(NftFake *f) {
        facts_clear(&f->facts);
}

void nft_fake_refuse_owner(NftFake *f) {
        f->no_owner = true;
}

void nft_fake_refuse_bridge(NftFake *f) {
        f->no_bridge = true;
}

void nft_fake_set_foreign_owner(NftFake *f, uint32_t port) {
        f->foreign_owner = port;
}

char *nft_fake_dump(const NftFake *f) {
        char *s = NULL;
        size_t size;
        FILE *out = open_memstream(&s, &size);

        for (size_t i = 0; i < f->facts.n; i++)
                fprintf(out, "%s\n", f->facts.lines[i]);
        fclose(out);
        return s;
}

unsigned nft_fake_n_sends(const NftFake *f) {
        return f->n_sends;
}
