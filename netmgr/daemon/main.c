/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrd: options, signals, start and stop. One event loop owns everything; a stop leaves the datapath
 * as it is, and the next start finds it by the ledger.
 */

#include <getopt.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/version.h"
#include "bus/bus.h"
#include "core/manager.h"
#include "core/sysctl-allow.h"

typedef struct Options {
        const char *bus_address, *state_dir, *runtime_dir, *config_dir, *spool_dir, *nsd_socket,
                        *dhcp_socket, *exec_socket, *sysctl_allowlist;
} Options;

static void usage(FILE *f) {
        fprintf(f,
                "netmgrd [OPTION...]\n"
                "The daemon that owns the networks of this node's sandboxes.\n\n"
                "  --bus-address=ADDRESS  D-Bus address (default: the system bus; \"none\": no bus)\n"
                "  --state-dir=DIR        the ledger (default /var/lib/netmgr)\n"
                "  --runtime-dir=DIR      runtime.sock (default /run/netmgr)\n"
                "  --config-dir=DIR       netmgr.conf and networks.d (default /etc/netmgr)\n"
                "  --spool-dir=DIR        spooled requests (default /var/lib/netmgr-spool)\n"
                "  --nsd-socket=PATH      socket of netmgr-nsd (default /run/netmgr-nsd/nsd.sock)\n"
                "  --dhcp-socket=PATH     socket of netmgr-dhcp (default /run/netmgr-dhcp/dhcp.sock)\n"
                "  --exec-socket=PATH     socket of netmgr-exec (default /run/netmgr-exec/exec.sock)\n"
                "  --sysctl-allowlist=FILE  regular expressions of the sysctls that networks may set\n"
                "                         (default " SYSCTL_ALLOWLIST "; no file: all)\n"
                "  --version, --help\n");
}

/* 1: go on; 0: done; negative: wrong usage. */
static int parse_options(int argc, char **argv, Options *o) {
        static const struct option options[] = {
                { "bus-address", required_argument, NULL, 'b' },
                { "state-dir", required_argument, NULL, 's' },
                { "runtime-dir", required_argument, NULL, 'r' },
                { "config-dir", required_argument, NULL, 'c' },
                { "spool-dir", required_argument, NULL, 'p' },
                { "nsd-socket", required_argument, NULL, 'n' },
                { "dhcp-socket", required_argument, NULL, 'd' },
                { "exec-socket", required_argument, NULL, 'e' },
                { "sysctl-allowlist", required_argument, NULL, 'a' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'b':
                        o->bus_address = optarg;
                        break;
                case 's':
                        o->state_dir = optarg;
                        break;
                case 'r':
                        o->runtime_dir = optarg;
                        break;
                case 'c':
                        o->config_dir = optarg;
                        break;
                case 'p':
                        o->spool_dir = optarg;
                        break;
                case 'n':
                        o->nsd_socket = optarg;
                        break;
                case 'd':
                        o->dhcp_socket = optarg;
                        break;
                case 'e':
                        o->exec_socket = optarg;
                        break;
                case 'a':
                        o->sysctl_allowlist = optarg;
                        break;
                case 'V':
                        version_print("netmgrd", 0);
                        return 0;
                case 'h':
                        usage(stdout);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "netmgrd: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

static int check_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        return data[0].effective & 1U << CAP_NET_ADMIN ? 0 : -EPERM;
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        (void) sd_notify(0, "STOPPING=1");
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;

        (void) sd_notify(0, "RELOADING=1");
        if (manager_reload(userdata, &error) < 0)
                log_error("reload: %s", error_message(&error));
        (void) sd_notify(0, "READY=1");
        return 0;
}

/* Whoever started us may have given us less than the unit does, and most of it as a soft limit that is
 * there for select(), which nobody uses here. */
static void raise_file_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_WANTED)
                return;
        limit.rlim_cur = MIN_OF(limit.rlim_max, (rlim_t) FILES_WANTED);
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                log_warning("raising the limit of open files: %s", strerror(errno));
}

static int watch_signals(sd_event *event, Manager *m) {
        int r = sd_event_add_signal(event, NULL, SIGTERM, on_stop, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, on_stop, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, m);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        return r;
}

static int inherited_socket(void) {
        if (sd_listen_fds(1) >= 1 &&
            sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) > 0)
                return SD_LISTEN_FDS_START;
        return -EBADF;
}

static int run(const Options *o, Error *e) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(bus_freep) Bus *bus = NULL;
        const ManagerParams params = { .state_dir = o->state_dir,
                                       .config_dir = o->config_dir,
                                       .spool_dir = o->spool_dir,
                                       .nsd_socket = o->nsd_socket,
                                       .dhcp_socket = o->dhcp_socket,
                                       .exec_socket = o->exec_socket,
                                       .runtime_dir = o->runtime_dir,
                                       .sysctl_allowlist = o->sysctl_allowlist,
                                       .kernel = &kernel_real };
        BusParams bus_params = { .address = o->bus_address,
                                 .runtime_dir = o->runtime_dir,
                                 .listen_fd = inherited_socket() };

        int r = sd_event_default(&event);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "starting the event loop");
        r = manager_new(event, &params, &m, e);
        if (r >= 0)
                r = manager_start(m, e);
        if (r >= 0)
                r = bus_new(m, &bus_params, &bus, e);
        if (r < 0)
                return r;
        r = watch_signals(event, m);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "watching signals");

        log_info("netmgrd %s: %zu networks, %zu attachments", netmgr_version, map_size(m->networks),
                 map_size(m->attachments));
        (void) sd_notify(0, "READY=1\nSTATUS=Serving sandboxes");
        /* Short of memory the loop ends with an error, but is as it was; a moment later there may be some. */
        while ((r = sd_event_loop(event)) == -ENOMEM) {
                log_error("out of memory");
                (void) nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
        }
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "the event loop ended") : r;
}

int main(int argc, char **argv) {
        Options o = {
                .state_dir = "/var/lib/netmgr",
                .runtime_dir = "/run/netmgr",
                .config_dir = CONF_DIR_DEFAULT,
                .spool_dir = "/var/lib/netmgr-spool",
                .nsd_socket = "/run/netmgr-nsd/nsd.sock",
                .dhcp_socket = "/run/netmgr-dhcp/dhcp.sock",
                .exec_socket = "/run/netmgr-exec/exec.sock",
                .sysctl_allowlist = SYSCTL_ALLOWLIST,
        };
        _cleanup_error_ Error error = ERROR_NULL;
        sigset_t mask;

        int r = parse_options(argc, argv, &o);
        if (r <= 0)
                return r < 0 ? 2 : 0;
        if (check_capabilities() < 0) {
                log_error("netmgrd needs CAP_NET_ADMIN; start it as netmgrd.service does");
                return 1;
        }
        /* Before the first thread, which inherits it. */
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        umask(0077);
        raise_file_limit();
        /* The loop owns nearly everything; an arena for each thread would only keep what it once used. */
        (void) mallopt(M_ARENA_MAX, 1);

        r = run(&o, &error);
        if (r < 0) {
                log_error("%s", error_message(&error));
                return 1;
        }
        return r;
}
