/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gratuitous ARP and unsolicited neighbour advertisements for new addresses of bridge ports, sent
 * on the bridge itself through one long-lived packet socket of the host's netns (from netmgr-nsd;
 * netmgrd has no CAP_NET_RAW). A socket inside the pod would cost an RCU wait at its close and pin
 * the namespace.
 */

#include "nl/nl.h"

/* Sends one announcement that `address` is at `mac` on the link. packet_fd: AF_PACKET, SOCK_RAW,
 * protocol 0. Best effort: the errno tells why it was not sent. */
int announce_address(int packet_fd, uint32_t ifindex, const MacAddr *mac, const InAddr *address);
