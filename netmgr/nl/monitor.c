/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* RTM_DELLINK of the host's netns; see monitor.h. */

#include "nl/monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
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

static void handle(NlMonitor *m, struct nlmsghdr *h) {
        struct nlattr *tb[IFLA_MAX + 1];
        const struct ifinfomsg *ifi = nlmsg_data(h);
        char name[IFNAMSIZ] = "";

        /* A port that leaves its bridge sends an AF_BRIDGE one: the link itself lives on. */
        if (h->nlmsg_type != RTM_DELLINK || nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0 ||
            ifi->ifi_family != AF_UNSPEC || !tb[IFLA_IFNAME])
                return;
        (void) nla_strlcpy(name, tb[IFLA_IFNAME], sizeof(name));
        m->callbacks.link_deleted((uint32_t) ifi->ifi_index, name, m->userdata);
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
        /* Loads are big-endian, nlmsg_type is native. */
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 1),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

int nl_monitor_new(sd_event *event, const NlMonitorCallbacks *callbacks, void *userdata,
                   NlMonitor **ret) {
        struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
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
