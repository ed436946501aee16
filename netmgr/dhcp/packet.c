/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading and building of frames; see packet.h. */

#include "dhcp/packet.h"

#include <net/ethernet.h>
#include <netinet/ip.h>

#define ETHERNET_SIZE 14U
#define IP_SIZE_MIN   20U
#define UDP_SIZE      8U
/* BOOTP's fixed part with the magic cookie; the options follow. */
#define BOOTP_SIZE       240U
#define BOOTP_OFF_CHADDR 28U
#define BOOTP_OFF_SNAME  44U
#define BOOTP_SIZE_SNAME 64U
#define BOOTP_OFF_FILE   108U
#define BOOTP_SIZE_FILE  128U
#define BOOTP_OFF_COOKIE 236U
/* Relays and servers of the time before DHCP drop what is shorter than BOOTP's 64 bytes of "vendor area". */
#define BOOTP_SIZE_MIN 300U

static const uint8_t cookie[4] = { 99, 130, 83, 99 };

static uint16_t get16(const uint8_t *p) {
        return (uint16_t) (p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void put16(uint8_t *p, uint32_t v) {
        p[0] = (uint8_t) (v >> 8);
        p[1] = (uint8_t) v;
}

static void put32(uint8_t *p, uint32_t v) {
        put16(p, v >> 16);
        put16(p + 2, v);
}

/* The Internet checksum's sum of 16-bit words, not yet folded. */
static uint32_t sum_words(const uint8_t *p, size_t n, uint32_t sum) {
        for (size_t i = 0; i + 1 < n; i += 2)
                sum += get16(p + i);
        if (n % 2)
                sum += (uint32_t) p[n - 1] << 8;
        return sum;
}

static uint16_t fold(uint32_t sum) {
        while (sum >> 16)
                sum = (sum & 0xffffU) + (sum >> 16);
        return (uint16_t) sum;
}

static uint32_t sum_udp(const uint8_t *ip, const uint8_t *udp, size_t size) {
        uint32_t sum = sum_words(ip + 12, 8, IPPROTO_UDP + (uint32_t) size);
        return sum_words(udp, size, sum);
}

/* --- reading ----------------------------------------------------------------------------------- */

/* Steps over the layers to the DHCP message. */
static int open_frame(const uint8_t *frame, size_t size, bool checksum_pending, const uint8_t **ret,
                      size_t *ret_size) {
        const uint8_t *ip = frame + ETHERNET_SIZE, *udp;

        if (size < ETHERNET_SIZE + IP_SIZE_MIN + UDP_SIZE || size > DHCP_FRAME_MAX ||
            get16(frame + 12) != ETHERTYPE_IP)
                return -EBADMSG;
        size -= ETHERNET_SIZE;
        size_t header = (ip[0] & 0xfU) * 4U, total = get16(ip + 2);
        /* Behind `total` there may be padding of the link. */
        if (ip[0] >> 4 != IPVERSION || header < IP_SIZE_MIN || total > size ||
            total < header + UDP_SIZE || ip[9] != IPPROTO_UDP ||
            get16(ip + 6) & (IP_MF | IP_OFFMASK) || fold(sum_words(ip, header, 0)) != 0xffffU)
                return -EBADMSG;
        udp = ip + header;
        size_t length = get16(udp + 4);
        if (get16(udp) != DHCP_PORT_SERVER || get16(udp + 2) != DHCP_PORT_CLIENT ||
            length < UDP_SIZE || length > total - header)
                return -EBADMSG;
        /* 0: the sender made none. */
        if (get16(udp + 6) != 0 && !checksum_pending && fold(sum_udp(ip, udp, length)) != 0xffffU)
                return -EBADMSG;
        *ret = udp + UDP_SIZE;
        *ret_size = length - UDP_SIZE;
        return 0;
}

typedef struct Area {
        const uint8_t *start;
        size_t size;
} Area;

/*
 * Calls `each` for every option of an area. An option that is longer than what is left makes the
 * message bad: half an option list is as good as a wrong one. An area without END is taken as it is,
 * as some servers leave it out.
 */
static int walk(const Area *a, void (*each)(uint8_t code, const uint8_t *data, uint8_t n, void *u),
                void *userdata) {
        size_t i = 0;

        while (i < a->size) {
                uint8_t code = a->start[i++];

                if (code == DHCP_OPTION_END)
                        return 0;
                if (code == DHCP_OPTION_PAD)
                        continue;
                if (i >= a->size || a->start[i] > a->size - i - 1)
                        return -EBADMSG;
                each(code, a->start + i + 1, a->start[i], userdata);
                i += 1U + a->start[i];
        }
        return 0;
}

static void count_option(uint8_t code, const uint8_t *data _unused_, uint8_t n, void *userdata) {
        DhcpMessage *m = userdata;
        /* The areas together are smaller than a frame: no overflow. */
        m->size[code] = (uint16_t) (m->size[code] + n);
}

static void copy_option(uint8_t code, const uint8_t *data, uint8_t n, void *userdata) {
        DhcpMessage *m = userdata;

        memcpy(m->bytes + m->offset[code] + m->size[code], data, n);
        m->size[code] = (uint16_t) (m->size[code] + n);
}

/* Pieces of one option belong together in the order of their areas (RFC 3396, 5): first all are counted,
 * then each is put behind the piece before it. */
static int collect(const Area *areas, size_t n_areas, DhcpMessage *m) {
        size_t total = 0;
        int r = 0;

        for (size_t i = 0; i < n_areas && r >= 0; i++)
                r = walk(&areas[i], count_option, m);
        for (unsigned code = 0; code < 256 && r >= 0; code++) {
                m->offset[code] = (uint16_t) total;
                total += m->size[code];
                m->size[code] = 0;
                if (total > sizeof(m->bytes))
                        r = -EBADMSG;
        }
        m->n_bytes = (uint16_t) total;
        for (size_t i = 0; i < n_areas && r >= 0; i++)
                r = walk(&areas[i], copy_option, m);
        return r;
}

static void note_overload(uint8_t code, const uint8_t *data, uint8_t n, void *userdata) {
        if (code == DHCP_OPTION_OVERLOAD && n == 1)
                *(uint8_t *) userdata = data[0];
}

static int read_options(const uint8_t *bootp, size_t size, DhcpMessage *m) {
        Area areas[3] = { { bootp + BOOTP_SIZE, size - BOOTP_SIZE } };
        size_t n = 1;
        uint8_t overload = 0;

        int r = walk(&areas[0], note_overload, &overload);
        if (r < 0)
                return r;
        /* 1: file, 2: server name, 3: both. Those have no say in it themselves. */
        if (overload & 1)
                areas[n++] = (Area) { bootp + BOOTP_OFF_FILE, BOOTP_SIZE_FILE };
        if (overload & 2)
                areas[n++] = (Area) { bootp + BOOTP_OFF_SNAME, BOOTP_SIZE_SNAME };
        return collect(areas, n, m);
}

int dhcp_frame_parse(const uint8_t *frame, size_t size, bool checksum_pending, uint32_t xid,
                     const MacAddr *mac, DhcpMessage *ret) {
        DhcpMessage m = { 0 };
        const uint8_t *bootp, *type;
        size_t n;

        int r = open_frame(frame, size, checksum_pending, &bootp, &size);
        if (r < 0)
                return r;
        /* A reply, Ethernet, six bytes of hardware address. */
        if (size < BOOTP_SIZE || bootp[0] != 2 || bootp[1] != 1 || bootp[2] != 6 ||
            get32(bootp + 4) != xid ||
            memcmp(bootp + BOOTP_OFF_CHADDR, mac->bytes, sizeof(mac->bytes)) != 0 ||
            memcmp(bootp + BOOTP_OFF_COOKIE, cookie, sizeof(cookie)) != 0)
                return -EBADMSG;
        r = read_options(bootp, size, &m);
        if (r < 0)
                return r;
        type = dhcp_message_get(&m, DHCP_OPTION_MESSAGE_TYPE, &n);
        if (!type || n != 1 || type[0] < DHCP_DISCOVER || type[0] >= _DHCP_TYPE_MAX)
                return -EBADMSG;
        m.type = type[0];
        m.address = get32(bootp + 16);
        memcpy(m.source.bytes, frame + 6, sizeof(m.source.bytes));
        *ret = m;
        return 0;
}

const uint8_t *dhcp_message_get(const DhcpMessage *m, uint8_t code, size_t *ret_size) {
        *ret_size = m->size[code];
        return m->size[code] > 0 ? m->bytes + m->offset[code] : NULL;
}

bool dhcp_message_get_u32(const DhcpMessage *m, uint8_t code, uint32_t *ret) {
        size_t n;
        const uint8_t *p = dhcp_message_get(m, code, &n);

        if (!p || n != 4)
                return false;
        *ret = get32(p);
        return true;
}

bool dhcp_message_get_u16(const DhcpMessage *m, uint8_t code, uint16_t *ret) {
        size_t n;
        const uint8_t *p = dhcp_message_get(m, code, &n);

        if (!p || n != 2)
                return false;
        *ret = get16(p);
        return true;
}

/* --- building ---------------------------------------------------------------------------------- */

static uint8_t *add_u32(uint8_t *p, uint8_t code, uint32_t value) {
        if (!value)
                return p;
        p[0] = code;
        p[1] = 4;
        put32(p + 2, value);
        return p + 6;
}

/* Returns the end of the options. */
static uint8_t *fill_bootp(const DhcpSend *s, uint8_t *bootp) {
        uint8_t *p = bootp + BOOTP_SIZE;

        bootp[0] = 1;
        bootp[1] = 1;
        bootp[2] = 6;
        put32(bootp + 4, s->xid);
        put16(bootp + 8, s->secs);
        /* Without an address an answer to it could not reach us on every sort of link (an ipvlan shares
         * its MAC with others): such a client asks for a broadcast. */
        if (!s->client)
                put16(bootp + 10, 0x8000);
        put32(bootp + 12, s->client);
        memcpy(bootp + BOOTP_OFF_CHADDR, s->mac.bytes, sizeof(s->mac.bytes));
        memcpy(bootp + BOOTP_OFF_COOKIE, cookie, sizeof(cookie));
        *p++ = DHCP_OPTION_MESSAGE_TYPE;
        *p++ = 1;
        *p++ = (uint8_t) s->type;
        p = add_u32(p, DHCP_OPTION_REQUESTED_ADDRESS, s->requested);
        p = add_u32(p, DHCP_OPTION_SERVER_ID, s->server);
        if (s->type != DHCP_RELEASE && s->type != DHCP_DECLINE) {
                *p++ = DHCP_OPTION_MESSAGE_SIZE;
                *p++ = 2;
                put16(p, DHCP_FRAME_MAX - ETHERNET_SIZE);
                p += 2;
        }
        if (s->options_size > 0)
                memcpy(p, s->options, s->options_size);
        p += s->options_size;
        *p++ = DHCP_OPTION_END;
        return p;
}

int dhcp_frame_build(const DhcpSend *s, uint8_t frame[static DHCP_FRAME_MAX]) {
        /* Type, two addresses, message size and END beside the caller's options. */
        const size_t own = 3 + 6 + 6 + 4 + 1;
        const size_t headers = ETHERNET_SIZE + IP_SIZE_MIN + UDP_SIZE;
        uint8_t *ip = frame + ETHERNET_SIZE, *udp = ip + IP_SIZE_MIN, *bootp = udp + UDP_SIZE;

        if (s->options_size > DHCP_FRAME_MAX - headers - BOOTP_SIZE - own)
                return -EMSGSIZE;
        memset(frame, 0, DHCP_FRAME_MAX);
        size_t size = (size_t) (fill_bootp(s, bootp) - bootp);
        size = MAX_OF(size, (size_t) BOOTP_SIZE_MIN) + UDP_SIZE;

        if (mac_is_zero(&s->to_mac))
                memset(frame, 0xff, 6);
        else
                memcpy(frame, s->to_mac.bytes, 6);
        memcpy(frame + 6, s->mac.bytes, 6);
        put16(frame + 12, ETHERTYPE_IP);
        ip[0] = IPVERSION << 4 | IP_SIZE_MIN / 4;
        put16(ip + 2, (uint32_t) (size + IP_SIZE_MIN));
        ip[8] = IPDEFTTL;
        ip[9] = IPPROTO_UDP;
        put32(ip + 12, s->client);
        put32(ip + 16, s->to ? s->to : UINT32_MAX);
        put16(ip + 10, (uint16_t) ~fold(sum_words(ip, IP_SIZE_MIN, 0)));
        put16(udp, DHCP_PORT_CLIENT);
        put16(udp + 2, DHCP_PORT_SERVER);
        put16(udp + 4, (uint32_t) size);
        uint16_t sum = (uint16_t) ~fold(sum_udp(ip, udp, size));
        put16(udp + 6, sum ? sum : 0xffffU); /* 0 would say that there is none */
        return (int) (ETHERNET_SIZE + IP_SIZE_MIN + size);
}
