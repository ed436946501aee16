/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A group: "anyOf" names networks of netmgrd, and "choose" says how one of them is found for each attachment. Whether
 * they exist is seen when one is needed: they come and go by themselves.
 */

#include "base/strv.h"
#include "cri/netconf-internal.h"

static const char *const choices[_NET_CHOOSE_MAX] = {
        [NET_CHOOSE_FIRST_FIT] = "first-fit",
        [NET_CHOOSE_FREE_ADDRESSES] = "free-addresses",
        [NET_CHOOSE_LEAST_TRAFFIC] = "least-traffic",
};

const char *net_choose_to_string(NetChoose choose) {
        return choose >= 0 && choose < _NET_CHOOSE_MAX ? choices[choose] : "unknown";
}

NetChoose net_choose_from_string(const char *s) {
        for (NetChoose c = 0; s && c < _NET_CHOOSE_MAX; c++)
                if (streq(choices[c], s))
                        return c;
        return _NET_CHOOSE_INVALID;
}

static int choose_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        NetChoose *ret = target;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        NetChoose choose = net_choose_from_string(s);
        if (choose < 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": %s is not a way to choose a network; there are first-fit, "
                                "free-addresses and least-traffic",
                                path, JSON_SHORT(value));
        *ret = choose;
        return 0;
}

static int member_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        NetConf *c = target;

        int r = network_name_read(value, path, &s, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_any_of; i++)
                if (streq(c->any_of[i], s))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": %s stands there twice", path, JSON_SHORT(value));
        if (strv_append(&c->any_of, s) < 0)
                return error_oom(e);
        c->n_any_of++;
        return 0;
}

int netconf_read_group(json_object *top, NetConf *c, Error *e) {
        json_object *members = json_get(top, "anyOf"), *choose = json_get(top, "choose");
        int r;

        if (choose && !members)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"choose\": %s has no meaning without \"anyOf\", the networks to "
                                "choose from",
                                JSON_SHORT(choose));
        if (!members)
                return 0;
        if (c->network)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"anyOf\" and \"network\": \"%s\" exclude each other",
                                  c->network);
        r = json_read_array(members, "anyOf", ANY_OF_MAX, member_read, c, e);
        if (r >= 0 && c->n_any_of == 0)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"anyOf\": wanted the names of 1 to %u networks, found none",
                               ANY_OF_MAX);
        if (r >= 0 && choose)
                r = choose_read(choose, "choose", &c->choose, e);
        c->kind = NET_KIND_FOREIGN;
        return r;
}
