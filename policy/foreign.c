/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See foreign.h. Rules of other programs are not read: only which chains there are. */

#include "policy/foreign.h"

#include <netinet/in.h>
#include <stdio.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/time.h>

#include "base/limits.h"
#include "base/parse.h"

/* A node with kube-proxy has thousands of chains; more than these are not looked at. */
#define CHAINS_MAX 100000U
#define DUMP_TRIES 5

typedef struct Chain {
        uint16_t family;
        bool drops_forward;
        char table[64], name[64];
} Chain;

typedef struct Chains {
        Chain *items; /* owned */
        size_t n, allocated;
        int error;
} Chains;

/* Base chains that forward, and names by which programs are known. */
static bool is_of_interest(const Chain *c) {
        return c->drops_forward || streq(c->name, "DOCKER-USER") || strncmp(c->name, "ufw", 3) == 0;
}

/* Cut to what fits, and fit for a sentence: the kernel takes any bytes as a name. */
static void set_name(char ret[static 64], const char *name) {
        snprintf(ret, 64, "%s", strempty(name));
        if (!text_is_clean(ret, strlen(ret)))
                for (char *s = ret; *s; s++)
                        if (*s < 0x20 || *s > 0x7e)
                                *s = '?';
}

/* firewalld's chain has policy accept, and refuses all by its last rule. */
static bool drops_forward(const Chain *c, const struct nftnl_chain *chain) {
        return nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM) &&
               nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) == NF_INET_FORWARD &&
               (c->family == NFPROTO_IPV4 || c->family == NFPROTO_IPV6 ||
                c->family == NFPROTO_INET || c->family == NFPROTO_BRIDGE) &&
               (nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == NF_DROP ||
                streq(c->table, "firewalld"));
}

static int on_chain(const struct nlmsghdr *h, void *data) {
        struct nftnl_chain *chain = nftnl_chain_alloc();
        Chains *l = data;
        Chain c = { 0 };

        if (!chain)
                return MNL_CB_ERROR;
        if (nftnl_chain_nlmsg_parse(h, chain) >= 0) {
                c.family = (uint16_t) nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);
                set_name(c.table, nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE));
                set_name(c.name, nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
                c.drops_forward = drops_forward(&c, chain);
        }
        nftnl_chain_free(chain);
        if (strncmp(c.table, "netmgr_", 7) == 0 || !is_of_interest(&c) || l->n >= CHAINS_MAX)
                return MNL_CB_OK;
        if (GREEDY_REALLOC(l->items, l->allocated, l->n + 1) < 0) {
                l->error = -ENOMEM;
                return MNL_CB_OK;
        }
        l->items[l->n++] = c;
        return MNL_CB_OK;
}

/* The rest of an interrupted dump has to be read as well: it would be taken for the next answer. */
static bool take_interruption(void *answer, size_t size) {
        bool interrupted = false;
        int left = (int) size;

        for (struct nlmsghdr *h = answer; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
                interrupted = interrupted || h->nlmsg_flags & NLM_F_DUMP_INTR;
                h->nlmsg_flags &= (uint16_t) ~NLM_F_DUMP_INTR;
        }
        return interrupted;
}

static int dump(struct mnl_socket *nl, uint32_t seq, Chains *l) {
        bool interrupted = false;
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        struct nlmsghdr *h = nftnl_nlmsg_build_hdr((char *) buffer, NFT_MSG_GETCHAIN,
                                                   NFPROTO_UNSPEC, NLM_F_DUMP, seq);

        if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
                return -errno;
        for (;;) {
                ssize_t n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                interrupted = take_interruption(buffer, (size_t) n) || interrupted;
                int r = mnl_cb_run(buffer, (size_t) n, seq, mnl_socket_get_portid(nl), on_chain, l);
                if (r < 0)
                        return -errno;
                if (r == MNL_CB_STOP)
                        return l->error < 0 ? l->error : interrupted ? -EINTR : 0;
        }
}

static ForeignFirewall firewall_of(const Chains *l, const Chain *c) {
        /* and firewalld_policy_drop, while it starts */
        if (strncmp(c->table, "firewalld", 9) == 0)
                return FOREIGN_FIREWALLD;
        for (size_t i = 0; i < l->n; i++) {
                if (l->items[i].family != c->family || !streq(l->items[i].table, c->table))
                        continue;
                if (streq(l->items[i].name, "DOCKER-USER"))
                        return FOREIGN_DOCKER;
                if (strncmp(l->items[i].name, "ufw", 3) == 0)
                        return FOREIGN_UFW;
        }
        return FOREIGN_OTHER;
}

static int choose(const Chains *l, ForeignChain **ret, size_t *ret_n) {
        _cleanup_free_ ForeignChain *list = new0(ForeignChain, l->n + 1);
        size_t n = 0;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < l->n; i++) {
                const Chain *c = &l->items[i];
                if (!c->drops_forward)
                        continue;
                list[n].family = c->family;
                list[n].firewall = firewall_of(l, c);
                memcpy(list[n].table, c->table, sizeof(c->table));
                memcpy(list[n++].chain, c->name, sizeof(c->name));
        }
        *ret = n > 0 ? TAKE_PTR(list) : NULL;
        *ret_n = n;
        return 0;
}

int foreign_chains_list(ForeignChain **ret, size_t *ret_n, Error *e) {
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        Chains l = { 0 };
        int r = nl ? 0 : -errno;

        if (r >= 0 && (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
                       setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                                  sizeof(timeout)) < 0))
                r = -errno;
        /* EINTR: somebody changed the tables while the kernel told us. */
        for (uint32_t try = 1; r >= 0 && try <= DUMP_TRIES; try++) {
                l.n = 0;
                int d = dump(nl, try, &l);
                if (d != -EINTR) {
                        r = d;
                        break;
                }
        }
        if (r >= 0)
                r = choose(&l, ret, ret_n);
        if (nl)
                mnl_socket_close(nl);
        free(l.items);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "listing the chains of other firewalls")
                     : 0;
}

/* Docker has the chain once for each family. */
#define DOCKER_REMEDY(iptables)                                                                    \
        "Docker set it; " iptables " -I DOCKER-USER -i nmg+ -j ACCEPT and "                        \
        "-I DOCKER-USER -o nmg+ -j ACCEPT (nmb-+ for bridges) let sandboxes through"

static const char *remedy(const ForeignChain *c) {
        switch (c->firewall) {
        case FOREIGN_DOCKER:
                return c->family == NFPROTO_IPV6 ? DOCKER_REMEDY("ip6tables")
                                                 : DOCKER_REMEDY("iptables");
        case FOREIGN_FIREWALLD:
                return "firewalld set it; firewall-cmd --permanent --zone=trusted "
                       "--add-interface=nmg+ (and the bridges nmb-*), then --reload, lets "
                       "sandboxes through";
        case FOREIGN_UFW:
                return "ufw set it; ufw route allow in on nmg+ and ufw route allow out on nmg+ let "
                       "sandboxes through";
        default:
                return "let interfaces nmg* and nmb-* through there, both ways";
        }
}

void foreign_chain_sentence(const ForeignChain *c, char *ret, size_t size) {
        const char *family = c->family == NFPROTO_IPV4     ? "ip"
                             : c->family == NFPROTO_IPV6   ? "ip6"
                             : c->family == NFPROTO_BRIDGE ? "bridge"
                                                           : "inet";
        snprintf(ret, size,
                 "chain %s of table %s %s drops what it does not know, and with it traffic of sandboxes: %s",
                 c->chain, family, c->table, remedy(c));
}
