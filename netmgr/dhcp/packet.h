/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * DHCP messages as whole Ethernet frames (RFC 2131; options of RFC 2132, 3396), read and built. Whoever
 * is on the network writes what is read here: nothing of it is believed before it is checked, nothing
 * is allocated, and no loop is longer than the frame.
 *
 * IPv4 addresses are numbers in host byte order; 0 is "none".
 */

#include "base/inaddr.h"

#define DHCP_PORT_SERVER 67
#define DHCP_PORT_CLIENT 68

/* An Ethernet frame of the usual size. Larger ones never come, since we tell servers what we take. */
#define DHCP_FRAME_MAX 1514U
/* The options of such a message, put together from all their places. */
#define DHCP_OPTIONS_MAX 1472U

enum {
        DHCP_OPTION_PAD = 0,
        DHCP_OPTION_SUBNET_MASK = 1,
        DHCP_OPTION_ROUTER = 3,
        DHCP_OPTION_DNS = 6,
        DHCP_OPTION_HOST_NAME = 12,
        DHCP_OPTION_DOMAIN = 15,
        DHCP_OPTION_MTU = 26,
        DHCP_OPTION_STATIC_ROUTE = 33,
        DHCP_OPTION_REQUESTED_ADDRESS = 50,
        DHCP_OPTION_LEASE_TIME = 51,
        DHCP_OPTION_OVERLOAD = 52,
        DHCP_OPTION_MESSAGE_TYPE = 53,
        DHCP_OPTION_SERVER_ID = 54,
        DHCP_OPTION_PARAMETER_LIST = 55,
        DHCP_OPTION_MESSAGE = 56,
        DHCP_OPTION_MESSAGE_SIZE = 57,
        DHCP_OPTION_RENEWAL_TIME = 58,
        DHCP_OPTION_REBINDING_TIME = 59,
        DHCP_OPTION_VENDOR_CLASS = 60,
        DHCP_OPTION_CLIENT_ID = 61,
        DHCP_OPTION_USER_CLASS = 77,
        DHCP_OPTION_SEARCH = 119,
        DHCP_OPTION_CLASSLESS_ROUTE = 121,
        DHCP_OPTION_END = 255,
};

typedef enum DhcpType {
        DHCP_DISCOVER = 1,
        DHCP_OFFER,
        DHCP_REQUEST,
        DHCP_DECLINE,
        DHCP_ACK,
        DHCP_NAK,
        DHCP_RELEASE,
        _DHCP_TYPE_MAX,
} DhcpType;

/* What a server sent. Options that came in several pieces, or in the fields for file and server name,
 * are whole. */
typedef struct DhcpMessage {
        DhcpType type;
        MacAddr source;   /* of the frame: the server's, or that of the relay before it */
        uint32_t address; /* yiaddr */
        uint16_t offset[256], size[256]; /* of each option in `bytes`; size 0: absent or empty */
        uint16_t n_bytes;
        uint8_t bytes[DHCP_OPTIONS_MAX];
} DhcpMessage;

/*
 * Reads a frame that should answer what we sent with xid from the interface with this MAC. Everything
 * else (other protocols, other people's answers, damaged or truncated messages) is -EBADMSG.
 * checksum_pending: the kernel has yet to fill in UDP's checksum (a server on the same machine).
 */
int dhcp_frame_parse(const uint8_t *frame, size_t size, bool checksum_pending, uint32_t xid,
                     const MacAddr *mac, DhcpMessage *ret);

/* The bytes of an option, or NULL. */
const uint8_t *dhcp_message_get(const DhcpMessage *m, uint8_t code, size_t *ret_size);
/* Options of exactly four and two bytes. False: absent or of another size. */
bool dhcp_message_get_u32(const DhcpMessage *m, uint8_t code, uint32_t *ret);
bool dhcp_message_get_u16(const DhcpMessage *m, uint8_t code, uint16_t *ret);

/* What a client sends. */
typedef struct DhcpSend {
        DhcpType type;
        uint32_t xid;
        uint16_t secs;
        MacAddr mac;
        uint32_t client;        /* ciaddr, and the packet's source */
        MacAddr to_mac;         /* zero: broadcast */
        uint32_t to;            /* 0: broadcast */
        uint32_t requested;     /* option 50 */
        uint32_t server;        /* option 54 */
        const uint8_t *options; /* code, length, bytes, ...: appended as they are */
        size_t options_size;
} DhcpSend;

/* -EMSGSIZE when the options do not fit. Returns the size of the frame. */
int dhcp_frame_build(const DhcpSend *s, uint8_t frame[static DHCP_FRAME_MAX]);
