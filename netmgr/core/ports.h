/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who holds which port of the host. Decided in memory on the event loop; the ledger's table is the
 * record. A wildcard holds the port of every address of its family.
 */

#include "core/attachment.h"

typedef struct PortTable PortTable;

PortTable *port_table_new(void);
PortTable *port_table_free(PortTable *t); /* accepts NULL, returns NULL */

/* Takes the port for the attachment. ERROR_PORT_IN_USE names the holder. */
int port_table_take(PortTable *t, const Attachment *a, const SpecPort *port, Error *e);
void port_table_give_back(PortTable *t, const Attachment *a, const SpecPort *port);

/*
 * The ports of one mapping: one per family that the sandbox has and the mapping means. Appends to
 * spec.ports and takes them; on failure nothing was taken.
 */
int attachment_take_ports(Attachment *a, const NetPort *port, Error *e);
/* The same, but what leads there already is no conflict. */
int attachment_take_missing_ports(Attachment *a, const NetPort *port, Error *e);
/* The indices in spec.ports that a mapping means (by host address, protocol and host port); at most
 * two. Returns how many. */
size_t attachment_find_ports(const Attachment *a, const NetPort *port, size_t ret[static 2]);
/* Out of the specification only; the attachment holds it still. */
void attachment_leave_out_port(Attachment *a, size_t index);
/* Takes them out of the table and of spec.ports. */
void attachment_give_back_port(Attachment *a, size_t index);
void attachment_give_back_all_ports(Attachment *a);

/* ERROR_PORT_IN_USE when a program of the host listens on one of the ports, with its name. Asks the
 * kernel: on a worker. */
int ports_check_listeners(const SpecPort *ports, size_t n, Error *e);
