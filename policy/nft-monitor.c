/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See nft-monitor.h. */

#include "policy/nft-monitor.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"

/* kube-proxy's transactions are thousands of notifications. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
/* Datagrams per turn of the loop. */
#define READ_MAX 64

struct NftMonitor {
        struct mnl_socket *nl;
        sd_event_source *source;
        NftMonitorCallbacks callbacks;
        void *userdata;
        bool ours; /* seen in the transaction that is being told */
        uint8_t buffer[NETLINK_BUFFER_SIZE * 2] __attribute__((aligned(8)));
};

/* Notifications carry the port of who caused them, and those of one transaction come together. */
static int filter_own(int fd, uint32_t port) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
                /* the load is in network order, the header in the host's */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

static int find_generation(const struct nlattr *attr, void *data) {
        const struct nlattr **tb = data;
        uint16_t type = mnl_attr_get_type(attr);

        if (type <= NFTA_GEN_MAX)
                tb[type] = attr;
        return MNL_CB_OK;
}

static void on_generation(NftMonitor *m, const struct nlmsghdr *h) {
        const struct nlattr *tb[NFTA_GEN_MAX + 1] = { 0 };
        char program[17] = "";
        uint32_t pid = 0;

        if (mnl_attr_parse(h, sizeof(struct nfgenmsg), find_generation, tb) < 0)
                return;
        if (tb[NFTA_GEN_PROC_PID] && mnl_attr_get_payload_len(tb[NFTA_GEN_PROC_PID]) >= 4)
                pid = ntohl(mnl_attr_get_u32(tb[NFTA_GEN_PROC_PID]));
        if (tb[NFTA_GEN_PROC_NAME])
                snprintf(program, sizeof(program), "%.*s",
                         (int) mnl_attr_get_payload_len(tb[NFTA_GEN_PROC_NAME]),
                         (const char *) mnl_attr_get_payload(tb[NFTA_GEN_PROC_NAME]));
        /* The kernel cuts it, amid a character if need be. */
        if (!text_is_clean(program, strlen(program)))
                program[0] = '\0';
        bool ours = m->ours;
        m->ours = false;
        m->callbacks.changed(pid, program, ours, m->userdata);
}

static void on_message(NftMonitor *m, const struct nlmsghdr *h) {
        const struct nlattr *first = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
        size_t size = mnl_nlmsg_get_payload_len(h);

        if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || size < sizeof(struct nfgenmsg))
                return;
        if ((h->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
                on_generation(m, h);
                return;
        }
        /* The first attribute of all others is the table's name. */
        size -= sizeof(struct nfgenmsg);
        if (size >= sizeof(*first) + 7 && mnl_attr_ok(first, (int) size) &&
            mnl_attr_get_payload_len(first) >= 7 &&
            memcmp(mnl_attr_get_payload(first), "netmgr_", 7) == 0)
                m->ours = true;
}

static int on_readable(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_,
                       void *userdata) {
        NftMonitor *m = userdata;

        for (unsigned i = 0; i < READ_MAX; i++) {
                ssize_t n = recv(mnl_socket_get_fd(m->nl), m->buffer, sizeof(m->buffer),
                                 MSG_DONTWAIT | MSG_TRUNC);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN))
                        return 0;
                if (n < 0 || (size_t) n > sizeof(m->buffer)) {
                        m->ours = false;
                        m->callbacks.lost(m->userdata);
                        continue;
                }
                int left = (int) n;
                for (const struct nlmsghdr *h = (void *) m->buffer; mnl_nlmsg_ok(h, left);
                     h = mnl_nlmsg_next(h, &left))
                        on_message(m, h);
        }
        return 0;
}

int nft_monitor_new(sd_event *event, uint32_t own_port, const NftMonitorCallbacks *callbacks,
                    void *userdata, NftMonitor **ret) {
        _cleanup_(nft_monitor_freep) NftMonitor *m = new0(NftMonitor, 1);
        int size = RECEIVE_BUFFER, group = NFNLGRP_NFTABLES;

        if (!m)
                return -ENOMEM;
        m->callbacks = *callbacks;
        m->userdata = userdata;
        m->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!m->nl || mnl_socket_bind(m->nl, 0, MNL_SOCKET_AUTOPID) < 0)
                return -errno;
        int fd = mnl_socket_get_fd(m->nl);
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        int r = filter_own(fd, own_port);
        if (r < 0)
                return r;
        if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
                return -errno;
        r = sd_event_add_io(event, &m->source, fd, EPOLLIN, on_readable, m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

NftMonitor *nft_monitor_free(NftMonitor *m) {
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->source);
        if (m->nl)
                mnl_socket_close(m->nl);
        free(m);
        return NULL;
}
