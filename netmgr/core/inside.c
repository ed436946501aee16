/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See inside.h. */

#include "core/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "core/adjust.h"
#include "core/nic.h"
#include "core/wire.h"

/* 0, -ESTALE, or what netmgr-nsd said. */
static int open_if(WorkerContext *w, int fd, uint64_t cookie, NlSocket **ret, Error *e) {
        _cleanup_(kernel_socket_freep) NlSocket *s = NULL;
        uint64_t found;
        dev_t dev;
        ino_t ino;

        if (fd < 0 || fd_is_netns(fd, &dev, &ino) < 0)
                return -ESTALE;
        int r = wire_open_netns(w, fd, &s, &found, e);
        if (r < 0)
                return r;
        if (found != cookie)
                return -ESTALE;
        *ret = TAKE_PTR(s);
        return 0;
}

/* What is left of a name when its mount is undone may be closed to all, and is no namespace. */
static bool is_plain_file(const char *path) {
        struct statfs fs;

        return statfs(path, &fs) >= 0 && fs.f_type != NSFS_MAGIC;
}

int inside_open(WorkerContext *w, int netns_fd, const char *path, uint64_t cookie, int *ret_fd,
                NlSocket **ret, Error *e) {
        _cleanup_close_ int fd = fd_dup(netns_fd);

        int r = open_if(w, fd, cookie, ret, e);
        if (r == -ESTALE) {
                safe_close(fd);
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                /* Something is there: who may open it (a DEL brings it along) will find out what. */
                if (fd < 0 && (errno == EACCES || errno == EPERM) && !is_plain_file(path))
                        return error_set_errnof(e, ERROR_KERNEL, -errno, "opening \"%.256s\"",
                                                path);
                r = open_if(w, fd, cookie, ret, e);
        }
        if (r == -ESTALE)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking into \"%.256s\"", path);
        if (r >= 0 && ret_fd)
                *ret_fd = TAKE_FD(fd);
        return r;
}

static int lower_loopback(NlSocket *pod, Error *e) {
        NlOp down = { .type = NL_LINK_SET, .what = "lower lo" };

        snprintf(down.link.name, sizeof(down.link.name), "lo");
        down.link.mask = NL_LINK_UP;
        int r = kernel_apply(pod, &down, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "lowering lo in the sandbox") : 0;
}

static int inside_delete(Job *job, WorkerContext *w, Error *e) {
        InsideJob *j = (InsideJob *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        NlOp del = { .type = NL_LINK_DEL, .what = "delete the interface" };
        NlLink link;

        int r = inside_open(w, j->netns_fd, j->path, j->cookie, NULL, &pod, e);
        /* It pins the namespace. */
        j->netns_fd = safe_close(j->netns_fd);
        if (r == -ESTALE && j->spec) {
                error_clear(e); /* the kernel may have brought it home */
                return nic_return(w, j->spec, NULL, e);
        }
        /* Of loopback nothing is left but the state of lo. */
        if (r < 0 && j->kind == NET_KIND_LOOPBACK && !j->adjusted) {
                error_clear(e);
                return 0;
        }
        if (r < 0)
                return r;
        int undone = j->adjusted ? adjust_undo(pod, j->adjusted) : 0;
        if (j->spec)
                return nic_return(w, j->spec, pod, e);
        if (j->kind == NET_KIND_LOOPBACK)
                return lower_loopback(pod, e);
        if (!kind_is_inside(j->kind))
                return undone < 0 ? error_set_errnof(e, ERROR_KERNEL, undone,
                                                     "undoing in the sandbox what was set on %s",
                                                     j->ifname)
                                  : 0;
        r = kernel_get_link(pod, j->ifname, &link);
        /* The sandbox may have put something of its own in its place. */
        if (r == -ENODEV || (r >= 0 && !streq(link.kind, kind_in_kernel(j->kind))))
                return 0;
        snprintf(del.link.name, sizeof(del.link.name), "%s", j->ifname);
        if (r >= 0)
                r = kernel_apply(pod, &del, 1, &(NlApplied) { 0 });
        if (r < 0 && r != -ENODEV)
                return error_set_errnof(e, ERROR_KERNEL, r, "deleting %s in the sandbox",
                                        j->ifname);
        return 0;
}

static AttachmentSpec *copy_of(const AttachmentSpec *s) {
        AttachmentSpec *copy = new0(AttachmentSpec, 1);

        if (copy && spec_copy(s, copy) < 0)
                free(TAKE_PTR(copy));
        return copy;
}

int inside_job_init(InsideJob *j, const Attachment *a, int *netns_fd) {
        j->netns_fd = -EBADF;
        if (!kind_is_inside(a->spec.kind) && !adjust_outlives(&a->spec)) {
                *netns_fd = safe_close(*netns_fd);
                return 0;
        }
        j->path = strdup(a->sandbox->netns_path);
        if (!j->path)
                return -ENOMEM;
        if (adjust_outlives(&a->spec) && !(j->adjusted = copy_of(&a->spec)))
                return -ENOMEM;
        if (a->spec.nic) {
                j->spec = copy_of(&a->spec);
                if (!j->spec)
                        return -ENOMEM;
                /* Whatever has become of the path, this leads to the NIC. */
                if (a->netns_pin >= 0) {
                        safe_close(*netns_fd);
                        *netns_fd = fd_dup(a->netns_pin);
                }
        }
        j->netns_fd = TAKE_FD(*netns_fd);
        j->cookie = a->sandbox->netns_cookie;
        j->kind = a->spec.kind;
        snprintf(j->ifname, sizeof(j->ifname), "%s", a->spec.ifname);
        j->job.run = inside_delete;
        return 0;
}

void inside_job_clear(InsideJob *j) {
        j->netns_fd = safe_close(j->netns_fd);
        free(TAKE_PTR(j->path));
        if (j->spec)
                spec_clear(j->spec);
        free(TAKE_PTR(j->spec));
        if (j->adjusted)
                spec_clear(j->adjusted);
        free(TAKE_PTR(j->adjusted));
}
