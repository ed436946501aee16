/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TAP interfaces. Nothing is kept: the interface is its descriptor's until that is told to let it last. */

#include "nsd/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* TUNSETIFF alone would attach to an interface that is there: EXCL makes it refuse. */
static int tap_make(int fd, const NsdRequest *q) {
        struct ifreq ifr = { .ifr_flags = (short) (IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL) };

        memcpy(ifr.ifr_name, q->name, IFNAMSIZ);
        if (q->flags & NSD_TAP_MULTI_QUEUE)
                ifr.ifr_flags |= IFF_MULTI_QUEUE;
        if (q->flags & NSD_TAP_VNET_HDR)
                ifr.ifr_flags |= IFF_VNET_HDR;
        if (ioctl(fd, TUNSETIFF, &ifr) < 0)
                return errno == EBUSY ? -EEXIST : -errno;
        if (q->owner != UINT32_MAX && ioctl(fd, TUNSETOWNER, (unsigned long) q->owner) < 0)
                return -errno;
        if (q->group != UINT32_MAX && ioctl(fd, TUNSETGROUP, (unsigned long) q->group) < 0)
                return -errno;
        return 0;
}

static bool have_selinux(void) {
        struct statfs st;

        return statfs("/sys/fs/selinux", &st) == 0 && st.f_type == SELINUX_MAGIC;
}

static int set_context(const char *context) {
        _cleanup_close_ int fd = open("/proc/thread-self/attr/current", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        /* With the NUL, as the kernel wants it. */
        return write(fd, context, strlen(context) + 1) < 0 ? -errno : 0;
}

/*
 * A TAP has the context of the thread that makes it: tun is the one kind of socket for which the kernel
 * does not heed attr/sockcreate. The way back out of a context is a matter of policy, so a child goes
 * there, and ends there.
 */
static int make_in_context(int fd, const NsdRequest *q) {
        int status;

        if (!have_selinux())
                return -EOPNOTSUPP;
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                int r = set_context(q->context);
                if (r >= 0)
                        r = tap_make(fd, q);
                _exit(-r); /* an errno fits: they end at 133 */
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int tap_open(const NsdRequest *q) {
        _cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return errno == ENOENT || errno == ENXIO ? -ENODEV : -errno;
        int r = q->context[0] ? make_in_context(fd, q) : tap_make(fd, q);
        return r < 0 ? r : TAKE_FD(fd);
}
