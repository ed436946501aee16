/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgr-cri: asks container runtimes over the CRI for their sandboxes and tells netmgrd. A process of
 * its own, since who may open a runtime's socket may do everything that root may: netmgrd shall not.
 *
 * It has no capability, keeps nothing and decides nothing.
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/version.h"
#include "cri/crid/endpoint.h"

#define RUNTIME_DIR_DEFAULT "/run/netmgr"
#define SCHEME              "unix://"

/* Their names are short since there can be only one at that path; others are named by their path. */
static const struct {
        const char *name, *socket;
} known[] = {
        { "containerd", "/run/containerd/containerd.sock" },
        { "cri-o", "/run/crio/crio.sock" },
};

typedef struct Options {
        const char *sockets[CRI_ENDPOINTS_MAX];
        size_t n_sockets;
        const char *name, *runtime_dir;
        uint32_t interval_sec;
        bool guessed; /* the sockets are the known ones */
} Options;

typedef struct Cri {
        sd_event *event;
        Endpoint *endpoints[CRI_ENDPOINTS_MAX];
        size_t n_endpoints;
} Cri;

static void usage(FILE *f) {
        fprintf(f,
                "netmgr-cri [OPTION...]\n"
                "Tells netmgrd which sandboxes the container runtimes have.\n\n"
                "  --runtime-endpoint=unix://PATH  socket of a runtime; may be repeated (default:\n"
                "                                  those of containerd and CRI-O)\n"
                "  --name=NAME                     name of the one runtime (default: containerd,\n"
                "                                  cri-o, or the path of the socket)\n"
                "  --runtime-dir=DIR               netmgrd's runtime.sock (default /run/netmgr)\n"
                "  --interval=SEC                  between two questions (default 180)\n"
                "  --version, --help\n");
}

static int add_socket(Options *o, const char *endpoint) {
        const char *path = strncmp(endpoint, SCHEME, strlen(SCHEME)) == 0
                                           ? endpoint + strlen(SCHEME)
                                           : endpoint;

        if (path[0] != '/' || strlen(path) > RUNTIME_NAME_MAX ||
            !text_is_clean(path, strlen(path))) {
                fprintf(stderr,
                        "netmgr-cri: --runtime-endpoint: wanted unix:// and an absolute path of at "
                        "most %u bytes, found \"%s\"\n",
                        RUNTIME_NAME_MAX, endpoint);
                return -EINVAL;
        }
        if (o->n_sockets == CRI_ENDPOINTS_MAX) {
                fprintf(stderr, "netmgr-cri: --runtime-endpoint: at most %u\n", CRI_ENDPOINTS_MAX);
                return -EINVAL;
        }
        o->sockets[o->n_sockets++] = path;
        return 0;
}

static int set_name(Options *o, const char *name) {
        if (isempty(name) || strlen(name) > RUNTIME_NAME_MAX ||
            !text_is_clean(name, strlen(name))) {
                fprintf(stderr, "netmgr-cri: --name: wanted 1 to %u bytes of text\n",
                        RUNTIME_NAME_MAX);
                return -EINVAL;
        }
        o->name = name;
        return 0;
}

static int set_interval(Options *o, const char *value) {
        if (parse_u32(value, 1, 86400, &o->interval_sec) >= 0)
                return 0;
        fprintf(stderr, "netmgr-cri: --interval: wanted 1 to 86400 seconds, found \"%s\"\n", value);
        return -EINVAL;
}

static int complete(Options *o) {
        if (o->name && o->n_sockets != 1) {
                fprintf(stderr, "netmgr-cri: --name needs exactly one --runtime-endpoint\n");
                return -EINVAL;
        }
        for (size_t i = 0; i < o->n_sockets; i++)
                for (size_t k = 0; k < i; k++)
                        if (streq(o->sockets[i], o->sockets[k])) {
                                fprintf(stderr, "netmgr-cri: --runtime-endpoint=%s: given twice\n",
                                        o->sockets[i]);
                                return -EINVAL;
                        }
        o->guessed = o->n_sockets == 0;
        if (o->guessed)
                for (size_t i = 0; i < ELEMENTSOF(known); i++)
                        o->sockets[o->n_sockets++] = known[i].socket;
        return 1;
}

/* 1: go on; 0: done; negative: wrong usage. */
static int parse_options(int argc, char **argv, Options *o) {
        static const struct option options[] = {
                { "runtime-endpoint", required_argument, NULL, 'e' },
                { "name", required_argument, NULL, 'n' },
                { "runtime-dir", required_argument, NULL, 'r' },
                { "interval", required_argument, NULL, 'i' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int c, r = 0;

        while (r >= 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'e':
                        r = add_socket(o, optarg);
                        break;
                case 'n':
                        r = set_name(o, optarg);
                        break;
                case 'r':
                        o->runtime_dir = optarg;
                        break;
                case 'i':
                        r = set_interval(o, optarg);
                        break;
                case 'V':
                        version_print("netmgr-cri", 0);
                        return 0;
                case 'h':
                        usage(stdout);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (r >= 0 && optind < argc) {
                fprintf(stderr, "netmgr-cri: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        return r < 0 ? r : complete(o);
}

static const char *name_of(const Options *o, const char *socket) {
        if (o->name)
                return o->name;
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i].socket, socket))
                        return known[i].name;
        return socket;
}

/* Another instance's directory: the system bus belongs to that instance only if it was chosen too. */
static bool system_bus_is_ours(const Options *o) {
        return streq(o->runtime_dir, RUNTIME_DIR_DEFAULT) ||
               !isempty(getenv("DBUS_SYSTEM_BUS_ADDRESS"));
}

static void on_changed(void *userdata) {
        _cleanup_free_ char *text = strdup("STATUS=");
        Cri *cri = userdata;

        for (size_t i = 0; text && i < cri->n_endpoints; i++) {
                const char *status = endpoint_status(cri->endpoints[i]);
                char *more = strf("%s%s%s", text, i > 0 ? "; " : "", status);

                free(text);
                text = more;
        }
        if (text)
                (void) sd_notify(0, text);
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si _unused_,
                   void *userdata _unused_) {
        (void) sd_notify(0, "STOPPING=1");
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int setup(Cri *cri, const Options *o) {
        int r = sd_event_default(&cri->event);
        if (r >= 0)
                r = sd_event_add_signal(cri->event, NULL, SIGTERM, on_stop, NULL);
        if (r >= 0)
                r = sd_event_add_signal(cri->event, NULL, SIGINT, on_stop, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(cri->event, true);
        for (size_t i = 0; i < o->n_sockets && r >= 0; i++) {
                const EndpointParams params = { .event = cri->event,
                                                .name = name_of(o, o->sockets[i]),
                                                .socket = o->sockets[i],
                                                .runtime_dir = o->runtime_dir,
                                                .system_bus = system_bus_is_ours(o),
                                                .interval_sec = o->interval_sec,
                                                .optional = o->guessed,
                                                .changed = on_changed,
                                                .userdata = cri };
                r = endpoint_new(&params, &cri->endpoints[i]);
                if (r >= 0)
                        cri->n_endpoints++;
        }
        return r;
}

int main(int argc, char **argv) {
        Options o = { .runtime_dir = RUNTIME_DIR_DEFAULT, .interval_sec = 180 };
        Cri cri = { 0 };
        sigset_t mask;

        int r = parse_options(argc, argv, &o);
        if (r <= 0)
                return r < 0 ? 2 : 0;
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);

        r = setup(&cri, &o);
        if (r < 0)
                log_error_errno(r, "starting");
        else {
                (void) sd_notify(0, "READY=1");
                for (size_t i = 0; i < cri.n_endpoints; i++)
                        endpoint_start(cri.endpoints[i]);
                r = sd_event_loop(cri.event);
        }
        for (size_t i = 0; i < cri.n_endpoints; i++)
                endpoint_free(cri.endpoints[i]);
        sd_event_unref(cri.event);
        return r < 0 ? 1 : r;
}
