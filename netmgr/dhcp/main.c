/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgr-dhcp: speaks DHCP for netmgrd, on sockets that it is handed, and has no privilege at all. What
 * comes from the network is read here and nowhere else. It keeps nothing: each connection is one
 * exchange, leases are netmgrd's. Killed and started again, netmgrd asks again.
 */

#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/version.h"
#include "dhcp/exchange.h"

typedef struct Server {
        sd_event *event;
        sd_event_source *listen_source;
        Listener listener;
        List exchanges;
        unsigned n_exchanges;
} Server;

static void on_exchange_ended(void *userdata) {
        Server *s = userdata;

        s->n_exchanges--;
}

static int on_connect(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_,
                      void *userdata) {
        Server *s = userdata;
        _cleanup_close_ int connection = listener_accept(&s->listener, SOCK_NONBLOCK);

        if (connection < 0)
                return 0;
        if (s->n_exchanges == DHCP_EXCHANGES_MAX) {
                log_warning("connection refused: %u exchanges are under way", DHCP_EXCHANGES_MAX);
                return 0;
        }
        int r = exchange_new(s->event, TAKE_FD(connection), &s->exchanges, on_exchange_ended, s);
        if (r < 0)
                log_warning("an exchange could not begin: %s", strerror(-r));
        else
                s->n_exchanges++;
        return 0;
}

/* Whatever we were started with: no group, no user but an ordinary one, no capability, now or later. */
static int drop_privileges(const char *user) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { 0 };

        for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                (void) prctl(PR_CAPBSET_DROP, cap, 0, 0,
                             0); /* without CAP_SETPCAP: none is given */
        if (geteuid() == 0) {
                const struct passwd *pw = getpwnam(user);
                if (!pw || pw->pw_uid == 0)
                        return log_error_errno(ESRCH, "--user=%s: no such user, or root", user);
                if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
                    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
                        return log_error_errno(errno, "becoming user %s", user);
        }
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
            syscall(SYS_capset, &header, data) < 0)
                return log_error_errno(errno, "dropping privileges");
        return 0;
}

static int setup(Server *s, const char *path, const char *peer, const char *user) {
        int r = listener_open(&s->listener, path, SOCK_SEQPACKET, DHCP_EXCHANGES_MAX, peer);
        if (r < 0)
                return r;
        r = drop_privileges(user);
        if (r < 0)
                return r;
        r = sd_event_default(&s->event);
        if (r >= 0)
                r = sd_event_add_io(s->event, &s->listen_source, s->listener.fd, EPOLLIN,
                                    on_connect, s);
        if (r >= 0)
                r = sd_event_add_signal(s->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(s->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(s->event, true);
        return r < 0 ? log_error_errno(r, "starting the event loop") : 0;
}

static int run(const char *path, const char *peer, const char *user) {
        Server s = { .listener = LISTENER_NULL };
        sigset_t mask;

        list_init(&s.exchanges);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        int r = setup(&s, path, peer, user);
        if (r >= 0) {
                listener_ready();
                r = sd_event_loop(s.event);
                if (r < 0)
                        log_error_errno(r, "event loop");
        }
        exchanges_free(&s.exchanges);
        sd_event_source_disable_unref(s.listen_source);
        sd_event_unref(s.event);
        listener_close(&s.listener);
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "socket", required_argument, NULL, 's' },
                { "peer-user", required_argument, NULL, 'p' },
                { "user", required_argument, NULL, 'u' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const char *path = "/run/netmgr-dhcp/dhcp.sock", *peer = "netmgr", *user = "nobody";
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 's':
                        path = optarg;
                        break;
                case 'p':
                        peer = optarg;
                        break;
                case 'u':
                        user = optarg;
                        break;
                case 'V':
                        version_print("netmgr-dhcp", 0);
                        return 0;
                case 'h':
                        printf("netmgr-dhcp [--socket=PATH] [--peer-user=USER] [--user=USER] "
                               "[--version]\n"
                               "Asks DHCP servers for netmgrd. Started as root it becomes "
                               "--user= (nobody).\n");
                        return 0;
                default:
                        return 2;
                }
        if (optind < argc) {
                fprintf(stderr, "netmgr-dhcp: unexpected argument \"%s\"\n", argv[optind]);
                return 2;
        }
        return run(path, peer, user) < 0 ? 1 : 0;
}
