/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the files of bus/. */

#include "base/list.h"
#include "bus/bus.h"
#include "core/attachment.h"
#include "core/network.h"
#include "core/op-synchronize.h"
#include "core/operation.h"
#include "core/sandbox.h"

#define BUS_NAME  "org.netmgr1"
#define BUS_PATH  "/org/netmgr1"
#define BUS_IFACE "org.netmgr1."

struct Bus {
        Manager *manager;           /* borrowed */
        sd_bus *system;             /* NULL: --bus-address=none */
        char *address;              /* of the system bus; NULL: the default */
        sd_event_source *reconnect; /* after the system bus was lost */
        int listen_fd;
        int spare_fd;  /* given up to get rid of a connection when there are no descriptors left */
        bool refusing; /* descriptors are scarce; said once */
        sd_event_source *listen_source, *post_source;
        List peers;                  /* Peer: connections of the private socket */
        size_t n_peers, most_peers;  /* most: since there were none */
        sd_bus_track *synchronizers; /* on the system bus: who has called Synchronize */
        List calls;                  /* RuntimeCall: those whose caller may have a ticket */
        List changes;      /* granted, and waiting for their attachment (attachment-bus.c) */
        char *socket_path; /* to be removed at the end; NULL when the socket was given */
};

/* Each interface says what it consists of; the userdata of a vtable is the object, for Runtime,
 * Manager and Attachment the Bus. */
extern const sd_bus_vtable runtime_vtable[];
extern const sd_bus_vtable manager_vtable[];
extern const sd_bus_vtable sandbox_vtable[];
extern const sd_bus_vtable attachment_vtable[];
extern const sd_bus_vtable network_vtable[];

int sandbox_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error);
int attachment_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error);
/* Lets go of the changes that wait. */
void attachment_bus_stop(Bus *b);
int network_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error);

/* Of the Manager; in files of their own (history-bus.c, garbage-bus.c, reconcile-bus.c, hotplug-bus.c). */
int method_attach(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_detach(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_history(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_reconcile(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* The only option of these. */
int bus_read_dry_run(sd_bus_message *m, bool *ret_dry_run, sd_bus_error *error);
int method_release_addresses(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_import(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_collect_garbage(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* The a{sv} of a Runtime method. q starts empty and is to be cleared, whatever comes of it. */
int runtime_request_read(sd_bus_message *m, Request *q, Error *e);

/* The connection is about to go: who has a ticket on it will not answer. */
void runtime_connection_gone(Bus *b, const sd_bus *connection);

/* The same for Synchronize. */
int synchronize_request_read(sd_bus_message *m, SyncRequest *q, Error *e);
int synchronize_remember_sender(Bus *b, sd_bus_message *m);
/* Asks everyone who was remembered and is still there; how many. userdata: the Bus. */
unsigned synchronize_wanted(void *userdata);

/* Object paths; owned by caller, NULL when out of memory. */
char *sandbox_bus_path(const Sandbox *s);
char *attachment_bus_path(const Attachment *a);
char *network_bus_path(const Network *n);

/* Registers everything on the system bus and tells of changes. */
int bus_register_objects(Bus *b);
void bus_observe(Bus *b, ManagerObserver *ret);

/* Fills the D-Bus error from ours and returns the negative errno that sd-bus wants. */
int bus_error_set(sd_bus_error *error, int r, const Error *e);
/* The same from a sentence that quotes the caller: sd_bus_error_setf() of a text that was cut within a
 * character makes an error that cannot be sent, and the caller waits for ever. */
int bus_error_setf(sd_bus_error *error, ErrorKind kind, const char *format, ...) _printf_(3, 4);
/*
 * The answers that come later than the handler's return. The caller waits for them for as long as its
 * patience lasts, so they are tried several times when memory or the socket's buffer are short; when all
 * fails a private connection is closed, which its plugin sees at once. types as in sd_bus_message_append().
 * Negative: it was not sent.
 */
int bus_reply(sd_bus_message *m, const char *types, ...);
/* The same for a handler that refuses at once: sd-bus would not tell when its own answer is lost. Returns 1. */
int bus_refuse(sd_bus_message *m, int r, const sd_bus_error *error);
/* Replies to a stored message with our error. */
void bus_reply_error(sd_bus_message *m, int r, const Error *e);

/* Effective uid of the sender: by the bus, or by the socket's credentials. */
int bus_sender_uid(sd_bus_message *m, uid_t *ret);
/* The refusal of a caller for whom that failed with r. */
int bus_unknown_sender(sd_bus_error *error, int r);
bool bus_uid_is_allowed(const Bus *b, uid_t uid);

/* The connection's userdata on the private socket. */
typedef struct Peer {
        List list;
        Bus *bus;
        sd_bus *connection;
        bool synchronizes; /* it has called Synchronize, and listens for SynchronizeWanted */
        bool greeted;      /* the greeting is over, and what came behind it was looked at */
} Peer;

static inline void sd_bus_error_freep(sd_bus_error *e) {
        sd_bus_error_free(e);
}
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_freep)

/*
 * May the sender do this? 1: yes; 0: polkit was asked, and the handler runs again with the answer
 * (return 1 from it); negative: no, with the error set. Every failure to find out means no.
 */
int polkit_authorise(Bus *b, sd_bus_message *m, const char *action,
                     sd_bus_message_handler_t handler, void *userdata, sd_bus_error *error);
