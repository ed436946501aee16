/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the verbs share: requests and their checks. */

#include "core/operation.h"

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"

void request_clear(Request *q) {
        free(q->type);
        free(q->container_id);
        free(q->ifname);
        free(q->netns_path);
        free(q->args);
        free(q->path);
        free(q->config);
        safe_close(q->netns_fd);
        safe_close(q->host_netns_fd);
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
}

int request_check_host(const Manager *m, const Request *q, Error *e) {
        dev_t dev;
        ino_t ino;

        if (q->host_netns_fd < 0 && q->netns_fd >= 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "HostNetns: wanted the caller's own network namespace, found nothing");
        if (q->host_netns_fd < 0)
                return 0; /* a caller that names no namespace is asked for none */
        if (fd_is_netns(q->host_netns_fd, &dev, &ino) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "HostNetns: the descriptor is no network namespace");
        if (dev != m->netns_dev || ino != m->netns_ino)
                return error_setf(
                                e, ERROR_WRONG_NAMESPACE,
                                "the caller lives in network namespace %lu, this netmgrd serves %lu; start one "
                                "netmgrd there and set NETMGR_RUNTIME_DIR",
                                (unsigned long) ino, (unsigned long) m->netns_ino);
        return 0;
}

int request_check_ids(const Request *q, Error *e) {
        if (!cni_id_is_valid(q->container_id, CONTAINER_ID_MAX))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "ContainerId: wanted at most %u of [A-Za-z0-9_.-], beginning with a letter or "
                                "digit, found \"%.64s\"",
                                CONTAINER_ID_MAX, q->container_id);
        if (!ifname_is_valid(q->ifname))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "IfName: wanted an interface name of 1 to %u bytes, found \"%.64s\"",
                                IFNAME_LEN_MAX, q->ifname);
        return 0;
}

int request_check_netns(const Manager *m, const Request *q, Error *e) {
        dev_t dev;
        ino_t ino;

        if (q->netns_fd < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Netns: wanted the sandbox's network namespace, found nothing");
        if (fd_is_netns(q->netns_fd, &dev, &ino) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Netns: \"%.256s\" is no network namespace", q->netns_path);
        if (dev == m->netns_dev && ino == m->netns_ino)
                return error_setf(e, ERROR_WRONG_NAMESPACE,
                                  "Netns: \"%.256s\" is the host's own network namespace",
                                  q->netns_path);
        return 0;
}

int operation_begin(Manager *m, Error *e) {
        if (m->n_operations >= m->conf.queue_max)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "%u operations are under way, the limit of QueueMax; try again later",
                                m->n_operations);
        m->n_operations++;
        return 0;
}

void operation_end(Manager *m) {
        m->n_operations--;
}
