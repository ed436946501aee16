/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgr-exec: runs plugins of others for netmgrd where no runtime is there to do it (a reboot, a spooled DEL,
 * garbage, an interface that is attached to a running sandbox). It has all of root's rights, since plugins
 * need them; so it does nothing but that, for one user, and each connection has a process of its own.
 *
 * It keeps nothing. Killed, it takes the plugins that run along; netmgrd has in its ledger what they were
 * run for, and asks again.
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/version.h"
#include "cri/exec/serve.h"

typedef struct Child {
        struct Exec *exec;
        sd_event_source *ended; /* owned; NULL: the place is free */
        pid_t pid;
        int connection; /* owned: closing both directions tells the child to end */
} Child;

typedef struct Exec {
        sd_event *event;
        sd_event_source *accepting;
        Listener listener;
        const char *path;
        Child children[EXEC_CALLS_MAX];
        size_t n_children;
} Exec;

static void child_forget(Child *c) {
        c->ended = sd_event_source_disable_unref(c->ended);
        c->connection = safe_close(c->connection);
        c->exec->n_children--;
}

static int on_child_ended(sd_event_source *source _unused_, const siginfo_t *si, void *userdata) {
        Child *c = userdata;
        Exec *e = c->exec;

        if (si->si_code != CLD_EXITED || si->si_status != 0)
                log_warning("the process of a connection ended by itself (code %d, status %d)",
                            si->si_code, si->si_status);
        child_forget(c);
        (void) sd_event_source_set_enabled(e->accepting, SD_EVENT_ON);
        return 0;
}

/* In the child: what it inherited is put right for plugins, which get it from us. */
static void child_run(const Exec *e, int connection, pid_t parent) {
        sigset_t none;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(1);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        safe_close(e->listener.fd);
        /* An answer ends with its connection: nobody else's may stay open here. */
        for (size_t i = 0; i < ELEMENTSOF(e->children); i++)
                safe_close(e->children[i].connection);
        serve(connection, e->path);
        /* Nothing of the loop, which is our parent's, is ours to end. */
        _exit(0);
}

static int child_start(Exec *e, int fd) {
        _cleanup_close_ int connection = fd;
        pid_t parent = getpid();
        Child *c = e->children;

        while (c->ended)
                c++;
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child_run(e, connection, parent);
        int r = sd_event_add_child(e->event, &c->ended, pid, WEXITED, on_child_ended, c);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        c->exec = e;
        c->pid = pid;
        c->connection = TAKE_FD(connection);
        e->n_children++;
        return 0;
}

static int on_connect(sd_event_source *source, int fd _unused_, uint32_t revents _unused_,
                      void *userdata) {
        Exec *e = userdata;

        int r = listener_accept(&e->listener, SOCK_NONBLOCK);
        if (r < 0)
                return 0;
        r = child_start(e, r);
        if (r < 0)
                log_error_errno(r, "a connection got no process");
        /* The others wait in the socket's queue. */
        if (e->n_children == ELEMENTSOF(e->children))
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* Each kills what it runs, with all that that has started. */
static void children_stop(Exec *e) {
        for (size_t i = 0; i < ELEMENTSOF(e->children); i++)
                if (e->children[i].ended)
                        (void) shutdown(e->children[i].connection, SHUT_RDWR);
        for (size_t i = 0; i < ELEMENTSOF(e->children); i++) {
                Child *c = &e->children[i];

                if (!c->ended)
                        continue;
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                child_forget(c);
        }
}

static int setup(Exec *e, const char *socket_path, const char *peer) {
        int r = listener_open(&e->listener, socket_path, SOCK_STREAM, EXEC_CALLS_MAX, peer);
        if (r < 0)
                return r;
        r = sd_event_default(&e->event);
        if (r >= 0)
                r = sd_event_add_io(e->event, &e->accepting, e->listener.fd, EPOLLIN, on_connect,
                                    e);
        if (r >= 0)
                r = sd_event_add_signal(e->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(e->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(e->event, true);
        return r < 0 ? log_error_errno(r, "starting the event loop") : 0;
}

static int run(const char *socket_path, const char *peer, const char *path) {
        Exec e = { .listener = LISTENER_NULL, .path = path };
        sigset_t mask;

        for (size_t i = 0; i < ELEMENTSOF(e.children); i++)
                e.children[i].connection = -EBADF;
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        int r = setup(&e, socket_path, peer);
        if (r >= 0) {
                listener_ready();
                r = sd_event_loop(e.event);
                if (r < 0)
                        log_error_errno(r, "event loop");
        }
        children_stop(&e);
        sd_event_source_disable_unref(e.accepting);
        sd_event_unref(e.event);
        listener_close(&e.listener);
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "socket", required_argument, NULL, 's' },
                { "peer-user", required_argument, NULL, 'p' },
                { "plugin-path", required_argument, NULL, 'P' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const char *socket_path = "/run/netmgr-exec/exec.sock", *peer = "netmgr",
                   *path = "/usr/lib/cni:/opt/cni/bin";
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 's':
                        socket_path = optarg;
                        break;
                case 'p':
                        peer = optarg;
                        break;
                case 'P':
                        path = optarg;
                        break;
                case 'V':
                        version_print("netmgr-exec", 0);
                        return 0;
                case 'h':
                        printf("netmgr-exec [--socket=PATH] [--peer-user=USER] [--plugin-path=DIR:DIR] "
                               "[--version]\n"
                               "Runs CNI plugins of others for netmgrd where no runtime does. Only those that "
                               "nobody\nbut root can replace.\n");
                        return 0;
                default:
                        return 2;
                }
        if (optind < argc) {
                fprintf(stderr, "netmgr-exec: unexpected argument \"%s\"\n", argv[optind]);
                return 2;
        }
        if (geteuid() != 0) {
                log_error("netmgr-exec has to be root, as the plugins that it runs expect it");
                return 1;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        (void) umask(0022);
        if (chdir("/") < 0)
                return 1;
        return run(socket_path, peer, path) < 0 ? 1 : 0;
}
