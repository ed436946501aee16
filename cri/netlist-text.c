/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one plugin of a list gets on its stdin for one sandbox: its object with prevResult, with those parts of
 * runtimeConfig that it declares, and with what the sandbox says in args.cni, as libcni writes it.
 */

#include <strings.h>

#include "cri/netlist.h"

/* Parts of runtimeConfig that type netmgr reads; it need not declare them. */
static const char *const known[] = {
        "bandwidth", "deviceID", "dns", "ipRanges", "ips", "mac", "portMappings",
};

static bool has_capability(const NetListPlugin *p, const char *key) {
        for (char **c = p->capabilities; c && *c; c++)
                if (streq(*c, key))
                        return true;
        for (size_t i = 0; p->plugin == NET_PLUGIN_NETMGR && i < ELEMENTSOF(known); i++)
                if (streq(known[i], key))
                        return true;
        return false;
}

const char *net_list_undeclared(const NetList *l, json_object *runtime_config) {
        if (!json_object_is_type(runtime_config, json_type_object))
                return NULL;
        json_object_object_foreach(runtime_config, key, value) {
                bool declared = !value; /* null is absence */

                for (size_t i = 0; i < l->n_plugins; i++)
                        declared |= has_capability(&l->plugins[i], key);
                if (!declared)
                        return key;
        }
        return NULL;
}

/* In place of whatever stood there under that name, in any case. Takes over the value. */
static int put(json_object *o, const char *key, json_object *value) {
        json_object_object_foreach(o, k, v) {
                (void) v;
                if (strcasecmp(k, key) == 0)
                        json_object_object_del(o, k);
        }
        return json_add(o, key, value);
}

static int put_runtime_config(const NetListPlugin *p, json_object *config, json_object *all) {
        _cleanup_json_ json_object *mine = json_object_new_object();

        if (!mine)
                return -ENOMEM;
        if (!json_object_is_type(all, json_type_object))
                return 0;
        json_object_object_foreach(all, key, value) {
                if (value && has_capability(p, key) &&
                    json_add(mine, key, json_object_get(value)) < 0)
                        return -ENOMEM;
        }
        return json_object_object_length(mine) > 0 ? put(config, "runtimeConfig", TAKE_PTR(mine))
                                                   : 0;
}

/* The object under that key, made when it is not there; borrowed. */
static json_object *object_at(json_object *o, const char *key) {
        json_object *inner = json_get(o, key);

        if (inner)
                return inner;
        inner = json_object_new_object();
        return put(o, key, inner) < 0 ? NULL : inner;
}

static int merge_cni_args(json_object *config, json_object *over) {
        json_object *args, *cni;

        if (!json_object_is_type(over, json_type_object) || json_object_object_length(over) == 0)
                return 0;
        args = object_at(config, "args");
        cni = args ? object_at(args, "cni") : NULL;
        if (!cni)
                return -ENOMEM;
        json_object_object_foreach(over, key, value) {
                if (value && put(cni, key, json_object_get(value)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int net_list_plugin_text(const NetListPlugin *p, const NetListCall *call, char **ret) {
        _cleanup_json_ json_object *config = NULL;

        if (json_object_deep_copy(p->config, &config, NULL) < 0 ||
            (call->prev_result &&
             put(config, "prevResult", json_object_get(call->prev_result)) < 0) ||
            put_runtime_config(p, config, call->runtime_config) < 0 ||
            merge_cni_args(config, call->cni_args) < 0)
                return -ENOMEM;
        char *text = json_to_text(config);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}
