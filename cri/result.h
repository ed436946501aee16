/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CNI results and errors: one plain struct, written out in the form of any specification version
 * from 0.1.0 to 1.1.0. Source: CNI specification, section "Result", and the conversions of libcni.
 */

#include "base/error.h"
#include "base/inaddr.h"
#include "cri/netconf.h"

/* "0.1.0" .. "1.1.0", oldest first, NULL-terminated. */
extern const char *const cni_versions[];
/* The same for sentences: "0.1.0, 0.2.0, …". */
extern const char cni_versions_text[];
/* What a configuration means that names no version (specification, section 1). */
#define CNI_VERSION_DEFAULT "0.1.0"
bool cni_version_is_supported(const char *version); /* NULL: no */
/* <0, 0, >0 as a is older, the same, newer; both supported. */
int cni_version_compare(const char *a, const char *b);

typedef struct CniInterface {
        const char *name; /* borrowed, as everything in a CniResult */
        MacAddr mac;
        uint32_t mtu;        /* 0: unknown */
        const char *sandbox; /* CNI_NETNS verbatim; NULL on the host's side */
        bool has_mac;
        const char *mac_text; /* instead of mac: of links whose addresses have other sizes; or NULL */
        const char *socket_path; /* vhost-user; NULL: none */
        const char *pci_id;      /* NULL: none */
} CniInterface;

typedef struct CniIp {
        InPrefix address;
        InAddr gateway; /* AF_UNSPEC: none */
        int interface;  /* index into interfaces, -1: none */
} CniIp;

typedef struct CniResult {
        const CniInterface *interfaces;
        size_t n_interfaces;
        const CniIp *ips;
        size_t n_ips;
        const NetRoute *routes;
        size_t n_routes;
        const NetDns *dns; /* may be NULL */
} CniResult;

/*
 * JSON of the result in the given version. ERROR_INVALID_ARGUMENT when the version cannot express
 * it (0.1.0 and 0.2.0 without any address).
 */
int cni_result_to_json(const CniResult *result, const char *version, char **ret, Error *e);

/* A result of others, in the shape that all versions come to. */
typedef struct CniOwnedResult {
        CniInterface *interfaces; /* owned, as all that follows; their texts are in `texts` */
        size_t n_interfaces;
        CniIp *ips;
        size_t n_ips;
        NetRoute *routes; /* dst may have host bits: it is passed on as it came */
        size_t n_routes;
        NetDns dns;
        char **texts;
        size_t n_texts;
} CniOwnedResult;
void cni_owned_result_clear(CniOwnedResult *r);

/*
 * A result of any version (prevResult, or what a delegate has answered) brought up to the newest one:
 * ip4 goes before ip6 and their routes likewise. `version` is the configuration's and counts where the
 * result names none; o may be NULL (JSON's null), which is an empty result. Keys that no version has are
 * dropped, as libcni does. path: how sentences call it ("prevResult"). ERROR_INVALID_ARGUMENT,
 * ERROR_INCOMPATIBLE_VERSION.
 */
int cni_result_parse(json_object *o, const char *path, const char *version, CniOwnedResult *ret,
                     Error *e);
/* The same as a CniResult, for cni_result_to_json(); borrows from r. */
CniResult cni_owned_result_view(const CniOwnedResult *r);
/* Appends an interface; the texts of *itf are copied. Its index is then n_interfaces - 1. */
int cni_owned_result_add_interface(CniOwnedResult *r, const CniInterface *itf, Error *e);

/* What CHECK needs from prevResult (any version; `version` is the configuration's): its addresses
 * and the interface names with a sandbox. Owned arrays. */
typedef struct CniPrevResult {
        InPrefix *ips;
        size_t n_ips;
        struct {
                char *name, *sandbox; /* owned; sandbox NULL: host side */
                MacAddr mac;
                bool has_mac;
                uint32_t mtu; /* 0: not said */
        } * interfaces;
        size_t n_interfaces;
} CniPrevResult;
int cni_prev_result_parse(json_object *o, const char *version, CniPrevResult *ret, Error *e);
void cni_prev_result_clear(CniPrevResult *r);

/* In a result of any version (NULL: nothing to do): the MAC of its interfaces of that name. Versions that know
 * no interfaces stay as they are. */
void cni_result_set_mac(json_object *result, const char *ifname, const MacAddr *mac);

/* {"cniVersion":…,"code":…,"msg":…,"details":…}; version and details may be NULL. */
int cni_error_to_json(const char *version, unsigned code, const char *msg, const char *details,
                      char **ret);
