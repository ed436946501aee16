/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The protocol between netmgrd and netmgr-dhcp: SOCK_SEQPACKET, one exchange per connection. netmgrd
 * connects and sends one packet of fixed size with one descriptor, an AF_PACKET socket of the sandbox
 * that is not bound yet; netmgr-dhcp answers with one packet when it has a lease or knows that there
 * is none, and closes. Whoever closes before that ends the exchange: the socket, which pins the
 * sandbox's namespace, goes with it.
 */

#include "base/limits.h"
#include "dhcp/lease.h"

#define DHCP_MAGIC 0x4e4d4431U /* "NMD1" */

/* Options that the client provides, as they go into the message: a client id and some strings of at
 * most 255 bytes each. */
#define DHCP_PROVIDE_MAX 1024U

typedef enum DhcpOperation {
        DHCP_ACQUIRE = 1, /* discover, request; `address`: wished for, or 0 */
        DHCP_RENEW,       /* ask the server that gave the lease, at server_mac */
        DHCP_REBIND,      /* ask every server */
        DHCP_GIVE_BACK,   /* release; answered without an address, as soon as it is sent */
        _DHCP_OPERATION_MAX,
} DhcpOperation;

typedef struct DhcpRequest {
        uint32_t magic, operation;
        uint32_t ifindex;     /* in the sandbox */
        uint32_t deadline_ms; /* from now on, at most DHCP_EXCHANGE_MAX_MS */
        uint8_t mac[6], server_mac[6];
        uint32_t address, server; /* host byte order; all operations but ACQUIRE need both */
        uint32_t wanted_size, provide_size;
        uint8_t wanted[256];               /* option 55: codes */
        uint8_t provide[DHCP_PROVIDE_MAX]; /* code, length, bytes, ... */
} DhcpRequest;

typedef enum DhcpOutcome {
        DHCP_OUTCOME_LEASE,   /* there is one, or it has been given back */
        DHCP_OUTCOME_REFUSED, /* the server says that the lease is none (NAK) */
        DHCP_OUTCOME_SILENCE, /* nobody answered in time */
        DHCP_OUTCOME_FAILED,  /* the socket does not work: the interface is down or gone */
        _DHCP_OUTCOME_MAX,
} DhcpOutcome;

typedef struct DhcpAnswer {
        uint32_t magic, outcome;
        uint32_t age_ms; /* since the server was asked for what it granted: a lease begins then */
        char sentence[256]; /* what happened; "" with a lease. Printable, NUL-padded */
        DhcpLease lease;    /* all zero unless DHCP_OUTCOME_LEASE */
} DhcpAnswer;

/* 0 or -EBADMSG. Both ends check what comes from the other. */
int dhcp_request_validate(const void *packet, size_t size, DhcpRequest *ret);
int dhcp_answer_validate(const void *packet, size_t size, DhcpOperation operation, DhcpAnswer *ret);

/* Appends an option to those that the client provides. -EMSGSIZE: no room, or more than 255 bytes. */
int dhcp_request_provide(DhcpRequest *q, uint8_t code, const void *data, size_t size);
