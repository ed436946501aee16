/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ARP announcements (RFC 5227) and unsolicited neighbour advertisements (RFC 4861) as raw frames. */

#include "nl/announce.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <netpacket/packet.h>

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

static int send_frame(int fd, uint32_t ifindex, const void *frame, size_t size) {
        struct sockaddr_ll to = { .sll_family = AF_PACKET,
                                  .sll_ifindex = (int) ifindex,
                                  .sll_halen = 6 };

        memcpy(to.sll_addr, frame, 6);
        return sendto(fd, frame, size, MSG_DONTWAIT, (struct sockaddr *) &to, sizeof(to)) < 0
                               ? -errno
                               : 0;
}

static int announce_arp(int fd, uint32_t ifindex, const MacAddr *mac, const InAddr *a) {
        struct __attribute__((packed)) {
                struct ether_header eth;
                struct ether_arp arp;
        } f = {
                .eth.ether_type = htons(ETHERTYPE_ARP),
                .arp.ea_hdr = { htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4,
                                htons(ARPOP_REQUEST) },
        };

        memcpy(f.eth.ether_dhost, broadcast, 6);
        memcpy(f.eth.ether_shost, mac->bytes, 6);
        memcpy(f.arp.arp_sha, mac->bytes, 6);
        memcpy(f.arp.arp_spa, a->bytes, 4);
        memcpy(f.arp.arp_tpa, a->bytes, 4);
        return send_frame(fd, ifindex, &f, sizeof(f));
}

/* ICMPv6 checksum over the pseudo header and the message. */
static uint16_t checksum6(const struct ip6_hdr *ip, const void *data, size_t size) {
        const uint8_t *parts[] = { (const uint8_t *) &ip->ip6_src, data };
        const size_t sizes[] = { 32, size };
        uint32_t sum = IPPROTO_ICMPV6 + (uint32_t) size;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                for (size_t k = 0; k + 1 < sizes[i]; k += 2)
                        sum += (uint32_t) parts[i][k] << 8 | parts[i][k + 1];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t) ~sum);
}

static int announce_na(int fd, uint32_t ifindex, const MacAddr *mac, const InAddr *a) {
        struct __attribute__((packed)) {
                struct ether_header eth;
                struct ip6_hdr ip;
                struct nd_neighbor_advert na;
                struct nd_opt_hdr opt;
                uint8_t mac[6];
        } f = {
                .eth.ether_type = htons(ETHERTYPE_IPV6),
                .ip = { .ip6_flow = htonl(6U << 28),
                        .ip6_plen = htons(32),
                        .ip6_nxt = IPPROTO_ICMPV6,
                        .ip6_hlim = 255 },
                .na = { .nd_na_type = ND_NEIGHBOR_ADVERT,
                        .nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE },
                .opt = { .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 },
        };

        memcpy(f.eth.ether_dhost, all_nodes_mac, 6);
        memcpy(f.eth.ether_shost, mac->bytes, 6);
        memcpy(&f.ip.ip6_src, a->bytes, 16);
        memcpy(&f.ip.ip6_dst, all_nodes, 16);
        memcpy(&f.na.nd_na_target, a->bytes, 16);
        memcpy(f.mac, mac->bytes, 6);
        /* Through copies: members of a packed struct have no alignment to take addresses of. */
        struct ip6_hdr ip = f.ip;
        uint8_t icmp[32];
        memcpy(icmp, (const char *) &f + offsetof(__typeof__(f), na), sizeof(icmp));
        f.na.nd_na_cksum = checksum6(&ip, icmp, sizeof(icmp));
        return send_frame(fd, ifindex, &f, sizeof(f));
}

int announce_address(int packet_fd, uint32_t ifindex, const MacAddr *mac, const InAddr *address) {
        if (address->family == AF_INET)
                return announce_arp(packet_fd, ifindex, mac, address);
        if (address->family == AF_INET6)
                return announce_na(packet_fd, ifindex, mac, address);
        return -EAFNOSUPPORT;
}
