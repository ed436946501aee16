/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A list of plugins or a manifest that holds one, as a file or a D-Bus call brings it. What was accepted can be
 * written for each of its plugins, and what is written is accepted again and is the same network.
 */

#include "cri/network-description.h"

#include "fuzz-invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_text(const NetList *l, const NetListPlugin *p, const NetListCall *call) {
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *text = NULL;

        require(net_list_plugin_text(p, call, &text) >= 0);
        require(json_parse(text, strlen(text), "plugin", &o, NULL) >= 0);
        require(streq(json_object_get_string(json_get(o, "name")), l->name));
        require(streq(json_object_get_string(json_get(o, "type")), p->type));
        if (call->prev_result)
                require(json_get(o, "prevResult") != NULL);
}

/* One plugin alone is a list as well, unless it has keys that mean something else there. */
static void fuzz_again(const NetList *l) {
        static const char *const of_lists[] = { "plugins", "disableCheck", "disableGC",
                                                "cniVersions" };
        _cleanup_(net_list_freep) NetList *again = NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        if (l->n_plugins != 1)
                return;
        for (size_t i = 0; i < ELEMENTSOF(of_lists); i++)
                if (json_has(l->plugins[0].config, of_lists[i], NULL))
                        return;
        require(net_list_plugin_text(&l->plugins[0], &(NetListCall) { 0 }, &text) >= 0);
        require(net_list_parse(text, strlen(text), NULL, &again, &e) >= 0);
        require(again->hash == l->hash && streq(again->name, l->name));
}

static void fuzz_list(const char *text, size_t size) {
        _cleanup_(net_list_freep) NetList *l = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_object *prev = json_object_new_object(), *runtime = NULL;

        int r = net_list_parse(text, size, "fallback", &l, &e);
        require(r < 0 ? !l && error_is_set(&e) : l && !error_is_set(&e));
        if (r < 0)
                return;
        require(cni_id_is_valid(l->name, NETWORK_NAME_MAX));
        require(l->n_plugins > 0 && l->n_plugins <= LIST_PLUGINS_MAX);
        require(l->plugins[0].plugin < 0 || net_plugin_makes_interface(l->plugins[0].plugin));
        /* Whatever the input has there serves as what a sandbox wants. */
        runtime = json_object_get(json_get(l->plugins[0].config, "runtimeConfig"));
        (void) net_list_undeclared(l, runtime);
        for (size_t i = 0; i < l->n_plugins; i++) {
                const NetListPlugin *p = &l->plugins[i];
                fuzz_text(l, p, &(NetListCall) { 0 });
                fuzz_text(l, p,
                          &(NetListCall) { .prev_result = prev,
                                           .runtime_config = runtime,
                                           .cni_args = p->config });
        }
        fuzz_again(l);
}

static void fuzz_manifest(const char *text, size_t size) {
        _cleanup_(nad_manifest_clear) NadManifest m = { 0 };
        _cleanup_json_ json_object *top = NULL;
        _cleanup_error_ Error e = ERROR_NULL, f = ERROR_NULL;
        json_object *items = NULL;

        if (nad_manifest_parse(text, size, &m, &e) >= 0) {
                _cleanup_free_ char *name = strf("%s/%s", m.namespace, m.name);
                require(name && network_name_is_valid(name));
                if (m.config)
                        fuzz_list(m.config, strlen(m.config));
        } else
                require(error_is_set(&e) && !m.name);
        if (json_parse(text, size, "manifest", &top, NULL) < 0)
                return;
        if (nad_manifest_items(top, &items, &f) >= 0 && items)
                for (size_t i = 0; i < json_object_array_length(items); i++) {
                        NadManifest item = { 0 };
                        if (nad_manifest_read(json_object_array_get_idx(items, i), &item, NULL) >=
                            0)
                                nad_manifest_clear(&item);
                }
}

static void fuzz_description(const char *text, size_t size) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        if (net_description_parse(text, size, NULL, &d, &e) < 0) {
                require(error_is_set(&e) && !d.name && !d.conf);
                return;
        }
        require(network_name_is_valid(d.name) && d.conf && !error_is_set(&e));
        require(!d.conf->network && !(d.alias && d.list));
        require(!d.alias || network_name_is_valid(d.alias));
        require(!d.conf->any_of || (d.conf->n_any_of > 0 && d.conf->n_any_of <= ANY_OF_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;
        _cleanup_free_ char *name = strndup(text, size);

        fuzz_list(text, size);
        fuzz_manifest(text, size);
        fuzz_description(text, size);
        require(name != NULL);
        (void) network_name_is_valid(name);
        return 0;
}
