/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The first byte says what the rest is: 0 a frame from the network, 1 a packet of netmgrd, 2 one of
 * netmgr-dhcp. What is read of a frame must be an answer that netmgrd accepts, and no name in it may be
 * more than a name: it ends in a resolv.conf.
 */

#include "dhcp/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static uint32_t get32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* No fuzzer guesses a checksum: the header's is put right. */
static void fix_checksum(uint8_t *ip, size_t size) {
        size_t header = (ip[0] & 0xfU) * 4U;
        uint32_t sum = 0;

        if (header > size || header < 20)
                return;
        ip[10] = ip[11] = 0;
        for (size_t i = 0; i < header; i += 2)
                sum += (uint32_t) ip[i] << 8 | ip[i + 1];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        ip[10] = (uint8_t) (~sum >> 8);
        ip[11] = (uint8_t) ~sum;
}

static void require_names(const char *s) {
        require(!strpbrk(s, "\n\r\t\"'\\;#") && s[0] != ' ' && !strstr(s, "  "));
}

static void read_frame(const uint8_t *data, size_t size) {
        DhcpAnswer answer = { .magic = DHCP_MAGIC }, again;
        uint8_t *frame = malloc(size +
                                1); /* of its own: the sanitizer sees what is read beyond it */
        MacAddr mac = { 0 };
        uint32_t xid = 0;
        DhcpMessage m;

        require(frame);
        memcpy(frame, data, size);
        if (size >= 34)
                fix_checksum(frame + 14, size - 14);
        if (size >= 76) {
                xid = get32(frame + 46);
                memcpy(mac.bytes, frame + 70, 6);
        }
        if (dhcp_frame_parse(frame, size, true, xid, &mac, &m) >= 0) {
                for (unsigned code = 0; code < 256; code++)
                        require(m.offset[code] + m.size[code] <= m.n_bytes &&
                                m.n_bytes <= sizeof(m.bytes));
                if (!dhcp_lease_read(&m, &answer.lease)) {
                        require(dhcp_answer_validate(&answer, sizeof(answer), DHCP_RENEW, &again) >=
                                0);
                        require_names(answer.lease.domain);
                        require_names(answer.lease.search);
                }
        }
        free(frame);
}

static void read_request(const uint8_t *data, size_t size) {
        uint8_t frame[DHCP_FRAME_MAX];
        DhcpRequest q;

        if (dhcp_request_validate(data, size, &q) < 0)
                return;
        require(memcmp(&q, data, sizeof(q)) == 0);
        DhcpSend s = { .type = DHCP_DISCOVER,
                       .options = q.provide,
                       .options_size = q.provide_size };
        require(dhcp_frame_build(&s, frame) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        DhcpAnswer answer;

        if (size == 0)
                return 0;
        if (data[0] == 0)
                read_frame(data + 1, size - 1);
        else if (data[0] == 1)
                read_request(data + 1, size - 1);
        else if (dhcp_answer_validate(data + 1, size - 1, DHCP_ACQUIRE, &answer) >= 0 &&
                 answer.outcome == DHCP_OUTCOME_LEASE)
                require(dhcp_lease_is_valid(&answer.lease));
        return 0;
}
