/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What people write to describe a network of the node: a configuration list, one plugin object, or a
 * NetworkAttachmentDefinition that holds either or nothing. All three come to one shape here.
 */

#include "cri/netlist.h"

typedef struct NetDescription {
        char *name; /* of the network: "NAME", or "NAMESPACE/NAME" of a manifest; owned, as all */
        /* Of the first plugin, in its own dialect; of kind foreign where that is not ours, or where there is none. */
        NetConf *conf;
        NetList *list; /* NULL: one plugin of type netmgr, or none */
        char *alias;   /* the network that is meant; NULL: this describes one */
} NetDescription;
void net_description_clear(NetDescription *d);

/*
 * name: under which it is to be kept; NULL: whatever it says. ERROR_DECODE, ERROR_INVALID_ARGUMENT,
 * ERROR_UNKNOWN_OPTION, ERROR_NOT_SUPPORTED, ERROR_INCOMPATIBLE_VERSION, ERROR_NO_MEMORY; the sentence begins with
 * the place ("spec.config: plugins[1]: …").
 */
int net_description_parse(const char *text, size_t size, const char *name, NetDescription *ret,
                          Error *e);
/* Where one of them is promised. */
int net_description_parse_list(const char *text, size_t size, const char *name, NetDescription *ret,
                               Error *e);
int net_description_parse_manifest(const char *text, size_t size, NetDescription *ret, Error *e);
