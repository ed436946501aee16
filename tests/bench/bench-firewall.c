/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How long one attachment's transaction takes with N others in the tables, through the code that
 * netmgrd uses. Run in a network namespace of its own; prints one JSON object.
 *
 * usage: bench-firewall N
 */

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "base/parse.h"
#include "policy/element.h"
#include "policy/firewall.h"

#define ROUNDS 401

static double now_us(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;
        return x < y ? -1 : x > y;
}

typedef struct Example {
        PolicyAttachment attachment;
        InAddr addresses[2];
        PolicyPort ports[4];
} Example;

/* Dual stack, two host ports of each family, limits both ways, masquerade. */
static void example(Example *x, uint32_t i) {
        PolicyAttachment *a = &x->attachment;

        *x = (Example) { 0 };
        *a = (PolicyAttachment) {
                .id = i + 1,
                .network = "bench",
                .sandbox = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                .ifname = "eth0",
                .addresses = x->addresses,
                .n_addresses = 2,
                .ports = x->ports,
                .n_ports = 4,
                .masquerade = true,
                .snat = true,
                .from = { 125000000, 12500000 },
                .to = { 125000000, 12500000 }
        };
        snprintf(a->host_ifname, sizeof(a->host_ifname), "nmg%" PRIx32, i + 1);
        x->addresses[0] = (InAddr) { .family = AF_INET,
                                     .bytes = { 10, (uint8_t) (i >> 16), (uint8_t) (i >> 8),
                                                (uint8_t) i } };
        x->addresses[1] = (InAddr) { .family = AF_INET6,
                                     .bytes = { 0xfd, [13] = (uint8_t) (i >> 16),
                                                (uint8_t) (i >> 8), (uint8_t) i } };
        for (unsigned k = 0; k < 4; k++)
                x->ports[k] = (PolicyPort) { .host.family = k < 2 ? AF_INET : AF_INET6,
                                             .target = x->addresses[k / 2],
                                             .protocol = k % 2 ? IPPROTO_UDP : IPPROTO_TCP,
                                             .host_port = (uint16_t) (i + 1),
                                             .container_port = 80 };
}

static void die(const Error *e) {
        fprintf(stderr, "bench-firewall: %s\n", error_message(e));
        exit(1);
}

int main(int argc, char *argv[]) {
        static double put[ROUNDS], removal[ROUNDS];
        PolicyConfig config = { .owner = true };
        ElementList elements = { 0 };
        Error e = ERROR_NULL;
        NftSocket *socket;
        uint32_t n = 0;
        Firewall *f;
        Example x;

        if (argc != 2 || parse_u32(argv[1], 0, 60000, &n) < 0) {
                fprintf(stderr, "usage: bench-firewall N\n");
                return 2;
        }
        if (nft_socket_open(-EBADF, &socket, &e) < 0 || firewall_new(socket, &config, &f) < 0)
                die(&e);
        for (uint32_t i = 0; i < n; i++) {
                example(&x, i);
                if (firewall_put(f, &x.attachment) < 0)
                        die(&e);
        }
        double start = now_us();
        if (firewall_sync(f, &e) < 0)
                die(&e);
        double sync = now_us() - start;
        example(&x, n);
        for (unsigned i = 0; i < ROUNDS; i++) {
                start = now_us();
                if (firewall_put(f, &x.attachment) < 0 || firewall_commit(f, &e) < 0)
                        die(&e);
                put[i] = now_us() - start;
                start = now_us();
                if (firewall_remove(f, x.attachment.id) < 0 || firewall_commit(f, &e) < 0)
                        die(&e);
                removal[i] = now_us() - start;
        }
        if (firewall_n_repairs(f) > 0)
                return 1;
        qsort(put, ROUNDS, sizeof(*put), compare);
        qsort(removal, ROUNDS, sizeof(*removal), compare);
        if (elements_of_attachment(&x.attachment, &elements) < 0)
                return 1;
        printf("{\"elements\": %zu, \"add_us\": %.1f, \"remove_us\": %.1f, \"sync_ms\": %.2f}\n",
               elements.n, put[ROUNDS / 2], removal[ROUNDS / 2], sync / 1000);
        element_list_clear(&elements);
        firewall_free(f);
        return 0;
}
