/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes away in the host's netns; see monitor.h. */

#include "nl/monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "nl/nl-internal.h"

/* Room for a burst: 4,000 notifications of about 1.5 kB. */
#define RECEIVE_BUFFER (8 * 1024 * 1024)

struct NlMonitor {
        int fd;
        sd_event_source *source;
        NlMonitorCallbacks callbacks;
        void *userdata;
        char buffer[NETLINK_BUFFER_SIZE];
};

static void handle_link(NlMonitor *m, struct nlmsghdr *h) {
        struct nlattr *tb[IFLA_MAX + 1];
        const struct ifinfomsg *ifi = nlmsg_data(h);
        char name[IFNAMSIZ] = "";

        if (nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0)
                return;
        /* A port that leaves its bridge sends an AF_BRIDGE one: the link itself lives on. */
        if (h->nlmsg_type == RTM_NEWLINK || ifi->ifi_family != AF_UNSPEC)
                m->callbacks.link_stripped((uint32_t) ifi->ifi_index, m->userdata);
        else if (tb[IFLA_IFNAME]) {
                (void) nla_strlcpy(name, tb[IFLA_IFNAME], sizeof(name));
                m->callbacks.link_deleted((uint32_t) ifi->ifi_index, name, m->userdata);
        }
}

static void handle(NlMonitor *m, struct nlmsghdr *h) {
        struct nlattr *tb[RTA_MAX + 1];
        uint32_t ifindex = 0;

        switch (h->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
                handle_link(m, h);
                return;
        case RTM_DELADDR:
                if (nlmsg_valid_hdr(h, sizeof(struct ifaddrmsg)))
                        ifindex = ((struct ifaddrmsg *) nlmsg_data(h))->ifa_index;
                break;
        case RTM_DELNEIGH:
                if (nlmsg_valid_hdr(h, sizeof(struct ndmsg)))
                        m->callbacks.neigh_deleted(
                                        (uint32_t) ((struct ndmsg *) nlmsg_data(h))->ndm_ifindex,
                                        m->userdata);
                return;
        case RTM_DELROUTE:
                if (nlmsg_parse(h, sizeof(struct rtmsg), tb, RTA_MAX, NULL) >= 0 && tb[RTA_OIF])
                        ifindex = nla_get_u32(tb[RTA_OIF]);
                break;
        default:
                break;
        }
        if (ifindex)
                m->callbacks.link_stripped(ifindex, m->userdata);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        NlMonitor *m = userdata;

        for (;;) {
                struct sockaddr_nl from = { 0 };
                socklen_t size = sizeof(from);
                ssize_t n = recvfrom(fd, m->buffer, sizeof(m->buffer), MSG_DONTWAIT,
                                     (struct sockaddr *) &from, &size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == ENOBUFS) {
                        m->callbacks.lost(m->userdata);
                        continue;
                }
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0) {
                        /* sd-event never again calls a handler that failed: this one does not. */
                        log_error_errno(errno, "reading link notifications");
                        m->callbacks.lost(m->userdata);
                        return 0;
                }
                if (from.nl_pid != 0)
                        continue;
                int left = (int) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) m->buffer; nlmsg_ok(h, left);
                     h = nlmsg_next(h, &left))
                        handle(m, h);
        }
}

static int attach_filter(int fd) {
        enum {
                PAYLOAD = NLMSG_HDRLEN,
                FLAGS = PAYLOAD + offsetof(struct ifinfomsg, ifi_flags),
                CHANGE = PAYLOAD + offsetof(struct ifinfomsg, ifi_change),
                PROTOCOL = PAYLOAD + offsetof(struct rtmsg, rtm_protocol),
                FAMILY = PAYLOAD + offsetof(struct ndmsg, ndm_family),
        };
        /* Loads are big-endian, what they load is native. Jumps count from the next instruction. */
        struct sock_filter code[] = {
                [0] = BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
                [1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 14, 0),
                [2] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELADDR), 13, 0),
                [3] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEIGH), 9, 0),
                [4] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 6, 0),
                [5] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWLINK), 0, 9),
                /* set down, and not just made: then everything has changed */
                [6] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CHANGE),
                [7] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 7, 0),
                [8] = BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htonl(IFF_UP), 0, 6),
                [9] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FLAGS),
                [10] = BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htonl(IFF_UP), 4, 5),
                /* ours are static; the kernel's own go with every link */
                [11] = BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTOCOL),
                [12] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_STATIC, 3, 2),
                /* what a bridge has learnt ages with every sandbox that is silent */
                [13] = BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FAMILY),
                [14] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_BRIDGE, 0, 1),
                [15] = BPF_STMT(BPF_RET | BPF_K, 0),
                [16] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

int nl_monitor_new(sd_event *event, const NlMonitorCallbacks *callbacks, void *userdata,
                   NlMonitor **ret) {
        struct sockaddr_nl local = { .nl_family = AF_NETLINK,
                                     .nl_groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR |
                                                  RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                                  RTMGRP_IPV6_ROUTE };
        int size = RECEIVE_BUFFER;
        _cleanup_(nl_monitor_freep) NlMonitor *m = new0(NlMonitor, 1);

        if (!m)
                return -ENOMEM;
        m->callbacks = *callbacks;
        m->userdata = userdata;
        m->fd = kernel_open_fd();
        if (m->fd < 0)
                return m->fd;
        int r = attach_filter(m->fd);
        if (r < 0)
                return r;
        (void) setsockopt(m->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        if (bind(m->fd, (struct sockaddr *) &local, sizeof(local)) < 0)
                return -errno;
        r = sd_event_add_io(event, &m->source, m->fd, EPOLLIN, on_readable, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(m->source, SD_EVENT_PRIORITY_NORMAL - 10);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

NlMonitor *nl_monitor_free(NlMonitor *m) {
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->source);
        safe_close(m->fd);
        free(m);
        return NULL;
}
