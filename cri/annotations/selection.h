/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which networks a pod asks for, as people write it in its annotations. Three customs, each a file here:
 *
 *   npwg.c   k8s.v1.cni.cncf.io/networks in both forms (multi-net-spec 1.3, section 4), with "@ifname" and
 *            v1.multus-cni.io/default-network as Multus takes them; interfaces beside the default one are net1, net2, …
 *   genie.c  cni: "weave,canal@eth4": all networks of the pod, the first of them the default one; eth0, eth1, …
 *   danm.c   danm.io/interfaces, danm.k8s.io/interfaces: likewise, with keys of their own
 *
 * All of it is input from whoever may create a pod. A sentence quotes the annotation, the position and the
 * key: `k8s.v1.cni.cncf.io/networks[2].ips[0]: …`. One bad entry fails the whole, and nothing is attached.
 */

#include "base/error.h"
#include "base/inaddr.h"
#include "base/json.h"
#include "cri/netconf.h"

#define ANNOTATION_NETWORKS        "k8s.v1.cni.cncf.io/networks"
#define ANNOTATION_DEFAULT_NETWORK "v1.multus-cni.io/default-network"
#define ANNOTATION_STATUS          "k8s.v1.cni.cncf.io/network-status"
#define ANNOTATION_GENIE           "cni"
#define ANNOTATION_GENIE_STATUS    "multi-ip-preferences"
#define ANNOTATION_DANM            "danm.io/interfaces"
#define ANNOTATION_DANM_OLD        "danm.k8s.io/interfaces"
/* Whose a sticky address is, instead of the pod's name: of the objects that hand a pod's place on. */
#define ANNOTATION_OWNER "org.netmgr1.owner"

/* What is asked of one family of addresses (DANM's ip and ip6). */
typedef enum SelectionFamily {
        SELECTION_ANY,  /* nothing: as the network has it */
        SELECTION_NONE, /* no address of it */
        SELECTION_WANTED,
} SelectionFamily;

/* One network that the pod asks for. What was not said is NULL, zero, or empty. */
typedef struct NetSelection {
        char *where; /* "k8s.v1.cni.cncf.io/networks[2]", for sentences; owned, as all that follows */
        char *namespace;   /* as written; NULL: the pod's own, then the node's networks */
        bool node_wide;    /* DANM's clusterNetwork: a network of the node only */
        char *name;        /* "": Genie's "choose one for me" */
        char ifname[16];   /* "": by position */
        InPrefix *ips;     /* without a length as written: that of the address */
        uint32_t bare_ips; /* bit i: ips[i] was written without a length */
        size_t n_ips;
        MacAddr mac;           /* zero: any */
        char *infiniband_guid; /* 8 bytes, as "c2:11:22:33:44:55:66:77" */
        NetPort *ports;
        size_t n_ports;
        NetBandwidth bandwidth;
        json_object *cni_args; /* goes over the network's own args.cni */
        /* This interface gets the default routes, of each family by these gateways in the order of
         * preference; without any: as its network has them. */
        bool has_default_route;
        InAddr *gateways;
        size_t n_gateways;
        char *ipam_claim; /* name, in the pod's namespace; never together with ips */
        char *device_id;  /* Multus' own deviceID */
        SelectionFamily ipv4, ipv6;
        NetRoute *routes; /* DANM's proutes and proutes6; gw is set */
        size_t n_routes;
} NetSelection;

typedef struct NetSelections {
        /* In the order of attachment; never of the runtime's own network, unless `replaces_default`. */
        NetSelection *items;
        size_t n_items;
        bool replaces_default; /* items[0] is the default network, in place of the runtime's */
        char prefix[8];        /* of interface names by position: "net" or "eth" */
        char *owner;           /* ANNOTATION_OWNER */
} NetSelections;

void net_selection_clear(NetSelection *s);
void net_selections_clear(NetSelections *s);

/*
 * Reads the annotations of a pod: a JSON object of strings, as runtimes pass it in
 * runtimeConfig."io.kubernetes.cri.pod-annotations". Others than those above are not looked at. At most
 * SELECTIONS_MAX networks, SELECTION_SIZE_MAX bytes per annotation. Two customs at once are refused.
 * ERROR_INVALID_ARGUMENT, ERROR_DECODE (no JSON where it has to be), ERROR_UNKNOWN_OPTION (all unknown keys of
 * DANM, those without a dot of the others), ERROR_NO_MEMORY.
 */
int net_selections_parse(json_object *annotations, NetSelections *ret, Error *e);

/* False: none of them asks for a network, and there is nothing to be parsed. annotations may be NULL. */
bool net_selections_are_there(json_object *annotations);

/* Those of the annotations that this file knows, as a JSON object for the ledger; NULL: none is there. */
int net_selections_keep(json_object *annotations, char **ret);

/*
 * Interface names are unique; what has none gets the prefix and its position, counted over all (the
 * default network is 0), so that a, b@foo, c are net1, foo, net3. With the prefix "eth" it gets the next one that
 * nobody has, as Genie does it: a, b@foo, c are eth0, foo, eth1; and who has default_ifname comes first then. The
 * network that replaces the default one is called default_ifname, and no other. ERROR_INVALID_ARGUMENT names both.
 */
int net_selections_name(NetSelections *s, const char *default_ifname, Error *e);

/* One short-form item ("ns/name@ifname") of a person at a command line. */
int net_selection_parse_item(const char *text, const char *where, NetSelection *ret, Error *e);

/* May a pod of that namespace ("": unknown) use a network of `namespace`? shared: NULL-terminated
 * namespaces that everybody may use. ERROR_ACCESS_DENIED names both. */
int net_selection_check_namespace(const NetSelection *s, const char *pod_namespace, bool isolation,
                                  char **shared, Error *e);
