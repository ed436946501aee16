/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages of one transaction; see nft-batch.h. */

#include "policy/nft-batch.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

/* Room for the largest message: its one list attribute is at most 64 KiB. */
#define MESSAGE_MAX (2U * 65536U)

void nft_batch_clear(NftBatch *b) {
        free(b->buffer);
        *b = (NftBatch) { 0 };
}

/* Where the next message goes; NULL once something failed. */
static void *room(NftBatch *b) {
        if (b->error < 0)
                return NULL;
        if (GREEDY_REALLOC(b->buffer, b->allocated, b->size + MESSAGE_MAX) < 0) {
                b->error = -ENOMEM;
                return NULL;
        }
        return b->buffer + b->size;
}

static void message_end(NftBatch *b, const struct nlmsghdr *nlh) {
        b->size += MNL_ALIGN(nlh->nlmsg_len);
        b->n_messages++;
}

static struct nlmsghdr *message_begin(NftBatch *b, const NftTable *t, uint16_t type,
                                      uint16_t flags) {
        void *at = room(b);
        return at ? nftnl_nlmsg_build_hdr(at, type, t->family, flags, b->seq++) : NULL;
}

void nft_batch_begin(NftBatch *b) {
        uint32_t seq = b->seq ? b->seq : 1;

        b->size = 0;
        b->error = 0;
        b->n_messages = 0;
        b->failed_seq = 0;
        b->first_seq = b->seq = seq;
        void *at = room(b);
        if (at)
                b->size += MNL_ALIGN(nftnl_batch_begin(at, b->seq++)->nlmsg_len);
}

int nft_batch_finish(NftBatch *b) {
        struct nlmsghdr *last = NULL;
        int left = (int) b->size;

        if (b->error < 0)
                return b->error;
        for (struct nlmsghdr *h = (void *) b->buffer; mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left))
                last = h;
        last->nlmsg_flags |= NLM_F_ACK;
        void *at = room(b);
        if (!at)
                return b->error;
        b->size += MNL_ALIGN(nftnl_batch_end(at, b->seq++)->nlmsg_len);
        return 0;
}

void nft_batch_describe(const NftBatch *b, uint32_t seq, char *ret, size_t size) {
        static const char *const types[] = {
                [NFT_MSG_NEWTABLE] = "NEWTABLE",     [NFT_MSG_DELTABLE] = "DELTABLE",
                [NFT_MSG_NEWCHAIN] = "NEWCHAIN",     [NFT_MSG_NEWRULE] = "NEWRULE",
                [NFT_MSG_NEWSET] = "NEWSET",         [NFT_MSG_NEWSETELEM] = "NEWSETELEM",
                [NFT_MSG_DELSETELEM] = "DELSETELEM",
        };
        int left = (int) b->size;

        snprintf(ret, size, "the transaction as a whole");
        for (struct nlmsghdr *h = (void *) b->buffer; mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left)) {
                uint16_t type = h->nlmsg_type & 0xff;
                const struct nlattr *name =
                                mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));

                if (h->nlmsg_seq != seq || h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
                        continue;
                /* The table's name is the first attribute of all our messages. */
                snprintf(ret, size, "%s %u of %u in %s",
                         type < ELEMENTSOF(types) && types[type] ? types[type] : "message",
                         seq - b->first_seq, b->n_messages, mnl_attr_get_str(name));
        }
}

static void table_message(NftBatch *b, const NftTable *t, uint16_t type, uint16_t message_flags,
                          const uint32_t *flags) {
        struct nlmsghdr *nlh = message_begin(b, t, type, message_flags);
        struct nftnl_table *table = nlh ? nftnl_table_alloc() : NULL;

        if (!table) {
                b->error = -ENOMEM;
                return;
        }
        nftnl_table_set_u32(table, NFTNL_TABLE_FAMILY, t->family);
        if (nftnl_table_set_str(table, NFTNL_TABLE_NAME, t->name) < 0)
                b->error = -ENOMEM;
        if (flags)
                nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, *flags);
        nftnl_table_nlmsg_build_payload(nlh, table);
        nftnl_table_free(table);
        message_end(b, nlh);
}

void nft_batch_add_table(NftBatch *b, const NftTable *t, uint32_t flags) {
        table_message(b, t, NFT_MSG_NEWTABLE, NLM_F_CREATE, &flags);
}

void nft_batch_delete_table(NftBatch *b, const NftTable *t) {
        table_message(b, t, NFT_MSG_DELTABLE, 0, NULL);
}

void nft_batch_add_chain(NftBatch *b, const NftTable *t, const NftChain *c) {
        struct nlmsghdr *nlh = message_begin(b, t, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
        struct nftnl_chain *chain = nlh ? nftnl_chain_alloc() : NULL;

        if (!chain) {
                b->error = -ENOMEM;
                return;
        }
        if (nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, t->name) < 0 ||
            nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, c->name) < 0 ||
            (c->type && nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, c->type) < 0))
                b->error = -ENOMEM;
        if (c->type) {
                nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, c->hook);
                nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, c->priority);
                nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
        }
        nftnl_chain_nlmsg_build_payload(nlh, chain);
        nftnl_chain_free(chain);
        message_end(b, nlh);
}

void nft_batch_add_rule(NftBatch *b, const NftTable *t, const char *chain,
                        struct nftnl_rule *rule) {
        struct nlmsghdr *nlh =
                        rule ? message_begin(b, t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
                             : NULL;

        if (!nlh || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, t->name) < 0 ||
            nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain) < 0) {
                b->error = -ENOMEM;
                if (rule)
                        nftnl_rule_free(rule);
                return;
        }
        nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, t->family);
        nftnl_rule_nlmsg_build_payload(nlh, rule);
        nftnl_rule_free(rule);
        message_end(b, nlh);
        b->n_rules++;
}

void nft_batch_add_set(NftBatch *b, const NftTable *t, struct nftnl_set *set) {
        struct nlmsghdr *nlh = set ? message_begin(b, t, NFT_MSG_NEWSET, NLM_F_CREATE) : NULL;

        if (!nlh || nftnl_set_set_str(set, NFTNL_SET_TABLE, t->name) < 0) {
                b->error = -ENOMEM;
                if (set)
                        nftnl_set_free(set);
                return;
        }
        nftnl_set_set_u32(set, NFTNL_SET_FAMILY, t->family);
        /* Rules of the same batch refer to a set by name or by this number; the kernel wants one. */
        nftnl_set_set_u32(set, NFTNL_SET_ID, b->seq);
        nftnl_set_nlmsg_build_payload(nlh, set);
        nftnl_set_free(set);
        message_end(b, nlh);
}

void nft_batch_elements(NftBatch *b, const NftTable *t, uint16_t type, struct nftnl_set *set) {
        struct nlmsghdr *nlh = set ? message_begin(b, t, type,
                                                   type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0)
                                   : NULL;

        if (!nlh || nftnl_set_set_str(set, NFTNL_SET_TABLE, t->name) < 0) {
                b->error = -ENOMEM;
                if (set)
                        nftnl_set_free(set);
                return;
        }
        nftnl_set_elems_nlmsg_build_payload(nlh, set);
        nftnl_set_free(set);
        message_end(b, nlh);
}
