/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The client's side of RFC 2131; see exchange.h. Nothing here survives: netmgrd knows the leases. */

#include "dhcp/exchange.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"

/* A request follows the connection at once; who connects and says nothing is not kept. */
#define HELLO_USEC 2000000U
/* Times that a server which made an offer is asked for it before all are asked again. */
#define REQUEST_TRIES 4U
/* After a NAK: a server that offers and refuses in turn shall not keep two machines busy. */
#define NAK_PAUSE_USEC 1000000U
/* Frames read before the loop looks at others again. */
#define FRAMES_AT_ONCE 16

typedef enum ExchangeState {
        EXCHANGE_HELLO,
        EXCHANGE_SELECTING,  /* sent DISCOVER */
        EXCHANGE_REQUESTING, /* took an offer */
        EXCHANGE_RENEWING,   /* of an address that we have, one server or all */
} ExchangeState;

struct Exchange {
        List list;
        ExchangeEnded ended;
        void *userdata;
        int connection, packet;
        sd_event_source *connection_source, *packet_source, *resend, *deadline;
        ExchangeState state;
        DhcpRequest request;
        uint32_t xid;
        DhcpLease offer;       /* EXCHANGE_REQUESTING */
        unsigned tries;        /* messages since the state began */
        unsigned sent, broken; /* messages altogether; of answers, those that were of no use */
        const char *complaint; /* about the last of those; static */
        uint64_t began_usec, asked_usec; /* CLOCK_BOOTTIME; asked: the first REQUEST of the state */
};

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

static Exchange *exchange_free(Exchange *x) {
        list_unlink(&x->list);
        sd_event_source_disable_unref(x->connection_source);
        sd_event_source_disable_unref(x->packet_source);
        sd_event_source_disable_unref(x->resend);
        sd_event_source_disable_unref(x->deadline);
        safe_close(x->packet);
        safe_close(x->connection);
        if (x->ended)
                x->ended(x->userdata);
        free(x);
        return NULL;
}
DEFINE_CLEANUP(Exchange *, exchange_free)

void exchanges_free(List *all) {
        while (!list_is_empty(all))
                exchange_free(list_entry(all->next, Exchange, list));
}

/* --- the answer -------------------------------------------------------------------------------- */

static void answer(Exchange *x, DhcpOutcome outcome, const DhcpLease *lease, const char *format,
                   ...) _printf_(4, 5);

/* Frees x. */
static void answer(Exchange *x, DhcpOutcome outcome, const DhcpLease *lease, const char *format,
                   ...) {
        DhcpAnswer a = { .magic = DHCP_MAGIC, .outcome = outcome };
        va_list ap;

        if (lease) {
                a.lease = *lease;
                a.age_ms = (uint32_t) ((now_usec() - x->asked_usec) / 1000U);
        }
        va_start(ap, format);
        vsnprintf(a.sentence, sizeof(a.sentence), format, ap);
        va_end(ap);
        /* The descriptor first: who has the answer may rely on its being closed. */
        x->packet_source = sd_event_source_disable_unref(x->packet_source);
        x->packet = safe_close(x->packet);
        if (send(x->connection, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE)
                log_warning("an answer could not be sent: %s", strerror(errno));
        exchange_free(x);
}

#define ADDRESS_STR(a)                                                                             \
        IN_ADDR_STR((&(InAddr) { .family = AF_INET,                                                \
                                 .bytes = { (uint8_t) ((a) >> 24), (uint8_t) ((a) >> 16),          \
                                            (uint8_t) ((a) >> 8), (uint8_t) (a) } }))

/* Frees x. */
static void give_up(Exchange *x) {
        unsigned seconds = (unsigned) ((now_usec() - x->began_usec + 500000U) / 1000000U);

        if (x->broken > 0)
                answer(x, DHCP_OUTCOME_SILENCE, NULL,
                       "no usable answer of a DHCP server to %u messages within %u s; %u were "
                       "refused, the last one since %s",
                       x->sent, seconds, x->broken, x->complaint);
        else if (x->state == EXCHANGE_RENEWING && x->request.operation == DHCP_RENEW)
                answer(x, DHCP_OUTCOME_SILENCE, NULL,
                       "DHCP server %s did not answer %u messages within %u s",
                       ADDRESS_STR(x->request.server), x->sent, seconds);
        else
                answer(x, DHCP_OUTCOME_SILENCE, NULL,
                       "no DHCP server answered %u messages within %u s", x->sent, seconds);
}

/* --- sending ----------------------------------------------------------------------------------- */

static uint32_t random_u32(void) {
        uint32_t v = 0;

        /* Never blocks once the machine runs; an xid of 0 is one like others. */
        return getrandom(&v, sizeof(v), 0) == sizeof(v) ? v : 0;
}

/*
 * RFC 2131, 4.1 wants 4, 8, 16, 32, 64 seconds, each a second more or less. Somebody waits for a pod
 * here, and what is lost first is lost since the link has only just come up: so it begins with one.
 */
static uint64_t resend_delay(unsigned tries) {
        uint64_t delay = tries <= 1 ? 1000000U : 1000000U << MIN_OF(tries, 6U);
        uint64_t jitter = MIN_OF(delay / 4, (uint64_t) 1000000U);

        return delay - jitter + random_u32() % (2 * jitter + 1);
}

/* The options that every message but a release has, put behind each other. */
static size_t client_options(const Exchange *x, uint8_t buf[static DHCP_PROVIDE_MAX + 258]) {
        const DhcpRequest *q = &x->request;
        size_t n = q->provide_size;

        memcpy(buf, q->provide, n);
        if (q->wanted_size > 0) {
                buf[n++] = DHCP_OPTION_PARAMETER_LIST;
                buf[n++] = (uint8_t) q->wanted_size;
                memcpy(buf + n, q->wanted, q->wanted_size);
                n += q->wanted_size;
        }
        return n;
}

/* Of a release the client id only: who goes has no wishes. */
static size_t release_options(const DhcpRequest *q, uint8_t buf[static DHCP_PROVIDE_MAX + 258]) {
        for (size_t i = 0; i < q->provide_size; i += 2U + q->provide[i + 1])
                if (q->provide[i] == DHCP_OPTION_CLIENT_ID) {
                        memcpy(buf, q->provide + i, 2U + q->provide[i + 1]);
                        return 2U + q->provide[i + 1];
                }
        return 0;
}

static int send_message(Exchange *x) {
        const DhcpRequest *q = &x->request;
        uint8_t frame[DHCP_FRAME_MAX], options[DHCP_PROVIDE_MAX + 258];
        uint64_t waited = (now_usec() - x->began_usec) / 1000000U;
        DhcpSend s = { .type = DHCP_REQUEST,
                       .xid = x->xid,
                       .secs = (uint16_t) MIN_OF(waited, (uint64_t) UINT16_MAX),
                       .options = options };

        memcpy(s.mac.bytes, q->mac, sizeof(q->mac));
        s.options_size = client_options(x, options);
        if (x->state == EXCHANGE_SELECTING) {
                s.type = DHCP_DISCOVER;
                s.requested = q->address;
        } else if (x->state == EXCHANGE_REQUESTING) {
                s.requested = x->offer.address;
                s.server = x->offer.server;
        } else
                s.client = q->address;
        if (q->operation == DHCP_RENEW || q->operation == DHCP_GIVE_BACK) {
                memcpy(s.to_mac.bytes, q->server_mac, sizeof(q->server_mac));
                s.to = q->server;
        }
        if (q->operation == DHCP_GIVE_BACK) {
                s.type = DHCP_RELEASE;
                s.secs = 0;
                s.server = q->server;
                s.options_size = release_options(q, options);
        }
        int size = dhcp_frame_build(&s, frame);
        if (size < 0)
                return size;
        if (x->tries == 0)
                x->asked_usec = now_usec();
        x->sent++;
        x->tries++;
        return send(x->packet, frame, (size_t) size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void send_failed(Exchange *x, int r) {
        if (r == -EMSGSIZE)
                answer(x, DHCP_OUTCOME_FAILED, NULL,
                       "the DHCP message does not fit into a packet of the interface; provide less");
        else
                answer(x, DHCP_OUTCOME_FAILED, NULL,
                       "a DHCP message could not be sent by the interface: %s", strerror(-r));
}

static int arm(sd_event_source *timer, uint64_t usec) {
        int r = sd_event_source_set_time(timer, usec);
        return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* Sends what the state asks for, and looks after it. May free x. */
static void send_and_wait(Exchange *x) {
        int r = send_message(x);

        /* A queue that is full is a lost packet. */
        if (r < 0 && r != -ENOBUFS && r != -EAGAIN) {
                send_failed(x, r);
                return;
        }
        r = arm(x->resend, now_usec() + resend_delay(x->tries));
        if (r < 0)
                send_failed(x, r);
}

static void begin_selecting(Exchange *x) {
        x->state = EXCHANGE_SELECTING;
        x->tries = 0;
        x->xid = random_u32();
}

static int on_resend(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Exchange *x = userdata;

        /* The server that made the offer has gone, or gave the address away: all are asked again. */
        if (x->state == EXCHANGE_REQUESTING && x->tries >= REQUEST_TRIES)
                begin_selecting(x);
        send_and_wait(x);
        return 0;
}

static int on_deadline(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Exchange *x = userdata;

        if (x->state == EXCHANGE_HELLO)
                exchange_free(x);
        else
                give_up(x);
        return 0;
}

/* --- receiving --------------------------------------------------------------------------------- */

static void refuse(Exchange *x, const char *complaint) {
        x->broken++;
        x->complaint = complaint;
}

/* Frees x. */
static void on_nak_of_ours(Exchange *x, const DhcpMessage *m) {
        char text[128];
        size_t n, k = 0;
        const uint8_t *p = dhcp_message_get(m, DHCP_OPTION_MESSAGE, &n);

        for (size_t i = 0; p && i < n && k + 1 < sizeof(text); i++)
                if (p[i] >= 0x20 && p[i] < 0x7f)
                        text[k++] = (char) p[i];
        text[k] = '\0';
        answer(x, DHCP_OUTCOME_REFUSED, NULL, "a DHCP server says that %s is no lease of ours%s%s",
               ADDRESS_STR(x->request.address), k ? ": " : "", text);
}

/* True when x is gone. */
static bool on_nak(Exchange *x, const DhcpMessage *m) {
        uint32_t server;

        /* Every server names itself (RFC 2131, table 3); and one that was not asked has no say. */
        if (!dhcp_message_get_u32(m, DHCP_OPTION_SERVER_ID, &server))
                return false;
        if (x->state == EXCHANGE_RENEWING) {
                if (x->request.operation == DHCP_RENEW && server != x->request.server)
                        return false;
                on_nak_of_ours(x, m);
                return true;
        }
        if (x->state != EXCHANGE_REQUESTING || server != x->offer.server)
                return false;
        refuse(x, "the server took its offer back (NAK)");
        begin_selecting(x);
        x->request.address = 0;
        if (arm(x->resend, now_usec() + NAK_PAUSE_USEC) < 0) {
                give_up(x);
                return true;
        }
        return false;
}

/* True when x is gone. */
static bool on_message(Exchange *x, const DhcpMessage *m) {
        const DhcpRequest *q = &x->request;
        DhcpLease lease;

        if (m->type == DHCP_NAK)
                return on_nak(x, m);
        if (m->type != (x->state == EXCHANGE_SELECTING ? DHCP_OFFER : DHCP_ACK))
                return false;
        const char *complaint = dhcp_lease_read(m, &lease);
        if (!complaint && x->state == EXCHANGE_REQUESTING && lease.server != x->offer.server)
                return false;
        /* Another address than the one that we hold is for a client that asks anew. */
        if (!complaint && x->state == EXCHANGE_RENEWING && lease.address != q->address)
                complaint = "it grants another address than the one to be renewed";
        if (complaint) {
                refuse(x, complaint);
                return false;
        }
        if (x->state == EXCHANGE_SELECTING) {
                x->offer = lease;
                x->state = EXCHANGE_REQUESTING;
                x->tries = 0;
                send_and_wait(x);
                /* Whether it is gone or not: what is left of the queue waits for the next event. */
                return true;
        }
        answer(x, DHCP_OUTCOME_LEASE, &lease, "%s", "");
        return true;
}

/* A server on this machine leaves the checksum to a network card that there is none of. */
static bool checksum_is_pending(struct msghdr *msg) {
        for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h))
                if (h->cmsg_level == SOL_PACKET && h->cmsg_type == PACKET_AUXDATA &&
                    h->cmsg_len >= CMSG_LEN(sizeof(struct tpacket_auxdata))) {
                        struct tpacket_auxdata aux;
                        memcpy(&aux, CMSG_DATA(h), sizeof(aux));
                        return aux.tp_status & TP_STATUS_CSUMNOTREADY;
                }
        return false;
}

static int on_packet(sd_event_source *s _unused_, int fd, uint32_t revents _unused_,
                     void *userdata) {
        Exchange *x = userdata;
        MacAddr mac;

        memcpy(mac.bytes, x->request.mac, sizeof(mac.bytes));
        for (int i = 0; i < FRAMES_AT_ONCE; i++) {
                union {
                        struct cmsghdr header;
                        char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
                } control;
                uint8_t frame[DHCP_FRAME_MAX + 1];
                struct iovec iov = { frame, sizeof(frame) };
                struct msghdr msg = { .msg_iov = &iov,
                                      .msg_iovlen = 1,
                                      .msg_control = &control,
                                      .msg_controllen = sizeof(control) };
                DhcpMessage m;

                ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n < 0) {
                        answer(x, DHCP_OUTCOME_FAILED, NULL,
                               "the interface does not receive any more: %s", strerror(errno));
                        return 0;
                }
                if (dhcp_frame_parse(frame, (size_t) n, checksum_is_pending(&msg), x->xid, &mac,
                                     &m) >= 0 &&
                    on_message(x, &m))
                        return 0;
        }
        return 0;
}

/* --- the request ------------------------------------------------------------------------------- */

/* Other traffic of the sandbox shall not fill the queue: only whole UDP packets to the client's port. */
static int attach_filter(int fd) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 8),
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 14 + 6),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IP_MF | IP_OFFMASK, 4, 0),
                BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
                BPF_STMT(BPF_LD | BPF_H | BPF_IND, 14 + 2),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_PORT_CLIENT, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

/* Nothing is received before it is bound, so the filter sees the first frame already. */
static int open_link(int fd, uint32_t ifindex) {
        struct sockaddr_ll ll = { .sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETHERTYPE_IP),
                                  .sll_ifindex = (int) ifindex };
        int domain, type, on = 1;
        socklen_t size = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return -errno;
        if (domain != AF_PACKET || type != SOCK_RAW)
                return -EBADMSG;
        int r = attach_filter(fd);
        if (r < 0)
                return r;
        if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *) &ll, sizeof(ll)) < 0)
                return -errno;
        return 0;
}

/* One packet and one descriptor; whatever else came is closed. */
static int receive_request(Exchange *x) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char packet[sizeof(DhcpRequest) + 1]; /* one more byte tells a packet that is too long */
        struct iovec iov = { packet, sizeof(packet) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.space) };
        int extra = 0;

        ssize_t size = recvmsg(x->connection, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (size < 0)
                return -errno;
        for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h)) {
                if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
                        if (x->packet >= 0) {
                                safe_close(fd);
                                extra++;
                        } else
                                x->packet = fd;
                }
        }
        if (size == 0)
                return -ECONNRESET;
        if (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC) || extra > 0 || x->packet < 0)
                return -EBADMSG;
        return dhcp_request_validate(packet, (size_t) size, &x->request);
}

/* May free x. */
static void begin(Exchange *x) {
        int r = open_link(x->packet, x->request.ifindex);
        if (r >= 0)
                r = sd_event_add_io(sd_event_source_get_event(x->connection_source),
                                    &x->packet_source, x->packet, EPOLLIN, on_packet, x);
        if (r >= 0) {
                x->began_usec = now_usec();
                r = arm(x->deadline, x->began_usec + x->request.deadline_ms * 1000ULL);
        }
        if (r < 0) {
                answer(x, DHCP_OUTCOME_FAILED, NULL,
                       "the packet socket could not be used on interface %u of the sandbox: %s",
                       x->request.ifindex, strerror(-r));
                return;
        }
        x->xid = random_u32();
        if (x->request.operation == DHCP_GIVE_BACK) {
                x->state = EXCHANGE_RENEWING;
                r = send_message(x);
                if (r < 0)
                        send_failed(x, r);
                else
                        answer(x, DHCP_OUTCOME_LEASE, NULL, "%s", "");
                return;
        }
        x->state = x->request.operation == DHCP_ACQUIRE ? EXCHANGE_SELECTING : EXCHANGE_RENEWING;
        send_and_wait(x);
}

static int on_connection(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_,
                         void *userdata) {
        Exchange *x = userdata;

        /* After its request nothing but the end comes from netmgrd: it wants no answer any more. */
        if (x->state != EXCHANGE_HELLO) {
                exchange_free(x);
                return 0;
        }
        int r = receive_request(x);
        if (r == -EAGAIN || r == -EINTR)
                return 0;
        if (r < 0) {
                if (r != -ECONNRESET)
                        log_warning("a request that is none: %s", strerror(-r));
                exchange_free(x);
        } else
                begin(x);
        return 0;
}

int exchange_new(sd_event *event, int connection, List *all, ExchangeEnded ended, void *userdata) {
        _cleanup_(exchange_freep) Exchange *x = new0(Exchange, 1);

        if (!x) {
                safe_close(connection);
                return -ENOMEM;
        }
        x->connection = connection;
        x->packet = -EBADF;
        int r = sd_event_add_io(event, &x->connection_source, connection, EPOLLIN, on_connection,
                                x);
        if (r >= 0)
                r = sd_event_add_time(event, &x->deadline, CLOCK_BOOTTIME, now_usec() + HELLO_USEC,
                                      1000, on_deadline, x);
        if (r >= 0)
                r = sd_event_add_time(event, &x->resend, CLOCK_BOOTTIME, UINT64_MAX, 1000,
                                      on_resend, x);
        if (r >= 0)
                r = sd_event_source_set_enabled(x->resend, SD_EVENT_OFF);
        if (r < 0)
                return r;
        x->ended = ended;
        x->userdata = userdata;
        list_append(all, &x->list);
        TAKE_PTR(x);
        return 0;
}
