/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections: the system bus with its objects, and the private socket with its peers. */

#include "bus/bus.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "bus/bus-internal.h"
#include "core/threads.h"

/* Between two tries to connect to a system bus that went away. */
#define RECONNECT_USEC 500000U

/* --- private socket -------------------------------------------------------------------------------- */

static sd_bus *drop_connection(sd_bus *bus) {
        if (bus) {
                (void) sd_bus_detach_event(bus);
                sd_bus_close(bus);
        }
        return sd_bus_unref(bus);
}

/* Connections that are enough for their memory to be worth a look. */
#define MANY_PEERS 128

/* A burst of requests leaves its pages with the allocator, which would keep them for the next. */
static void give_memory_back(Bus *b) {
        if (b->most_peers >= MANY_PEERS)
                (void) malloc_trim(0);
        b->most_peers = 0;
}

static void peer_free(Peer *p) {
        list_unlink(&p->list);
        if (--p->bus->n_peers == 0)
                give_memory_back(p->bus);
        runtime_connection_gone(p->bus, p->connection);
        /* Operations under way hold their own references to messages, and through them to the
         * connection: answering a closed one merely fails. */
        drop_connection(p->connection);
        free(p);
}

/* A filter sees every message; a match for this one alone would cost each connection more than all the
 * rest of what we add to it. */
static int on_peer_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") <= 0)
                return 0;
        peer_free(userdata);
        return 1;
}

/* sd-bus (252) aborts when it frees a connection that had no memory for its objects: such a one is closed,
 * and its few kilobytes are given up. */
static void abandon(sd_bus **bus) {
        sd_bus_close(TAKE_PTR(*bus));
}

/* Takes the descriptor, sooner or later: *fd tells. */
static int peer_start(Peer *p, int *fd) {
        sd_id128_t id;

        int r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&p->connection);
        if (r >= 0)
                r = sd_bus_set_fd(p->connection, *fd, *fd);
        if (r < 0)
                return r;
        TAKE_FD(*fd);
        r = sd_bus_set_server(p->connection, 1, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(p->connection, 1);
        if (r >= 0)
                r = sd_bus_negotiate_creds(p->connection, 1, SD_BUS_CREDS_EUID);
        if (r >= 0)
                r = sd_bus_start(p->connection);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(p->connection, NULL, BUS_PATH, BUS_IFACE "Runtime",
                                     runtime_vtable, p->bus);
        if (r < 0)
                abandon(&p->connection);
        if (r >= 0)
                r = sd_bus_add_filter(p->connection, NULL, on_peer_message, p);
        if (r >= 0)
                r = sd_bus_attach_event(p->connection, p->bus->manager->event, 0);
        return r;
}

static int peer_new(Bus *b, int *fd) {
        struct ucred creds;
        socklen_t size = sizeof(creds);

        if (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &creds, &size) < 0)
                return -errno;
        if (!bus_uid_is_allowed(b, creds.uid)) {
                log_warning("private socket: connection of uid %u refused", creds.uid);
                return -EPERM;
        }
        if (b->n_peers >= RUNTIME_CONNECTIONS_MAX) {
                log_warning("private socket: %zu connections, the limit", b->n_peers);
                return -EBUSY;
        }
        Peer *p = new0(Peer, 1);
        if (!p)
                return -ENOMEM;
        p->bus = b;
        list_append(&b->peers, &p->list);
        if (++b->n_peers > b->most_peers)
                b->most_peers = b->n_peers;
        int r = peer_start(p, fd);
        if (r < 0) {
                log_error_errno(r, "private socket: starting a connection");
                peer_free(p);
        }
        return 0;
}

/*
 * A client may send its first message right behind the greeting. sd-bus (252) then has it in its buffer
 * when the greeting ends, but waits for the socket, which has nothing more to tell: the call would hang.
 * So every connection is looked at once more when its greeting is over.
 */
static int on_post(sd_event_source *s, void *userdata) {
        Bus *b = userdata;
        Peer *p;

        LIST_FOREACH (p, &b->peers, Peer, list) {
                if (p->greeted || sd_bus_is_ready(p->connection) <= 0)
                        continue;
                p->greeted = true;
                sd_bus *c = sd_bus_ref(p->connection); /* p may be gone after the first step */
                int r, peer_fd;
                while ((r = sd_bus_process(c, NULL)) > 0)
                        ;
                /* What it could not read is lost: the client must not wait for an answer. */
                if (r < 0 && (peer_fd = sd_bus_get_fd(c)) >= 0)
                        (void) shutdown(peer_fd, SHUT_RDWR);
                sd_bus_unref(c);
        }
        return 0;
}

/* A connection that waits would wake the loop again and again: it is taken and closed, which the
 * plugin tells its runtime as "try again later". */
static void refuse_connection(Bus *b, int listen_fd) {
        b->spare_fd = safe_close(b->spare_fd);
        safe_close(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
        b->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Says it once for a shortage. */
static void set_refusing(Bus *b, bool refusing) {
        if (refusing && !b->refusing)
                log_warning("private socket: too many descriptors are open, connections are "
                            "refused; LimitNOFILE= of netmgrd.service can be raised");
        b->refusing = refusing;
}

static int on_connection(sd_event_source *s, int listen_fd, uint32_t revents, void *userdata) {
        Bus *b = userdata;

        for (;;) {
                _cleanup_close_ int fd =
                                accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
                        set_refusing(b, true);
                        refuse_connection(b, listen_fd);
                        return 0; /* the loop comes back as long as there are more */
                }
                if (fd < 0) {
                        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                                log_error_errno(errno, "private socket: accepting");
                        return 0;
                }
                set_refusing(b, fd_is_scarce(fd));
                if (!b->refusing)
                        (void) peer_new(b, &fd);
        }
}

/* The socket gets its name when it listens: who waits for the name can connect at once, and the socket
 * that a killed netmgrd left is replaced in the same instant. */
static int bind_socket(Bus *b, const char *runtime_dir, Error *e) {
        _cleanup_free_ char *temporary = strf("%s/runtime.new", runtime_dir);
        struct sockaddr_un sun = { .sun_family = AF_UNIX };

        b->socket_path = strf("%s/runtime.sock", runtime_dir);
        if (!b->socket_path || !temporary)
                return error_oom(e);
        if (strlen(b->socket_path) >= sizeof(sun.sun_path))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: too long for a socket",
                                  b->socket_path);
        memcpy(sun.sun_path, temporary, strlen(temporary) + 1);
        if (mkdir(runtime_dir, 0755) < 0 && errno != EEXIST)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "making %s", runtime_dir);
        b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (b->listen_fd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "socket");
        if (unlink(temporary) < 0 && errno != ENOENT)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "removing the old %s", temporary);
        mode_t old = umask(0177);
        int r = bind(b->listen_fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 ? -errno : 0;
        umask(old);
        if (r >= 0 && listen(b->listen_fd, 1024) < 0)
                r = -errno;
        if (r >= 0 && rename(temporary, b->socket_path) < 0)
                r = -errno;
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "listening on %s", b->socket_path)
                     : 0;
}

static int start_private(Bus *b, const BusParams *params, Error *e) {
        if (params->listen_fd >= 0)
                b->listen_fd = params->listen_fd;
        else {
                int r = bind_socket(b, params->runtime_dir, e);
                if (r < 0)
                        return r;
        }
        b->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (b->spare_fd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "opening /dev/null");
        int r = sd_event_add_io(b->manager->event, &b->listen_source, b->listen_fd, EPOLLIN,
                                on_connection, b);
        if (r >= 0)
                r = sd_event_add_post(b->manager->event, &b->post_source, on_post, b);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "watching the private socket") : 0;
}

/* --- system bus ------------------------------------------------------------------------------------ */

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        const Bus *b = userdata;
        size_t n = 0, room = 1 + map_size(b->manager->sandboxes) +
                             map_size(b->manager->attachments) + map_size(b->manager->networks);
        char **list = new0(char *, room);
        Sandbox *s;
        Attachment *a;
        Network *net;

        if (!list)
                return -ENOMEM;
        MAP_FOREACH (s, b->manager->sandboxes)
                if (s->announced && (list[n] = sandbox_bus_path(s)))
                        n++;
        MAP_FOREACH (a, b->manager->attachments)
                if (a->announced && (list[n] = attachment_bus_path(a)))
                        n++;
        MAP_FOREACH (net, b->manager->networks)
                if ((list[n] = network_bus_path(net)))
                        n++;
        *ret_nodes = list;
        return 0;
}

int bus_register_objects(Bus *b) {
        sd_bus *bus = b->system;

        int r = sd_bus_add_object_manager(bus, NULL, BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_IFACE "Runtime",
                                             runtime_vtable, b);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_IFACE "Manager",
                                             manager_vtable, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PATH "/sandbox", BUS_IFACE "Sandbox",
                                               sandbox_vtable, sandbox_bus_find, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PATH "/sandbox",
                                               BUS_IFACE "Attachment", attachment_vtable,
                                               attachment_bus_find, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PATH "/network", BUS_IFACE "Network",
                                               network_vtable, network_bus_find, b);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, BUS_PATH, enumerate, b);
        return r;
}

static int on_system_bus_gone(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;

        /* The private socket goes on serving. Not from in here: the connection is being processed. */
        log_error("the connection to the system bus was lost; connecting again");
        timer_start(b->manager->event, b->reconnect, 0);
        return 0;
}

static int connect_system(const char *address, sd_bus **ret) {
        int r;

        if (!address)
                return sd_bus_open_system(ret);
        r = sd_bus_new(ret);
        if (r >= 0)
                r = sd_bus_set_address(*ret, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(*ret, 1);
        if (r >= 0)
                r = sd_bus_negotiate_fds(*ret, 1);
        if (r >= 0)
                r = sd_bus_start(*ret);
        return r;
}

static int serve_system(Bus *b) {
        int r = bus_register_objects(b);
        if (r < 0)
                abandon(&b->system);
        if (r >= 0)
                r = sd_bus_match_signal(b->system, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_system_bus_gone, b);
        if (r >= 0)
                r = sd_bus_request_name(b->system, BUS_NAME, 0);
        if (r >= 0)
                r = sd_bus_attach_event(b->system, b->manager->event, 0);
        return r;
}

/* The old connection stays until there is a new one: what is told meanwhile fails quietly. */
static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata) {
        Bus *b = userdata;
        sd_bus *old = b->system, *new = NULL;

        int r = connect_system(b->address, &new);
        if (r >= 0) {
                b->system = new;
                r = serve_system(b);
        }
        if (r < 0) {
                new = new && !b->system ? NULL : new; /* abandoned */
                b->system = old;
                drop_connection(new);
                log_debug("connecting to the system bus: %s", strerror(-r));
                timer_start(b->manager->event, b->reconnect, RECONNECT_USEC);
                return 0;
        }
        drop_connection(old);
        log_notice("connected to the system bus again");
        return 0;
}

static int start_system(Bus *b, const char *address, Error *e) {
        if (address && streq(address, "none"))
                return 0;
        b->address = address ? strdup(address) : NULL;
        if (address && !b->address)
                return error_oom(e);
        int r = timer_new(b->manager->event, &b->reconnect, on_reconnect, b);
        if (r >= 0)
                r = connect_system(address, &b->system);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "connecting to the bus %s",
                                        address ? address : "(system)");
        r = serve_system(b);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "taking the bus name " BUS_NAME) : 0;
}

int bus_new(Manager *m, const BusParams *params, Bus **ret, Error *e) {
        _cleanup_(bus_freep) Bus *b = new0(Bus, 1);
        if (!b)
                return error_oom(e);

        b->manager = m;
        b->listen_fd = b->spare_fd = -EBADF;
        list_init(&b->peers);
        list_init(&b->changes);
        list_init(&b->calls);
        int r = start_system(b, params->address, e);
        if (r >= 0)
                r = start_private(b, params, e);
        if (r < 0)
                return r;
        if (b->system)
                bus_observe(b, &m->observer);
        m->observer.synchronize_wanted = synchronize_wanted;
        m->observer.userdata = b;
        *ret = TAKE_PTR(b);
        return 0;
}

Bus *bus_free(Bus *b) {
        Peer *p;

        if (!b)
                return NULL;
        b->manager->observer = (ManagerObserver) { 0 };
        attachment_bus_stop(b);
        /* What is under way ends with the Manager, after us; it holds its own message. */
        while (!list_is_empty(&b->calls))
                list_unlink(b->calls.next);
        LIST_FOREACH (p, &b->peers, Peer, list)
                peer_free(p);
        sd_event_source_disable_unref(b->listen_source);
        sd_event_source_disable_unref(b->post_source);
        safe_close(b->listen_fd);
        safe_close(b->spare_fd);
        if (b->socket_path)
                (void) unlink(b->socket_path);
        free(b->socket_path);
        sd_event_source_disable_unref(b->reconnect);
        sd_bus_track_unref(b->synchronizers);
        sd_bus_flush_close_unref(b->system);
        free(b->address);
        free(b);
        return NULL;
}
