/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Frames as a DHCP server sends them, put together by hand: what netmgr itself builds would only prove
 * that it agrees with itself.
 */

#include <string.h>

#include "dhcp/lease.h"

#define TEST_XID 0x12345678U

static const MacAddr test_mac = { { 0x02, 1, 2, 3, 4, 5 } };

typedef struct TestFrame {
        uint8_t bytes[DHCP_FRAME_MAX + 64];
        size_t size;
        size_t options; /* where the next option goes */
} TestFrame;

#define FRAME_IP      14
#define FRAME_UDP     34
#define FRAME_BOOTP   42
#define FRAME_SNAME   (FRAME_BOOTP + 44)
#define FRAME_FILE    (FRAME_BOOTP + 108)
#define FRAME_COOKIE  (FRAME_BOOTP + 236)
#define FRAME_OPTIONS (FRAME_BOOTP + 240)

static inline uint16_t test_sum(const uint8_t *p, size_t n, uint32_t sum) {
        for (size_t i = 0; i < n; i++)
                sum += i % 2 ? p[i] : (uint32_t) p[i] << 8;
        while (sum > 0xffff)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t) sum;
}

/* Length fields and checksums, once everything else is there. */
static inline void frame_seal(TestFrame *f) {
        size_t ip = f->size - FRAME_IP, udp = f->size - FRAME_UDP;

        f->bytes[FRAME_IP + 2] = (uint8_t) (ip >> 8);
        f->bytes[FRAME_IP + 3] = (uint8_t) ip;
        f->bytes[FRAME_UDP + 4] = (uint8_t) (udp >> 8);
        f->bytes[FRAME_UDP + 5] = (uint8_t) udp;
        memset(f->bytes + FRAME_IP + 10, 0, 2);
        uint16_t sum = (uint16_t) ~test_sum(f->bytes + FRAME_IP, 20, 0);
        f->bytes[FRAME_IP + 10] = (uint8_t) (sum >> 8);
        f->bytes[FRAME_IP + 11] = (uint8_t) sum;
        memset(f->bytes + FRAME_UDP + 6, 0, 2);
        sum = test_sum(f->bytes + FRAME_IP + 12, 8, 17 + (uint32_t) udp);
        sum = (uint16_t) ~test_sum(f->bytes + FRAME_UDP, udp, sum);
        f->bytes[FRAME_UDP + 6] = (uint8_t) (sum >> 8);
        f->bytes[FRAME_UDP + 7] = (uint8_t) sum;
}

static inline void frame_option(TestFrame *f, uint8_t code, const void *data, uint8_t n) {
        f->bytes[f->options] = code;
        f->bytes[f->options + 1] = n;
        memcpy(f->bytes + f->options + 2, data, n);
        f->options += 2U + n;
        if (f->size < f->options)
                f->size = f->options;
}

#define FRAME_OPTION(f, code, ...)                                                                 \
        frame_option((f), (code), (uint8_t[]) { __VA_ARGS__ }, sizeof((uint8_t[]) { __VA_ARGS__ }))

static inline void frame_end(TestFrame *f) {
        f->bytes[f->options++] = 255;
        if (f->size < f->options)
                f->size = f->options;
}

/* Headers and fixed fields of a reply that grants 10.9.0.7 to the test's client; no options but the
 * message's type. */
static inline TestFrame frame_new(uint8_t type) {
        TestFrame f = { .size = FRAME_OPTIONS, .options = FRAME_OPTIONS };
        static const uint8_t server_mac[6] = { 0x02, 9, 9, 9, 9, 9 };
        uint8_t *b = f.bytes;

        memcpy(b, test_mac.bytes, 6);
        memcpy(b + 6, server_mac, 6);
        b[12] = 0x08;
        memcpy(b + FRAME_IP, (uint8_t[]) { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17 }, 10);
        memcpy(b + FRAME_IP + 12, (uint8_t[]) { 10, 9, 0, 1, 10, 9, 0, 7 }, 8);
        b[FRAME_UDP + 1] = 67;
        b[FRAME_UDP + 3] = 68;
        memcpy(b + FRAME_BOOTP, (uint8_t[]) { 2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 }, 8);
        memcpy(b + FRAME_BOOTP + 16, (uint8_t[]) { 10, 9, 0, 7 }, 4);
        memcpy(b + FRAME_BOOTP + 28, test_mac.bytes, 6);
        memcpy(b + FRAME_COOKIE, (uint8_t[]) { 99, 130, 83, 99 }, 4);
        FRAME_OPTION(&f, 53, type);
        return f;
}

/* An acknowledgement with all that a lease needs; END is still to come. */
static inline TestFrame frame_ack(void) {
        TestFrame f = frame_new(5);

        FRAME_OPTION(&f, 54, 10, 9, 0, 1);
        FRAME_OPTION(&f, 1, 255, 255, 255, 0);
        FRAME_OPTION(&f, 51, 0, 0, 14, 16); /* 3600 */
        return f;
}
