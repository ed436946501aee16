/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The values that describe one interface: names, MTU, MAC addresses, VLANs, modes, devices; and what
 * they mean together. Each reader is a JsonReader for one field of a NetConf; netconf-keys.c says which
 * kind has which key. Where Go's decoder makes no difference between an empty string and an absent
 * key, neither do these.
 */

#include <linux/if_link.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* IPv4 cannot work below (RFC 791); the kernel's veth and bridge take no more. */
#define MTU_MIN 68U
#define MTU_MAX 65535U

/* 0 is for frames that only have a priority, 4095 is reserved (IEEE 802.1Q). */
#define VLAN_ID_MAX 4094U

void net_link_conf_init(NetLinkConf *l) {
        *l = (NetLinkConf) { .owner = UINT32_MAX, .group = UINT32_MAX };
}

/* ---- names and numbers ------------------------------------------------------------------------ */

int ifname_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0;
        if (!ifname_is_valid(s))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an interface name (1 to %u bytes without '/', "
                                  "':', '%%' and white space)",
                                  path, JSON_SHORT(value), IFNAME_LEN_MAX);
        snprintf(target, IFNAME_LEN_MAX + 1, "%s", s);
        return 0;
}

int ifname_dup_read(json_object *value, const char *path, void *target, Error *e) {
        char name[IFNAME_LEN_MAX + 1] = "", **ret = target, *copy;
        int r;

        r = ifname_read(value, path, name, e);
        if (r < 0 || !name[0])
                return r;
        copy = strdup(name);
        if (!copy)
                return error_oom(e);
        free(*ret);
        *ret = copy;
        return 0;
}

static int number_read(json_object *value, const char *path, uint32_t min, uint32_t max,
                       const char *what, uint32_t *ret, Error *e) {
        uint32_t v = 0;
        int r;

        r = json_read_u32(value, path, &v, e);
        if (r < 0)
                return r;
        if (v < min || v > max)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not %s; wanted is %u to %u", path,
                                  JSON_SHORT(value), what, min, max);
        *ret = v;
        return 0;
}

int mtu_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t *ret = target, mtu;
        int r;

        r = json_read_u32(value, path, &mtu, e);
        if (r < 0)
                return r;
        if (mtu != 0 && (mtu < MTU_MIN || mtu > MTU_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not possible; wanted is %u to %u, or 0", path,
                                  JSON_SHORT(value), MTU_MIN, MTU_MAX);
        *ret = mtu;
        return 0;
}

int flag_read(json_object *value, const char *path, void *target, Error *e) {
        bool on;

        int r = json_read_bool(value, path, &on, e);
        if (r >= 0)
                *(int *) target = on;
        return r;
}

int queue_length_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        /* The kernel's attribute has 32 bits, its check of them one less. */
        int r = number_read(value, path, 0, INT32_MAX, "the length of a queue", &v, e);
        if (r >= 0)
                *(int64_t *) target = v;
        return r;
}

int user_id_read(json_object *value, const char *path, void *target, Error *e) {
        /* -1 stands for nobody in the kernel too. */
        return number_read(value, path, 0, UINT32_MAX - 1, "a user or group ID", target, e);
}

int bcqueuelen_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t *ret = target;

        int r = json_read_u32(value, path, ret, e);
        if (r >= 0) {
                NetLinkConf *l = (NetLinkConf *) ((char *) ret - offsetof(NetLinkConf, bcqueuelen));
                l->has_bcqueuelen = true;
        }
        return r;
}

int vni_read(json_object *value, const char *path, void *target, Error *e) {
        return number_read(value, path, 0, (1U << 24) - 1, "a VXLAN network identifier", target, e);
}

int udp_port_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = number_read(value, path, 0, UINT16_MAX, "a UDP port", &v, e);
        if (r >= 0)
                *(uint16_t *) target = (uint16_t) v;
        return r;
}

int ttl_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = number_read(value, path, 0, UINT8_MAX, "a time to live", &v, e);
        if (r >= 0)
                *(uint8_t *) target = (uint8_t) v;
        return r;
}

int text_ignore(json_object *value, const char *path, void *target _unused_, Error *e) {
        _cleanup_free_ char *s = NULL;

        return json_read_string(value, path, &s, e);
}

int path_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0;
        if (s[0] != '/' || strlen(s) >= NETNS_PATH_MAX || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an absolute path of at most %u bytes", path,
                                  JSON_SHORT(value), NETNS_PATH_MAX - 1);
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

/* ---- MAC addresses ---------------------------------------------------------------------------- */

/* Go's ParseMAC also takes 00-11-22-33-44-55 and 0011.2233.4455. */
static int mac_parse_any(const char *s, MacAddr *ret) {
        char text[MAC_STR_MAX];
        size_t n = 0;

        if (strlen(s) == 17 && strchr(s, '-'))
                for (; n < 17; n++)
                        text[n] = s[n] == '-' ? ':' : s[n] == ':' ? '-' : s[n];
        else if (strlen(s) == 14 && s[4] == '.' && s[9] == '.')
                for (size_t i = 0, digits = 0; i < 14; i++) {
                        if (i == 4 || i == 9)
                                continue;
                        if (digits > 0 && digits % 2 == 0)
                                text[n++] = ':';
                        text[n++] = s[i];
                        digits++;
                }
        else
                return mac_parse(s, ret);
        text[n] = 0;
        return mac_parse(text, ret);
}

int mac_addr_parse(const char *s, MacAddr *ret) {
        MacAddr m;

        if (mac_parse_any(s, &m) < 0)
                return -EINVAL;
        /* The kernel refuses a group address and the zero one on an interface. */
        if ((m.bytes[0] & 1) || mac_is_zero(&m))
                return -EINVAL;
        *ret = m;
        return 0;
}

int mac_addr_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0;
        if (mac_addr_parse(s, target) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not the MAC address of one interface; wanted is "
                                  "such as \"02:11:22:33:44:55\"",
                                  path, JSON_SHORT(value));
        return 0;
}

MacAddr netconf_choose_mac(const NetConf *network, const NetConf *request, const CniArgs *args) {
        if (!mac_is_zero(&request->mac))
                return request->mac;
        if (!mac_is_zero(&args->mac))
                return args->mac;
        return network->plugin == NET_PLUGIN_TUNING ? network->tuning.mac : network->conf_mac;
}

/* ---- VLANs ------------------------------------------------------------------------------------ */

int vlan_id_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = number_read(value, path, 0, VLAN_ID_MAX, "a VLAN ID", &v, e);
        if (r >= 0)
                *(uint16_t *) target = (uint16_t) v;
        return r;
}

typedef struct TrunkInput {
        uint32_t min, max, id; /* 0: not given */
} TrunkInput;

static int trunk_id_read(json_object *value, const char *path, void *target, Error *e) {
        return number_read(value, path, 1, VLAN_ID_MAX, "a VLAN ID", target, e);
}

static const JsonField trunk_fields[] = {
        { "minID", trunk_id_read, offsetof(TrunkInput, min), 0 },
        { "maxID", trunk_id_read, offsetof(TrunkInput, max), 0 },
        { "id", trunk_id_read, offsetof(TrunkInput, id), 0 },
        {},
};

/* One bit per VLAN: the order and the overlaps of what was written do not matter. */
typedef struct VlanSet {
        uint8_t bits[512];
} VlanSet;

static bool vlan_set_has(const VlanSet *set, uint32_t vid) {
        return set->bits[vid / 8] & (1U << vid % 8);
}

static int trunk_read_element(json_object *value, const char *path, void *target, Error *e) {
        TrunkInput in = { 0 };
        VlanSet *set = target;
        int r;

        r = json_read_object(value, path, trunk_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        if (!in.min != !in.max)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has %s without %s; wanted are both, or id", path,
                                  JSON_SHORT(value), in.min ? "minID" : "maxID",
                                  in.min ? "maxID" : "minID");
        if (in.min > in.max)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": minID %u is greater than maxID %u", path, in.min,
                                  in.max);
        for (uint32_t vid = in.min; in.min && vid <= in.max; vid++)
                set->bits[vid / 8] |= (uint8_t) (1U << vid % 8);
        if (in.id)
                set->bits[in.id / 8] |= (uint8_t) (1U << in.id % 8);
        return 0;
}

int vlan_trunk_read(json_object *value, const char *path, void *target, Error *e) {
        NetLinkConf *l = (NetLinkConf *) ((char *) target - offsetof(NetLinkConf, trunks));
        VlanSet set = { 0 };
        size_t n = 0;
        int r;

        r = json_read_array(value, path, VLAN_ID_MAX, trunk_read_element, &set, e);
        if (r < 0)
                return r;
        for (uint32_t vid = 1; vid <= VLAN_ID_MAX; vid++) {
                if (!vlan_set_has(&set, vid))
                        continue;
                if (vid > 1 && vlan_set_has(&set, vid - 1)) {
                        l->trunks[n - 1].last = (uint16_t) vid;
                        continue;
                }
                if (n == VLAN_TRUNKS_MAX)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": %s makes more than %u separate ranges of VLANs",
                                          path, JSON_SHORT(value), VLAN_TRUNKS_MAX);
                l->trunks[n++] = (NetVlanRange) { .first = (uint16_t) vid, .last = (uint16_t) vid };
        }
        l->n_trunks = n;
        return 0;
}

/* ---- modes ------------------------------------------------------------------------------------ */

typedef struct Mode {
        const char *name;
        uint32_t value;
} Mode;

static const Mode macvlan_modes[] = { { "bridge", MACVLAN_MODE_BRIDGE },
                                      { "private", MACVLAN_MODE_PRIVATE },
                                      { "vepa", MACVLAN_MODE_VEPA },
                                      { "passthru", MACVLAN_MODE_PASSTHRU } };
static const Mode ipvlan_modes[] = { { "l2", NET_IPVLAN_L2 },
                                     { "l3", NET_IPVLAN_L3 },
                                     { "l3s", NET_IPVLAN_L3S } };

static int mode_read(json_object *value, const char *path, const Mode *modes, size_t n_modes,
                     const char *wanted, uint32_t *ret, Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0 || isempty(s))
                return r;
        for (size_t i = 0; i < n_modes; i++)
                if (streq(modes[i].name, s)) {
                        *ret = modes[i].value;
                        return 0;
                }
        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is no mode; wanted is %s", path,
                          JSON_SHORT(value), wanted);
}

int macvlan_mode_read(json_object *value, const char *path, void *target, Error *e) {
        return mode_read(value, path, macvlan_modes, ELEMENTSOF(macvlan_modes),
                         "bridge, private, vepa or passthru", target, e);
}

int ipvlan_mode_read(json_object *value, const char *path, void *target, Error *e) {
        return mode_read(value, path, ipvlan_modes, ELEMENTSOF(ipvlan_modes), "l2, l3 or l3s",
                         target, e);
}

/* ---- devices ---------------------------------------------------------------------------------- */

/* The path is looked up below /sys by netmgrd: it leads nowhere else. */
int kernel_path_read(json_object *value, const char *path, void *target, Error *e) {
        static const char prefix[] = "/sys/devices/";
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0;
        if (strncmp(s, prefix, strlen(prefix)) != 0 || strstr(s, "/../") || strlen(s) >= 1024 ||
            (strlen(s) >= 3 && streq(s + strlen(s) - 3, "/..")) || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not the path of a device; wanted is one below "
                                  "/sys/devices without \"..\"",
                                  path, JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

/* "0000:3b:00.1" or "mlx5_core.sf.2": one name in a directory of /sys. */
int device_id_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0;
        if (s[0] == '.' || strlen(s) > 63 || strchr(s, '/') || strchr(s, ' ') ||
            !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not a device; wanted is a PCI address such as "
                                  "\"0000:3b:00.1\", or the name of an auxiliary device",
                                  path, JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

int selinux_context_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        size_t size = sizeof(((NetLinkConf *) NULL)->selinux_context);
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (strlen(s) >= size || strchr(s, ' ') || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an SELinux context of at most %zu bytes "
                                  "without white space",
                                  path, JSON_SHORT(value), size - 1);
        snprintf(target, size, "%s", s);
        return 0;
}

/* ---- what they mean together ------------------------------------------------------------------ */

static int check_bridge(const NetConf *c, Error *e) {
        if (c->hairpin && c->promisc)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"hairpinMode\": true and \"promiscMode\": true exclude each "
                                  "other: packets would come back twice");
        if (c->link.vlan > 0 && c->link.n_trunks > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"vlan\": %u and \"vlanTrunk\" exclude each other: a port is "
                                  "untagged in one VLAN or carries several tagged ones",
                                  c->link.vlan);
        if (c->link.no_container_interface && c->ipam != NET_IPAM_NONE)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"disableContainerInterface\": true and \"ipam\" exclude each "
                                  "other: the interface stays down and has no addresses");
        return 0;
}

/* Will every ADD say which device? Then a STATUS, and the network itself, need not. */
static bool device_comes_later(json_object *top) {
        return json_object_get_boolean(json_get(json_get(top, "capabilities"), "deviceID"));
}

static int check_device(const NetConf *c, json_object *top, Error *e) {
        const NetDevice *d = &c->device;
        int n = !!d->name[0] + !mac_is_zero(&d->mac) + !!d->kernel_path + !!d->pci_bus_id;

        if (n == 1 || (n == 0 && device_comes_later(top)))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "%s of \"device\", \"hwaddr\", \"kernelpath\" and \"pciBusID\" (or "
                          "runtimeConfig.deviceID) say which interface to move; wanted is one",
                          n == 0 ? "none" : "several");
}

static int check_vxlan(const NetConf *c, json_object *top, Error *e) {
        const NetLinkConf *l = &c->link;

        if (!json_get(top, "vni"))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"vni\" is missing: the kind vxlan needs its identifier, 0 to "
                                  "16777215");
        if (in_addr_is_set(&l->remote) && in_addr_is_set(&l->local) &&
            l->remote.family != l->local.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"remote\": %s and \"local\": %s are of different families",
                                  IN_ADDR_STR(&l->remote), IN_ADDR_STR(&l->local));
        if (in_addr_is_set(&l->local) && in_addr_is_multicast(&l->local))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"local\": %s is a multicast group; wanted is an address of "
                                  "this node",
                                  IN_ADDR_STR(&l->local));
        return 0;
}

void netconf_link_defaults(NetConf *c) {
        if (c->kind == NET_KIND_MACVLAN)
                c->link.mode = MACVLAN_MODE_BRIDGE;
        if (c->kind == NET_KIND_VXLAN)
                c->link.learning = true; /* as the kernel does */
}

int netconf_check_link(const NetConf *c, json_object *top, Error *e) {
        int r = 0;

        if (c->kind == NET_KIND_BRIDGE || c->kind == NET_KIND_VXLAN)
                r = check_bridge(c, e);
        if (r >= 0 && c->kind == NET_KIND_VXLAN)
                r = check_vxlan(c, top, e);
        if (c->kind == NET_KIND_VLAN && !c->link.master[0] && mac_is_zero(&c->link.master_mac))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"master\" is missing: the kind vlan needs the name of the "
                                  "interface that carries the VLAN");
        /* vlanId: the reference plugin takes its absence for VLAN 0 */
        if (c->kind == NET_KIND_VLAN && !netconf_is_drop_in(c) && !json_get(top, "vlanId"))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"vlanId\" is missing: the kind vlan needs it, 0 to %u",
                                  VLAN_ID_MAX);
        if (c->kind == NET_KIND_HOST_DEVICE)
                r = check_device(c, top, e);
        return r;
}
