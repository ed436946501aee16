/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A configuration list as libcni runs it: plugins one after the other, each with the list's name and
 * version and the result of the one before it; and NetworkAttachmentDefinition, the manifest that holds one
 * (multi-net-spec 1.3, section 3). What runtimeConfig a plugin gets is what it has declared in "capabilities".
 *
 * netmgrd runs such a list for a sandbox that asks for the network by name: plugins whose names are ours by
 * itself, others by whoever has called, or by netmgr-exec.
 */

#include "base/error.h"
#include "base/json.h"
#include "cri/netconf.h"

typedef struct NetListPlugin {
        char *type;          /* as written; owned */
        NetPlugin plugin;    /* _NET_PLUGIN_INVALID: of others */
        json_object *config; /* its object, with name and cniVersion of the list; owned */
        char **capabilities; /* those that are true; NULL-terminated or NULL; owned */
} NetListPlugin;

typedef struct NetList {
        unsigned n_references;  /* beside the first */
        char *name;             /* CNI name: "name", else the one that it is kept under; owned */
        char *cni_version;      /* owned */
        NetListPlugin *plugins; /* at least one */
        size_t n_plugins;
        bool disable_check, disable_gc;
        uint64_t hash; /* of all plugins' objects without name: tells drift */
} NetList;

/* Never changed once it is read: whoever needs it longer than its network takes a reference. */
NetList *net_list_ref(NetList *l);
NetList *net_list_free(NetList *l); /* a reference of it; accepts NULL, returns NULL */
DEFINE_CLEANUP(NetList *, net_list_free)

/*
 * A conflist, or one plugin object. fallback_name: the name where it has none. A plugin of ours is parsed as
 * well, so that an error comes now and not with the first sandbox. ERROR_DECODE, ERROR_INVALID_ARGUMENT,
 * ERROR_INCOMPATIBLE_VERSION, ERROR_UNKNOWN_OPTION, ERROR_NOT_SUPPORTED (a chain that begins with a plugin that
 * makes no interface), ERROR_NO_MEMORY.
 */
int net_list_parse(const char *text, size_t size, const char *fallback_name, NetList **ret,
                   Error *e);

/* One plugin of type netmgr and no other: a network like those of networks.d/NAME.conflist. */
bool net_list_is_plain(const NetList *l);

/* What one sandbox brings along for one plugin; NULL members: nothing. */
typedef struct NetListCall {
        json_object *prev_result;
        json_object *runtime_config; /* all of it; what the plugin has not declared is left out */
        json_object *cni_args;       /* over the configuration's args.cni, key by key */
} NetListCall;
/* The text that the plugin gets: owned by caller. */
int net_list_plugin_text(const NetListPlugin *p, const NetListCall *call, char **ret);
/* The first key of runtime_config that no plugin of the list has declared; NULL: none. A plugin of type
 * netmgr takes all that netmgr knows. */
const char *net_list_undeclared(const NetList *l, json_object *runtime_config);

/* --- NetworkAttachmentDefinition ------------------------------------------------------------------- */

typedef struct NadManifest {
        char *namespace; /* "default" when it says none; owned, as all */
        char *name;
        char *config; /* spec.config; NULL: empty, a network of the node by that name is meant */
        char *resource_name; /* annotation k8s.v1.cni.cncf.io/resourceName; NULL: none */
} NadManifest;
void nad_manifest_clear(NadManifest *m);
/* True for an object whose "kind" is NetworkAttachmentDefinition: cheap, to tell it from a configuration. */
bool nad_manifest_is(json_object *o);
/* apiVersion k8s.cni.cncf.io/v1; names are DNS-1123 subdomains, namespaces labels. Keys of the API server (status,
 * metadata's others) are let pass. */
int nad_manifest_parse(const char *text, size_t size, NadManifest *ret, Error *e);
int nad_manifest_read(json_object *o, NadManifest *ret, Error *e);
/* The manifests of a list of them, as kubectl prints it (kind List, or NetworkAttachmentDefinitionList): a borrowed
 * array; NULL when it is no list. */
int nad_manifest_items(json_object *top, json_object **ret, Error *e);

/* "NAME" as of CNI, or "NAMESPACE/NAME". */
bool network_name_is_valid(const char *s);
