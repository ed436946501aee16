/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which program of the host holds a port already: a host port would take its packets away. Asked of
 * the kernel by sock_diag in the caller's own network namespace; no privilege is needed.
 */

#include "base/error.h"
#include "base/inaddr.h"

typedef struct ListenerQuery {
        uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP; others are held by nobody that we could see */
        uint16_t port;
        InAddr host; /* family set; unspecified: every address of that family */
} ListenerQuery;

typedef struct Listener {
        size_t query;   /* index of the query that it answers */
        InAddr address; /* where it is bound; IPv4 for ::ffff:192.0.2.1 */
        uint32_t uid;
        char who[160]; /* in words: "nginx (nginx.service, user root, uid 0)" */
} Listener;

/* The first socket that holds one of the ports: 1 and *ret filled; 0 when there is none. */
int listeners_find(const ListenerQuery *queries, size_t n, Listener *ret, Error *e);
