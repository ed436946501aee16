/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CNI_ARGS: "K=V;K=V". Keys are matched with case and every pair has exactly one '=', as in Go's
 * types.LoadArgs: a runtime that works with the reference plugins must meet the same rules here.
 */

#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

typedef struct ArgsReader {
        CniArgs args;
        bool ignore_unknown;
        char *unknown; /* owned; first key that nobody reads, an error unless ignore_unknown */
} ArgsReader;

static void args_reader_clear(ArgsReader *a) {
        cni_args_clear(&a->args);
        free(a->unknown);
}

void cni_args_clear(CniArgs *a) {
        free(a->pod_namespace);
        free(a->pod_name);
        free(a->pod_uid);
        free(a->infra_container_id);
        *a = (CniArgs) { 0 };
}

/* Go's readers of both lists cut off the space around an item. */
static char *trim(char *s) {
        s += strspn(s, " ");
        for (size_t n = strlen(s); n > 0 && s[n - 1] == ' '; n--)
                s[n - 1] = 0;
        return s;
}

static int read_ips(char *value, CniArgs *ret, Error *e) {
        char *rest = value, *item;

        if (isempty(value))
                return 0;
        ret->n_ips = 0; /* of several IP= the last one counts */
        ret->bare_ips = 0;
        while ((item = strsep(&rest, ","))) {
                InPrefix p;

                item = trim(item);
                if (in_prefix_parse_auto(item, &p) < 0)
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: IP: \"%.64s\" is not an address, with or "
                                          "without a prefix length",
                                          item);
                if (ret->n_ips >= ELEMENTSOF(ret->ips))
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: IP: more than %zu addresses are requested",
                                          ELEMENTSOF(ret->ips));
                if (!strchr(item, '/'))
                        ret->bare_ips |= 1U << ret->n_ips;
                ret->ips[ret->n_ips++] = p;
        }
        return 0;
}

static int read_gateways(char *value, CniArgs *ret, Error *e) {
        char *rest = value, *item;

        if (isempty(value))
                return 0;
        ret->n_gateways = 0;
        while ((item = strsep(&rest, ","))) {
                InAddr a;

                item = trim(item);
                if (in_addr_parse(item, &a) < 0 || in_addr_is_multicast(&a))
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: GATEWAY: \"%.64s\" is not the address of a "
                                          "gateway",
                                          item);
                if (ret->n_gateways >= ELEMENTSOF(ret->gateways))
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: GATEWAY: more than %zu addresses",
                                          ELEMENTSOF(ret->gateways));
                ret->gateways[ret->n_gateways++] = a;
        }
        return 0;
}

static int read_mac(const char *value, CniArgs *ret, Error *e) {
        if (isempty(value) || mac_addr_parse(value, &ret->mac) >= 0)
                return 0;
        return error_setf(
                        e, ERROR_BAD_ENVIRONMENT,
                        "CNI_ARGS: MAC: \"%.64s\" is not the MAC address of one interface; wanted is "
                        "such as 02:11:22:33:44:55",
                        value);
}

static int replace(char **target, const char *value, Error *e) {
        char *s = strdup(value);

        if (!s)
                return error_oom(e);
        free(*target);
        *target = s;
        return 0;
}

static int read_pair(char *pair, ArgsReader *a, Error *e) {
        char *eq = strchr(pair, '='), *value;

        if (!eq || eq == pair || strchr(eq + 1, '='))
                return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                  "CNI_ARGS: \"%.64s\" is not a pair KEY=VALUE", pair);
        *eq = 0;
        value = eq + 1;

        if (streq(pair, "IP"))
                return read_ips(value, &a->args, e);
        if (streq(pair, "GATEWAY"))
                return read_gateways(value, &a->args, e);
        if (streq(pair, "MAC"))
                return read_mac(value, &a->args, e);
        if (streq(pair, "IgnoreUnknown")) {
                a->ignore_unknown = streq(value, "1") || strcasecmp(value, "true") == 0;
                return 0;
        }
        if (streq(pair, "K8S_POD_NAMESPACE"))
                return replace(&a->args.pod_namespace, value, e);
        if (streq(pair, "K8S_POD_NAME"))
                return replace(&a->args.pod_name, value, e);
        if (streq(pair, "K8S_POD_UID"))
                return replace(&a->args.pod_uid, value, e);
        if (streq(pair, "K8S_POD_INFRA_CONTAINER_ID"))
                return replace(&a->args.infra_container_id, value, e);
        if (!a->unknown)
                return replace(&a->unknown, pair, e);
        return 0;
}

int cni_args_parse(const char *s, CniArgs *ret, Error *e) {
        _cleanup_(args_reader_clear) ArgsReader a = { 0 };
        _cleanup_free_ char *copy = NULL;
        char *rest, *pair;
        unsigned n = 0;

        if (!isempty(s)) {
                size_t size = strlen(s);

                if (size > CNI_ARGS_MAX)
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: %zu bytes, at most %u are possible", size,
                                          CNI_ARGS_MAX);
                if (!text_is_clean(s, size))
                        return error_setf(e, ERROR_BAD_ENVIRONMENT,
                                          "CNI_ARGS: contains control characters or invalid UTF-8");
                copy = strdup(s);
                if (!copy)
                        return error_oom(e);
        }

        rest = copy;
        while ((pair = strsep(&rest, ";"))) {
                int r;

                if (++n > CNI_ARGS_PAIRS_MAX)
                        return error_setf(e, ERROR_BAD_ENVIRONMENT, "CNI_ARGS: more than %u pairs",
                                          CNI_ARGS_PAIRS_MAX);
                r = read_pair(pair, &a, e);
                if (r < 0)
                        return r;
        }
        /* Runtimes send the pairs in any order, so this waits for the last one. */
        if (a.unknown && !a.ignore_unknown)
                return error_setf(
                                e, ERROR_BAD_ENVIRONMENT,
                                "CNI_ARGS: unknown key \"%.64s\"; without IgnoreUnknown=1 all keys "
                                "have to be known",
                                a.unknown);

        *ret = a.args;
        a.args = (CniArgs) { 0 };
        return 0;
}

int cni_args_find(const char *s, const char *key, char **ret) {
        _cleanup_free_ char *copy = strdup(strempty(s));
        const char *found = NULL;
        char *rest = copy, *pair;

        if (!copy)
                return -ENOMEM;
        while ((pair = strsep(&rest, ";"))) {
                char *eq = strchr(pair, '=');

                if (!eq)
                        continue;
                *eq = 0;
                if (streq(pair, key))
                        found = eq + 1;
        }
        *ret = found ? strdup(found) : NULL;
        return found && !*ret ? -ENOMEM : 0;
}
