/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checking of packets; shared by both ends. */

#include "dhcp/protocol.h"

static bool is_padded(const char *s, size_t size) {
        size_t n = strnlen(s, size);

        if (n == size)
                return false;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) s[i] < 0x20 || (unsigned char) s[i] >= 0x7f)
                        return false;
        for (size_t i = n; i < size; i++)
                if (s[i])
                        return false;
        return true;
}

static bool is_zero(const void *p, size_t n) {
        const uint8_t *bytes = p;

        for (size_t i = 0; i < n; i++)
                if (bytes[i])
                        return false;
        return true;
}

/* Whole options, and none that netmgr-dhcp itself puts into a message. */
static bool provide_is_valid(const uint8_t *p, size_t size) {
        for (size_t i = 0; i < size;) {
                switch (p[i]) {
                case DHCP_OPTION_PAD:
                case DHCP_OPTION_END:
                case DHCP_OPTION_REQUESTED_ADDRESS:
                case DHCP_OPTION_OVERLOAD:
                case DHCP_OPTION_MESSAGE_TYPE:
                case DHCP_OPTION_SERVER_ID:
                case DHCP_OPTION_PARAMETER_LIST:
                case DHCP_OPTION_MESSAGE_SIZE:
                        return false;
                default:
                        break;
                }
                if (i + 1 >= size || p[i + 1] == 0 || p[i + 1] > size - i - 2)
                        return false;
                i += 2U + p[i + 1];
        }
        return true;
}

int dhcp_request_validate(const void *packet, size_t size, DhcpRequest *ret) {
        DhcpRequest q;

        if (size != sizeof(q))
                return -EBADMSG;
        memcpy(&q, packet, sizeof(q));
        if (q.magic != DHCP_MAGIC || q.operation < DHCP_ACQUIRE ||
            q.operation >= _DHCP_OPERATION_MAX || q.ifindex == 0 || q.ifindex > INT32_MAX ||
            q.deadline_ms == 0 || q.deadline_ms > DHCP_EXCHANGE_MAX_MS ||
            is_zero(q.mac, sizeof(q.mac)) || q.wanted_size >= sizeof(q.wanted) ||
            q.provide_size > sizeof(q.provide) || !provide_is_valid(q.provide, q.provide_size))
                return -EBADMSG;
        if (q.operation != DHCP_ACQUIRE && (!q.address || !q.server))
                return -EBADMSG;
        /* Broadcast is what REBIND is for. */
        if ((q.operation == DHCP_RENEW || q.operation == DHCP_GIVE_BACK) &&
            (is_zero(q.server_mac, sizeof(q.server_mac)) || q.server_mac[0] & 1))
                return -EBADMSG;
        *ret = q;
        return 0;
}

int dhcp_answer_validate(const void *packet, size_t size, DhcpOperation operation,
                         DhcpAnswer *ret) {
        DhcpAnswer a;

        if (size != sizeof(a))
                return -EBADMSG;
        memcpy(&a, packet, sizeof(a));
        bool lease = a.outcome == DHCP_OUTCOME_LEASE && operation != DHCP_GIVE_BACK;
        /* Older than an exchange can be: such a lease would be over as soon as it began, again and again. */
        if (a.magic != DHCP_MAGIC || a.outcome >= _DHCP_OUTCOME_MAX ||
            a.age_ms > DHCP_EXCHANGE_MAX_MS || !is_padded(a.sentence, sizeof(a.sentence)) ||
            (a.outcome == DHCP_OUTCOME_LEASE) != (a.sentence[0] == '\0'))
                return -EBADMSG;
        if (lease ? !dhcp_lease_is_valid(&a.lease) : !is_zero(&a.lease, sizeof(a.lease)))
                return -EBADMSG;
        *ret = a;
        return 0;
}

int dhcp_request_provide(DhcpRequest *q, uint8_t code, const void *data, size_t size) {
        if (size == 0 || size > UINT8_MAX || size + 2 > sizeof(q->provide) - q->provide_size)
                return -EMSGSIZE;
        uint8_t *p = q->provide + q->provide_size;
        p[0] = code;
        p[1] = (uint8_t) size;
        memcpy(p + 2, data, size);
        q->provide_size += (uint32_t) size + 2;
        return 0;
}
