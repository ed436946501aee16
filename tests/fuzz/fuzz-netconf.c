/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * stdin of the plugin, in every way that netmgrd reads it. Beyond not crashing: an accepted
 * configuration holds what its readers promise, and a refused one is explained. The same bytes also
 * serve as CNI_ARGS.
 *
 * A first byte 'a' + N stands for the program NetPlugin N (no JSON object begins so); without one the
 * "type" in the text chooses.
 */

#include "base/parse.h"
#include "cri/result.h"
#include "fuzz-invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_netconf(const NetConf *c) {
        require(cni_version_is_supported(c->cni_version));
        require(!c->name || cni_id_is_valid(c->name, NETWORK_NAME_MAX));
        require(net_kind_to_string(c->kind) != NULL);
        require_sets(c->sets, c->n_sets);
        require_sets(c->runtime_sets, c->n_runtime_sets);
        require(c->n_routes <= ROUTES_MAX && c->n_requested <= RANGE_SETS_MAX);
        require(!c->is_default_gateway || c->is_gateway);
        require(!(c->hairpin && c->promisc));
        require(c->network == NULL || c->n_sets == 0);
        require_ports(c->ports, c->n_ports);
        require_link(c);
        require_ipam(c);
        if (c->plugin == NET_PLUGIN_BANDWIDTH) {
                require_bandwidth_strict(&c->bandwidth, false);
                require_bandwidth_strict(&c->runtime_bandwidth, true);
        } else {
                require_bandwidth(&c->bandwidth);
                require_bandwidth(&c->runtime_bandwidth);
        }
        require_conditions(c->conditions4, c->n_conditions4, AF_INET);
        require_conditions(c->conditions6, c->n_conditions6, AF_INET6);
        require_sysctls(c->sysctls, c->n_sysctls);
        require_sysctls(c->args_sysctls, c->n_args_sysctls);
        require(net_shaping_mode_from_string(net_shaping_mode_to_string(c->shaping_mode)) ==
                c->shaping_mode);
        require(c->n_masq_excludes <= EXCLUDES_MAX && c->n_allow <= ALLOW_MAX);
        require(c->n_allow == 0 || c->isolation != 0);
        for (size_t i = 0; i < c->n_valid_attachments; i++)
                require(c->has_valid_attachments &&
                        cni_id_is_valid(c->valid_attachments[i].container_id, CONTAINER_ID_MAX) &&
                        ifname_is_valid(c->valid_attachments[i].ifname));
}

/* What was read is written, and read again, in every version. */
static void fuzz_result(const CniOwnedResult *r) {
        CniResult view = cni_owned_result_view(r);

        for (const char *const *v = cni_versions; *v; v++) {
                _cleanup_(cni_owned_result_clear) CniOwnedResult again = { 0 };
                _cleanup_free_ char *text = NULL, *same = NULL;
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_json_ json_object *o = NULL;

                if (cni_result_to_json(&view, *v, &text, &e) < 0) {
                        require(error_is_set(&e) && cni_version_compare(*v, "0.3.0") < 0);
                        continue;
                }
                require(json_parse(text, strlen(text), "result", &o, &e) >= 0);
                require(cni_result_parse(o, "result", *v, &again, &e) >= 0);
                CniResult second = cni_owned_result_view(&again);
                require(cni_result_to_json(&second, *v, &same, &e) >= 0 && streq(text, same));
        }
}

static void fuzz_prev_result(const NetConf *c) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult owned = { 0 };
        _cleanup_error_ Error e = ERROR_NULL, f = ERROR_NULL;
        CniPrevResult p;

        if (!c->prev_result)
                return;
        if (cni_prev_result_parse(c->prev_result, c->cni_version, &p, &e) >= 0)
                cni_prev_result_clear(&p);
        if (cni_result_parse(c->prev_result, "prevResult", c->cni_version, &owned, &f) >= 0)
                fuzz_result(&owned);
        else
                require(error_is_set(&f));
}

static void fuzz_parse(const char *text, size_t size,
                       int (*parse)(const char *text, size_t size, NetConf **ret, Error *e)) {
        _cleanup_(netconf_freep) NetConf *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r = parse(text, size, &c, &e);

        require_answer(r, c, &e);
        if (r < 0)
                return;
        require_netconf(c);
        fuzz_prev_result(c);
}

static int parse_list(const char *text, size_t size, NetConf **ret, Error *e) {
        return netconf_parse_list(text, size, NULL, ret, e);
}

static void fuzz_plugin(const char *text, size_t size) {
        NetPlugin plugin = (NetPlugin) (text[0] - 'a');
        _cleanup_(netconf_freep) NetConf *c = NULL, *envelope = NULL;
        _cleanup_error_ Error e = ERROR_NULL, f = ERROR_NULL;
        int r;

        r = netconf_parse_as(plugin, text + 1, size - 1, &c, &e);
        require_answer(r, c, &e);
        if (r >= 0) {
                require(c->plugin == plugin);
                require_netconf(c);
                fuzz_prev_result(c);
        }
        r = netconf_parse_envelope_as(plugin, text + 1, size - 1, &envelope, &f);
        require_answer(r, envelope, &f);
        require(!c || envelope); /* DEL takes what ADD has taken */
}

static void fuzz_args(const char *text, size_t size) {
        _cleanup_free_ char *s = strndup(text, size);
        _cleanup_error_ Error e = ERROR_NULL;
        CniArgs a;

        require(s != NULL);
        if (cni_args_parse(s, &a, &e) < 0) {
                require(error_is_set(&e));
                return;
        }
        require(a.n_ips <= ELEMENTSOF(a.ips) && a.n_gateways <= ELEMENTSOF(a.gateways));
        require(!(a.mac.bytes[0] & 1));
        cni_args_clear(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;

        if (size > 0 && text[0] >= 'a' && text[0] < 'a' + _NET_PLUGIN_MAX)
                fuzz_plugin(text, size);
        fuzz_parse(text, size, netconf_parse);
        fuzz_parse(text, size, netconf_parse_envelope);
        fuzz_parse(text, size, parse_list);
        fuzz_args(text, size);
        return 0;
}
