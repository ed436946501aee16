/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Host ports: runtimeConfig.portMappings (capability "portMappings") and the conditions of portmap.
 * Source: the portmap plugin's documentation and sources; containerd sends "HostPort" and "Protocol" with
 * capitals and hostIP "".
 */

#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* ---- runtimeConfig.portMappings --------------------------------------------------------------- */

typedef struct PortInput {
        int64_t host_port, container_port;
        char *protocol, *host_ip; /* owned */
} PortInput;

static int port_number_read(json_object *value, const char *path, void *target, Error *e) {
        int64_t *ret = target;

        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
            json_object_get_int64(value) > UINT16_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not a port; wanted is a number from 1 to 65535",
                                  path, JSON_SHORT(value));
        *ret = json_object_get_int64(value);
        return 0;
}

const JsonField net_port_fields[] = {
        { "hostPort", port_number_read, offsetof(PortInput, host_port), 0 },
        { "containerPort", port_number_read, offsetof(PortInput, container_port), 0 },
        { "protocol", json_read_string, offsetof(PortInput, protocol), 0 },
        { "hostIP", json_read_string, offsetof(PortInput, host_ip), 0 },
        {},
};

static int port_fill(const PortInput *in, const char *path, NetPort *ret, Error *e) {
        *ret = (NetPort) { .protocol = IPPROTO_TCP };
        if (in->container_port == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.containerPort\": wanted a port from 1 to 65535, found none",
                                  path);
        if (!isempty(in->protocol) && protocol_parse(in->protocol, &ret->protocol) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.protocol\": wanted tcp, udp or sctp, found \"%.64s\"", path,
                                  in->protocol);
        if (!isempty(in->host_ip) &&
            (in_addr_parse(in->host_ip, &ret->host) < 0 || in_addr_is_multicast(&ret->host)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.hostIP\": wanted an address of the host, found \"%.64s\"",
                                  path, in->host_ip);
        ret->host_port = (uint16_t) in->host_port;
        ret->container_port = (uint16_t) in->container_port;
        return 0;
}

/* Is every address of b one of a? */
static bool host_covers(const InAddr *a, const InAddr *b) {
        if (a->family == AF_UNSPEC)
                return true;
        return a->family == b->family && (in_addr_is_unspecified(a) || in_addr_equal(a, b));
}

/* "192.0.2.1:80/tcp to 8080" */
#define PORT_STR_MAX (IN_ADDR_STR_MAX + 32)

static const char *port_format(const NetPort *p, char buf[static PORT_STR_MAX]) {
        bool v6 = p->host.family == AF_INET6;

        snprintf(buf, PORT_STR_MAX, "%s%s%s:%u/%s to %u", v6 ? "[" : "",
                 in_addr_is_set(&p->host) ? IN_ADDR_STR(&p->host) : "*", v6 ? "]" : "",
                 p->host_port, strempty(protocol_name(p->protocol)), p->container_port);
        return buf;
}

/*
 * Of two hosts that share an address one always covers the other. When both lead to the same port of the
 * container, the wider mapping says everything and is kept alone: then no two entries of the list share
 * an address, protocol and host port, as the ledger and the kernel's maps need it.
 */
static int port_add(NetPort **ports, size_t *n_ports, const NetPort *p, const char *path,
                    Error *e) {
        size_t kept = 0;

        for (size_t i = 0; i < *n_ports; i++) {
                const NetPort *q = &(*ports)[i];
                bool same = p->protocol == q->protocol && p->host_port == q->host_port,
                     wider = same && host_covers(&p->host, &q->host),
                     narrower = same && host_covers(&q->host, &p->host);

                if ((wider || narrower) && p->container_port != q->container_port)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s\": host port %s conflicts with %s of the same list; a host "
                                        "port can lead to one port of the container",
                                        path, port_format(p, (char[PORT_STR_MAX]) { 0 }),
                                        port_format(q, (char[PORT_STR_MAX]) { 0 }));
                /* Nothing was dropped so far: what p covers would be covered by q too. */
                if (narrower)
                        return 0;
                if (!wider)
                        (*ports)[kept++] = *q;
        }
        *n_ports = kept;

        NetPort *more = reallocarray(*ports, *n_ports + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        *ports = more;
        more[(*n_ports)++] = *p;
        return 0;
}

static void port_input_clear(PortInput *in) {
        free(in->protocol);
        free(in->host_ip);
}

static int port_read(json_object *value, const char *path, void *target, Error *e) {
        PortInput in = { 0 };
        NetConf *c = target;
        NetPort port;

        int r = json_read_object(value, path, net_port_fields, JSON_UNKNOWN_IGNORE, &in, e);
        /* A port of the container alone: nothing to do for us. portmap has never taken one. */
        if (r >= 0 && in.host_port == 0 && netconf_is_drop_in(c))
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"%s.hostPort\": wanted a port from 1 to 65535, found none", path);
        if (r >= 0 && in.host_port > 0) {
                r = port_fill(&in, path, &port, e);
                if (r >= 0)
                        r = port_add(&c->ports, &c->n_ports, &port, path, e);
        }
        port_input_clear(&in);
        return r;
}

int port_mappings_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, PORTS_PER_ATTACHMENT_MAX, port_read, target, e);
}

int net_port_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_(port_input_clear) PortInput in = { 0 };
        NetPorts *ports = target;
        NetPort port;

        int r = json_read_object(value, path, net_port_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0 && in.host_port == 0)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"%s.hostPort\": wanted a port from 1 to 65535, found none", path);
        if (r >= 0)
                r = port_fill(&in, path, &port, e);
        return r < 0 ? r : port_add(&ports->items, &ports->n_items, &port, path, e);
}

/* ---- conditionsV4, conditionsV6 --------------------------------------------------------------- */

typedef struct Words {
        char *word[CONDITION_WORDS_MAX]; /* owned */
        size_t n;
} Words;

static void words_clear(Words *w) {
        for (size_t i = 0; i < w->n; i++)
                free(w->word[i]);
}

/* iptables' way has one word per string, nft's a sentence: both come to words. */
static int words_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char *save = NULL;
        Words *w = target;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        for (char *word = strtok_r(s, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                if (w->n == CONDITION_WORDS_MAX)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": more than %u words of conditions", path,
                                          CONDITION_WORDS_MAX);
                w->word[w->n] = strdup(word);
                if (!w->word[w->n])
                        return error_oom(e);
                w->n++;
        }
        return 0;
}

typedef struct ConditionWord {
        const char *first, *second; /* second: nft's "ip saddr" */
        bool nft;                   /* negated by "!=" behind it; else by "!" before it */
        int family;                 /* AF_UNSPEC: both */
        int what;
} ConditionWord;

static const ConditionWord condition_words[] = {
        { "-s", NULL, false, AF_UNSPEC, NET_CONDITION_SOURCE },
        { "--source", NULL, false, AF_UNSPEC, NET_CONDITION_SOURCE },
        { "--src", NULL, false, AF_UNSPEC, NET_CONDITION_SOURCE },
        { "-d", NULL, false, AF_UNSPEC, NET_CONDITION_DESTINATION },
        { "--destination", NULL, false, AF_UNSPEC, NET_CONDITION_DESTINATION },
        { "--dst", NULL, false, AF_UNSPEC, NET_CONDITION_DESTINATION },
        { "-i", NULL, false, AF_UNSPEC, NET_CONDITION_INPUT },
        { "--in-interface", NULL, false, AF_UNSPEC, NET_CONDITION_INPUT },
        { "ip", "saddr", true, AF_INET, NET_CONDITION_SOURCE },
        { "ip", "daddr", true, AF_INET, NET_CONDITION_DESTINATION },
        { "ip6", "saddr", true, AF_INET6, NET_CONDITION_SOURCE },
        { "ip6", "daddr", true, AF_INET6, NET_CONDITION_DESTINATION },
        { "iifname", NULL, true, AF_UNSPEC, NET_CONDITION_INPUT },
};

static const ConditionWord *condition_word_find(const Words *w, size_t at, int family) {
        for (size_t i = 0; i < ELEMENTSOF(condition_words); i++) {
                const ConditionWord *c = &condition_words[i];
                if (!streq(c->first, w->word[at]) ||
                    (c->family != AF_UNSPEC && c->family != family))
                        continue;
                if (!c->second || (at + 1 < w->n && streq(c->second, w->word[at + 1])))
                        return c;
        }
        return NULL;
}

/* -EOPNOTSUPP: it means something to iptables or nft, but not one prefix or one interface. A wildcard
 * taken for a name would never match, and the host port would be dead without a word. */
static int condition_value(const char *word, int family, NetCondition *ret) {
        size_t n = strlen(word);

        if (strchr("@{$", word[0]) || strchr(word, ','))
                return -EOPNOTSUPP;
        if (ret->what != NET_CONDITION_INPUT) {
                if (in_prefix_parse_auto(word, &ret->prefix) < 0 ||
                    ret->prefix.address.family != family)
                        return -EINVAL;
                ret->prefix.address = in_prefix_first(&ret->prefix);
                return 0;
        }
        /* nft quotes names */
        if (n >= 2 && word[0] == '"' && word[n - 1] == '"') {
                word++;
                n -= 2;
        }
        if (n > 0 && strchr("+*", word[n - 1]))
                return -EOPNOTSUPP;
        if (n > IFNAME_LEN_MAX)
                return -EINVAL;
        snprintf(ret->ifname, sizeof(ret->ifname), "%.*s", (int) n, word);
        return ifname_is_valid(ret->ifname) ? 0 : -EINVAL;
}

static int condition_unknown(const char *word, int family, const char *path, Error *e) {
        const char *ip = family == AF_INET ? "ip" : "ip6";

        return error_setf(
                        e, ERROR_NOT_SUPPORTED,
                        "\"%s\": \"%.64s\" is no condition that netmgr knows; there are -s, -d and "
                        "-i of iptables, and %s saddr, %s daddr and iifname of nft, with one prefix "
                        "or the whole name of one interface",
                        path, word, ip, ip);
}

/* One condition from word *at on; moves *at behind it. */
static int condition_parse(const Words *w, size_t *at, int family, const char *path,
                           NetCondition *ret, Error *e) {
        bool before = streq(w->word[*at], "!");
        size_t i = *at + before;
        const ConditionWord *word = i < w->n ? condition_word_find(w, i, family) : NULL;

        if (!word || (before && word->nft))
                return condition_unknown(w->word[i < w->n && !word ? i : *at], family, path, e);
        ret->what = word->what;
        ret->negate = before;
        i += word->second ? 2 : 1;
        if (word->nft && i < w->n && (streq(w->word[i], "!=") || streq(w->word[i], "==")))
                ret->negate = streq(w->word[i++], "!=");

        int r = i < w->n ? condition_value(w->word[i], family, ret) : -EINVAL;
        if (r == -EOPNOTSUPP)
                return condition_unknown(w->word[i], family, path, e);
        if (r < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": after \"%s%s%s\" wanted %s, found \"%.64s\"", path,
                                  word->first, word->second ? " " : "", strempty(word->second),
                                  word->what == NET_CONDITION_INPUT ? "an interface name"
                                  : family == AF_INET               ? "an IPv4 prefix"
                                                                    : "an IPv6 prefix",
                                  i < w->n ? w->word[i] : "");
        *at = i + 1;
        return 0;
}

static int conditions_parse(const Words *w, int family, const char *path, NetCondition **ret,
                            size_t *ret_n, Error *e) {
        _cleanup_free_ NetCondition *list = new0(NetCondition, w->n + 1);
        size_t n = 0, at = 0;

        if (!list)
                return error_oom(e);
        while (at < w->n) {
                int r = condition_parse(w, &at, family, path, &list[n++], e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}

static int conditions_read(json_object *top, const char *key, int family, NetCondition **ret,
                           size_t *ret_n, Error *e) {
        json_object *value = json_get(top, key);
        Words w = { 0 };

        if (!value)
                return 0;
        int r = json_read_array(value, key, CONDITION_WORDS_MAX, words_read, &w, e);
        if (r >= 0)
                r = conditions_parse(&w, family, key, ret, ret_n, e);
        words_clear(&w);
        return r;
}

int netconf_read_conditions(json_object *top, NetConf *c, Error *e) {
        int r = conditions_read(top, "conditionsV4", AF_INET, &c->conditions4, &c->n_conditions4,
                                e);
        if (r >= 0)
                r = conditions_read(top, "conditionsV6", AF_INET6, &c->conditions6,
                                    &c->n_conditions6, e);
        return r;
}

/* ---- keys that are accepted and change nothing ------------------------------------------------ */

/* portmap's and bridge's choice between iptables and nftables: netmgr has one. */
int backend_read(json_object *value, const char *path, void *target _unused_, Error *e) {
        _cleanup_free_ char *s = NULL;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s) || streq(s, "nftables") || streq(s, "iptables"))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": %s is no backend; wanted is nftables or iptables (netmgr uses "
                          "nftables for both)",
                          path, JSON_SHORT(value));
}

/* The bit of the packet mark by which portmap finds its own packets again; no marks are used here. */
int mark_bit_read(json_object *value, const char *path, void *target _unused_, Error *e) {
        uint32_t bit;

        int r = json_read_u32(value, path, &bit, e);
        if (r < 0)
                return r;
        return bit < 32 ? 0
                        : error_setf(e, ERROR_INVALID_ARGUMENT,
                                     "\"%s\": %s is no bit of a packet mark; wanted is 0 to 31",
                                     path, JSON_SHORT(value));
}

/* The chain of iptables that somebody else gives the marks in: there is none of ours to call it, which
 * in a configuration of type netmgr is a wish not granted. */
int mark_chain_refuse(json_object *value, const char *path, void *target _unused_, Error *e) {
        _cleanup_free_ char *s = NULL;

        int r = json_read_string(value, path, &s, e);
        if (r < 0 || isempty(s))
                return r;
        return error_setf(e, ERROR_NOT_SUPPORTED,
                          "\"%s\": %s is not available: netmgr masquerades without iptables and "
                          "without marks",
                          path, JSON_SHORT(value));
}
