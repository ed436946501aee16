/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See leftover.h. Keys are read as element.c writes them: the interface's name, then the address. */

#include "policy/leftover.h"

#include <libmnl/libmnl.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/limits.h"
#include "policy/sets.h"

typedef struct Reader {
        PolicySet set; /* that is being read */
        PolicyLeftover *items;
        size_t n, allocated;
        int error;
} Reader;

static PolicyLeftover *leftover_of(Reader *reader, const char *name) {
        for (size_t i = 0; i < reader->n; i++)
                if (streq(reader->items[i].host_ifname, name))
                        return &reader->items[i];
        if (GREEDY_REALLOC(reader->items, reader->allocated, reader->n + 1) < 0) {
                reader->error = -ENOMEM;
                return NULL;
        }
        PolicyLeftover *l = &reader->items[reader->n++];
        *l = (PolicyLeftover) { 0 };
        memcpy(l->host_ifname, name, sizeof(l->host_ifname));
        return l;
}

static void take_source(PolicyLeftover *l, int family, const uint8_t *key, bool bridged) {
        if (l->n_addresses == ELEMENTSOF(l->addresses))
                return;
        InAddr *a = &l->addresses[l->n_addresses++];
        a->family = family;
        memcpy(a->bytes, key, family_bytes(family));
        l->bridged |= bridged;
}

static void take_masquerade(Reader *reader, int family, const uint8_t *key) {
        for (size_t i = 0; i < reader->n; i++)
                for (size_t k = 0; k < reader->items[i].n_addresses; k++)
                        if (reader->items[i].addresses[k].family == family &&
                            memcmp(reader->items[i].addresses[k].bytes, key,
                                   family_bytes(family)) == 0)
                                reader->items[i].masquerade = true;
}

static int on_element(struct nftnl_set_elem *element, void *data) {
        Reader *reader = data;
        char name[IF_NAMESIZE] = "";
        uint32_t size = 0;
        const uint8_t *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size);
        PolicyLeftover *l;

        if (!key || size < policy_sets[reader->set].key_size)
                return 0;
        if (reader->set == SET_MASQ4 || reader->set == SET_MASQ6) {
                take_masquerade(reader, reader->set == SET_MASQ4 ? AF_INET : AF_INET6, key);
                return 0;
        }
        memcpy(name, key, sizeof(name) - 1);
        l = leftover_of(reader, name);
        if (!l)
                return 0;
        if (reader->set == SET_BR_MAC) {
                l->bridged = true;
                memcpy(l->mac.bytes, key + IF_NAMESIZE, sizeof(l->mac.bytes));
        } else
                take_source(l,
                            reader->set == SET_SRC4 || reader->set == SET_BR_SRC4 ? AF_INET
                                                                                  : AF_INET6,
                            key + IF_NAMESIZE, policy_sets[reader->set].table == TABLE_BR);
        return 0;
}

static int on_message(const struct nlmsghdr *h, void *data) {
        Reader *reader = data;
        struct nftnl_set *set = nftnl_set_alloc();

        if (!set)
                return MNL_CB_ERROR;
        if (nftnl_set_elems_nlmsg_parse(h, set) >= 0)
                (void) nftnl_set_elem_foreach(set, on_element, reader);
        nftnl_set_free(set);
        return MNL_CB_OK;
}

static int read_set(struct mnl_socket *nl, uint32_t seq, Reader *reader) {
        const PolicySetInfo *info = &policy_sets[reader->set];
        const NftTable *table = &policy_tables[info->table];
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        struct nftnl_set *set = nftnl_set_alloc();

        if (!set || nftnl_set_set_str(set, NFTNL_SET_TABLE, table->name) < 0 ||
            nftnl_set_set_str(set, NFTNL_SET_NAME, info->name) < 0) {
                if (set)
                        nftnl_set_free(set);
                return -ENOMEM;
        }
        struct nlmsghdr *h = nftnl_nlmsg_build_hdr((char *) buffer, NFT_MSG_GETSETELEM,
                                                   table->family, NLM_F_DUMP, seq);
        nftnl_set_elems_nlmsg_build_payload(h, set);
        nftnl_set_free(set);
        if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
                return -errno;
        for (int r = MNL_CB_OK; r > MNL_CB_STOP;) {
                ssize_t n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                r = mnl_cb_run(buffer, (size_t) n, seq, mnl_socket_get_portid(nl), on_message,
                               reader);
                if (r < 0)
                        return errno == ENOENT ? 0 : -errno;
        }
        return reader->error;
}

int policy_leftovers_read(PolicyLeftover **ret, size_t *ret_n, Error *e) {
        /* Sources first: masquerade is found by address. */
        static const PolicySet sets[] = { SET_SRC4,   SET_SRC6,  SET_BR_SRC4, SET_BR_SRC6,
                                          SET_BR_MAC, SET_MASQ4, SET_MASQ6 };
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        Reader reader = { 0 };
        int r = nl ? 0 : -errno;

        if (r >= 0 && (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
                       setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                                  sizeof(timeout)) < 0))
                r = -errno;
        for (size_t i = 0; i < ELEMENTSOF(sets) && r >= 0; i++) {
                reader.set = sets[i];
                r = read_set(nl, (uint32_t) i + 1, &reader);
        }
        if (nl)
                mnl_socket_close(nl);
        if (r < 0) {
                free(reader.items);
                return error_set_errnof(e, ERROR_KERNEL, r, "reading the sets of the rule tables");
        }
        *ret = reader.items;
        *ret_n = reader.n;
        return 0;
}
