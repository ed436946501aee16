/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See listen.h. What survives a crash is the socket's name, which the next start takes over. */

#include "base/listen.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"

static int find_peer(const char *peer, uid_t *ret) {
        const struct passwd *pw;
        uint32_t uid;

        if (parse_u32(peer, 0, UINT32_MAX - 1, &uid) >= 0)
                *ret = uid;
        else if ((pw = getpwnam(peer)))
                *ret = pw->pw_uid;
        else
                return log_error_errno(ESRCH, "--peer-user=%s: no such user", peer);
        return 0;
}

/* The name appears with the socket that listens: who waits for it may connect at once. */
static int make_socket(const char *path, int type, int backlog, int *ret) {
        _cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un sun = { .sun_family = AF_UNIX };

        if (fd < 0)
                return -errno;
        int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s.new", path);
        if (n < 0 || (size_t) n >= sizeof(sun.sun_path))
                return -ENAMETOOLONG;
        if (unlink(sun.sun_path) < 0 && errno != ENOENT)
                return -errno;
        /* Giving the socket away would need CAP_CHOWN. */
        mode_t old = umask(0111);
        int r = bind(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 ? -errno : 0;
        umask(old);
        if (r < 0)
                return r;
        if (listen(fd, backlog) < 0 || rename(sun.sun_path, path) < 0) {
                r = -errno;
                (void) unlink(sun.sun_path);
                return r;
        }
        *ret = TAKE_FD(fd);
        return 0;
}

int listener_open(Listener *l, const char *path, int type, int backlog, const char *peer) {
        int r = find_peer(peer, &l->peer);
        if (r < 0)
                return r;
        if (sd_listen_fds(1) == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, type, 1, NULL, 0) > 0) {
                l->fd = SD_LISTEN_FDS_START;
                r = fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        } else
                r = make_socket(path, type, backlog, &l->fd);
        return r < 0 ? log_error_errno(r, "listening on %s", path) : 0;
}

int listener_accept(const Listener *l, int flags) {
        _cleanup_close_ int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | flags);
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != l->peer) {
                log_warning("connection of uid %u refused: only uid %u may ask", peer.uid, l->peer);
                return -EPERM;
        }
        return TAKE_FD(fd);
}

void listener_ready(void) {
        (void) sd_notify(0, "READY=1\nSTATUS=Serving netmgrd");
}

void listener_close(Listener *l) {
        l->fd = safe_close(l->fd);
}
