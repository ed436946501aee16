/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an import reads: an entry of libcni's cache, a sandbox with Multus' list, whereabouts' objects, base64.
 * What is accepted has valid names, plugins whose configurations name them, addresses within what was said;
 * what is refused says why and leaves nothing.
 */

#include "base/base64.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what) {
        if (!what)
                abort();
}

static void check_attachment(const ImportAttachment *a) {
        require(cni_id_is_valid(a->container_id, CONTAINER_ID_MAX) && ifname_is_valid(a->ifname));
        require(cni_id_is_valid(a->network, NETWORK_NAME_MAX - 1) && a->file && a->args &&
                a->config);
        require(a->n_plugins > 0 && a->n_plugins <= LIST_PLUGINS_MAX);
        require(a->n_addresses <= FOREIGN_ADDRESSES_MAX);
        for (size_t i = 0; i < a->n_plugins; i++) {
                _cleanup_json_ json_object *o = NULL;

                require(cni_id_is_valid(a->plugins[i].type, NETWORK_NAME_MAX));
                /* Larger than it was, by other escapes, or deeper by what was added to it. */
                if (json_parse(a->plugins[i].config, strlen(a->plugins[i].config), "it", &o, NULL) <
                    0)
                        continue;
                require(streq(json_object_get_string(json_get(o, "type")), a->plugins[i].type));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *) data, size), *bytes = NULL;
        _cleanup_error_ Error e1 = ERROR_NULL, e2 = ERROR_NULL, e3 = ERROR_NULL;
        ImportAttachment a = { 0 };
        ImportPools pools = { 0 };
        ImportPod pod = { 0 };
        size_t n;

        if (!text)
                abort();
        if (import_cache_parse(text, strlen(text), "/f", &a, &e1) >= 0)
                check_attachment(&a);
        else
                require(error_is_set(&e1) && !a.container_id && a.n_plugins == 0);
        import_attachment_clear(&a);

        if (import_pod_parse(text, strlen(text), &pod, &e2) >= 0)
                for (size_t i = 0; i < pod.n; i++)
                        check_attachment(&pod.list[i]);
        else
                require(error_is_set(&e2) && pod.n == 0);
        import_pod_clear(&pod);

        if (import_pools_parse(text, strlen(text), &pools, &e3) >= 0)
                for (size_t i = 0; i < pools.n; i++)
                        for (size_t k = 0; k < pools.pools[i].n; k++)
                                require(pools.pools[i].addresses[k].prefix_length <=
                                        family_bits(pools.pools[i].addresses[k].address.family));
        else
                require(error_is_set(&e3) && pools.n == 0);
        import_pools_clear(&pools);

        if (base64_decode(text, size, &bytes, &n) >= 0)
                require(n <= strlen(text) / 4 * 3 && bytes[n] == '\0');
        return 0;
}
