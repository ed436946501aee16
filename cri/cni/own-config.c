/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "cri/cni/own-config.h"

#include "base/json.h"
#include "cri/netconf.h"

void own_config_clear(OwnConfig *c) {
        free(c->name);
        free(c->type);
        free(c->ipam_type);
        free(c->data_dir);
        free(c->resolv_conf);
        *c = (OwnConfig) { 0 };
}

static char *take_text(json_object *object, const char *key) {
        json_object *value = json_get(object, key);
        char *text = NULL;

        if (!value || json_read_string(value, key, &text, NULL) < 0)
                return NULL;
        if (isempty(text))
                free(TAKE_PTR(text));
        return text;
}

void own_config_read(const char *program, const char *config, OwnConfig *ret) {
        _cleanup_json_ json_object *top = NULL;
        json_object *ipam;

        if (json_parse(config, strlen(config), "configuration", &top, NULL) < 0 ||
            !json_object_is_type(top, json_type_object))
                return;
        ret->name = take_text(top, "name");
        ret->type = take_text(top, "type");
        ipam = json_get(top, "ipam");
        if (!ipam || !json_object_is_type(ipam, json_type_object))
                return;
        ret->ipam_type = net_plugin_is_ipam(net_plugin_from_string(program))
                                         ? strdup(program)
                                         : take_text(ipam, "type");
        ret->data_dir = take_text(ipam, "dataDir");
        ret->resolv_conf = take_text(ipam, "resolvConf");
}
