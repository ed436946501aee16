/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Every limit of netmgr on what others can send or make it hold, each with its reason. All input
 * is hostile: nothing below may be exceeded by a client, a file or a kernel reply, and each limit
 * is reached by a test.
 */

/* stdin of the plugin, Config of a D-Bus call, one file of networks.d. The largest configuration
 * seen in the field (annotations of a pod are part of it) is below 300 kB. */
#define CONFIG_SIZE_MAX (1024U * 1024U)

/* Nesting of JSON. A CNI configuration with prevResult needs 8; json-c recurses on free. */
#define JSON_DEPTH_MAX 32

/* Elements of any one JSON array or object that we walk: bounds quadratic duplicate checks. */
#define JSON_ELEMENTS_MAX 4096U

/* Container IDs of all runtimes are 64 hex digits or a UUID; the id becomes a D-Bus path label. */
#define CONTAINER_ID_MAX 128U

/* Network names become bridge names (hashed), D-Bus path labels and file names: NAME_MAX less
 * ".conflist" would allow 246; nobody reads that. */
#define NETWORK_NAME_MAX 128U

/* A name of Kubernetes: a label of DNS, and a name of several. */
#define DNS_LABEL_MAX     63U
#define DNS_SUBDOMAIN_MAX 253U

/* The kernel's IFNAMSIZ - 1. */
#define IFNAME_LEN_MAX 15U

/* CNI_ARGS and CNI_PATH: the kernel allows 128 KiB for one string of the environment. */
#define CNI_ARGS_MAX 16384U
#define CNI_PATH_MAX 16384U

/* Pairs in CNI_ARGS; runtimes send 5 to 7. */
#define CNI_ARGS_PAIRS_MAX 64U

/* A netns path: PATH_MAX. */
#define NETNS_PATH_MAX 4096U

/* Range sets of one network (= addresses of one interface), ranges of one set, prefixes of one list
 * (exclude, ipMasqExclude). */
#define RANGE_SETS_MAX     16U
#define RANGES_PER_SET_MAX 64U
#define EXCLUDES_MAX       256U

/* Addresses of one network with ipam of type static: all of one interface. */
#define STATIC_ADDRESSES_MAX 32U

/* Who has an address again: "claim/" and a namespaced name of Kubernetes (63 + 1 + 253) are the longest. */
#define ADDRESS_OWNER_MAX 324U

/* For how long an address may be sticky, or rest: a year. What is to stay for good is a claim. */
#define STICKY_SEC_MAX     (366U * 24 * 3600)
#define QUARANTINE_SEC_MAX STICKY_SEC_MAX

/* Routes of one network. */
#define ROUTES_MAX 128U

/* Routes of one interface: its network's, and as many that somebody asked for beside them. */
#define SPEC_ROUTES_MAX (2 * ROUTES_MAX + 2)

/* Addresses in the prevResult of somebody else's plugin. */
#define FOREIGN_ADDRESSES_MAX 256U

/* Routes of one interface that chained plugins move: those of the network, of each of its addresses. */
#define ADJUST_ROUTES_MAX 1024U

/* Name servers, search domains, resolver options: resolv.conf itself stops at 3, 6+256 bytes. */
#define DNS_ENTRIES_MAX 32U

/* Host ports of one attachment; a range of ports arrives as one mapping per port. */
#define PORTS_PER_ATTACHMENT_MAX 4096U

/* Words in conditionsV4 or conditionsV6: each condition becomes an expression of one rule. */
#define CONDITION_WORDS_MAX 32U

/* Networks that one network allows. */
#define ALLOW_MAX 256U

/* sysctls of one network. nsd's packet has room for such a name with the longest interface name in
 * the place of IFNAME; the kernel's own values are numbers and short lists. */
#define SYSCTLS_MAX      64U
#define SYSCTL_NAME_MAX  95U
#define SYSCTL_VALUE_MAX 256U
/* Bytes of the administrator's list of allowed sysctls: a thousand lines. */
#define SYSCTL_ALLOWLIST_MAX 65536U

/* Interfaces, addresses and routes in a result that comes from outside: a chain adds a few of each. */
#define RESULT_ELEMENTS_MAX 256U

/* Networks known at once (files, D-Bus and inline ones together). */
#define NETWORKS_MAX 1024U

/* Attachments at once on the node: Kubernetes nodes reach 500; 4,000 is the design goal. */
#define ATTACHMENTS_MAX 65536U

/* Interfaces of one sandbox. */
#define ATTACHMENTS_PER_SANDBOX_MAX 64U

/* Operations under way at once, when netmgr.conf says nothing; beyond it "try again later". */
#define QUEUE_MAX_DEFAULT 1024U

/* ADDs that have begun, of those under way: each holds a socket in its sandbox and all that was decided
 * for it. More would only wait for each other's turn with the kernel. */
#define ADDS_BEGUN_MAX 64U

/* Worker threads; RTNL serialises the kernel's part, more only adds contention (measured). */
#define WORKERS_DEFAULT 4U
#define WORKERS_MAX     16U

/* Reapers: each waits 30 to 60 ms in the kernel for one batch of links, outside RTNL, so that they
 * do not hinder each other; a DEL that finds none free waits for the first to come back. */
#define REAPERS 8U
/* Links deleted in one message. */
#define REAP_BATCH_MAX 64U

/* Seconds that a released address rests before it is given out again. */
#define COOLDOWN_SEC_DEFAULT 30U

/* Seconds after which an ADD gives up and undoes itself. */
#define ADD_TIMEOUT_SEC_DEFAULT 30U

/* Directories of netns paths that are watched; runtimes have one each (/run/netns,
 * /run/user/UID/netns). What lies elsewhere is found by the sweep. */
#define NETNS_DIRS_MAX 64U

/* Seconds between two looks at sandboxes whose death no interface tells: the price is one open() each. */
#define NETNS_SWEEP_SEC 30U

/* Milliseconds between finding a sandbox dead and releasing it: the runtime's own DEL often comes
 * right behind, and then it is the one that ends it. */
#define NETNS_GRACE_MS 500U

/* Connections on the private socket at once: one per plugin process under way. */
#define RUNTIME_CONNECTIONS_MAX 2048U

/* Descriptors that netmgrd would like to be allowed: a connection, two namespaces in a message, one of
 * them held on, and one socket in a sandbox for each of the connections. */
#define FILES_WANTED 16384U
/* Descriptors kept free of requests, for what workers open on their behalf; those of messages that
 * are on their way in count among them. */
#define FILES_RESERVE 24U

/* Sandboxes in one list of Synchronize; no node has more of them than attachments. */
#define SYNCHRONIZE_SANDBOXES_MAX ATTACHMENTS_MAX

/* The name by which a runtime claims its sandboxes; the path of its socket fits. */
#define RUNTIME_NAME_MAX 128U

/* Lists of runtimes worked on at once: one per runtime, and few of those. */
#define SYNCHRONIZE_MAX 16U

/* An ADD that finds its range nearly full asks the runtimes what is still there, and waits for their
 * answer so long, in ms; asked at most so often, in ms. */
#define SYNC_ROUND_WAIT_MS     2000U
#define SYNC_ROUND_INTERVAL_MS 10000U

/* One answer of a runtime over gRPC: containerd's own limit. What its reading may take; an answer of
 * 65,536 sandboxes with 200 bytes of labels each needs half of it. */
#define CRI_MESSAGE_MAX (16U * 1024 * 1024)
#define CRI_MEMORY_MAX  (64U * 1024 * 1024)

/* What a runtime may send before we have taken it, and how long it may take, in ms. */
#define GRPC_WINDOW     (1024U * 1024)
#define GRPC_TIMEOUT_MS 10000U

/* Runtimes that one netmgr-cri asks. */
#define CRI_ENDPOINTS_MAX 8U

/* Files read from networks.d and netmgr.conf.d. */
#define CONFIG_FILES_MAX 1024U

/* One line of netmgr.conf (libinih's own limit is lower by default). */
#define CONF_LINE_MAX 4096U

/* The spool of DELs: a full node's worth (4,000 sandboxes, two interfaces each), most entries below
 * 4 KiB. One entry is one JSON text, so no larger than what we parse; whoever sends a larger one gets
 * code 11. What cannot be read is kept for a person to look at, the first so many. */
#define SPOOL_ENTRIES_MAX    8192U
#define SPOOL_BYTES_MAX      (64U * 1024U * 1024U)
#define SPOOL_ENTRY_SIZE_MAX CONFIG_SIZE_MAX
#define SPOOL_BAD_MAX        64U

/* Spooled requests that netmgrd works on at once. */
#define SPOOL_BATCH_MAX 256U
/* Seconds that a start waits for the spool's releases before it serves; what is left goes on then. And
 * after which it tries again what failed. */
#define SPOOL_START_SEC 30U
#define SPOOL_RETRY_SEC 30U

/* Seconds that the plugin's ADD waits for netmgrd to appear (NETMGR_WAIT_SEC), and that it waits for an
 * answer (NETMGR_ANSWER_SEC): an ADD until it must have undone itself; a DEL less, since the runtime's
 * patience (two minutes in Kubernetes) has to be enough for spooling it. */
#define PLUGIN_WAIT_SEC          10U
#define PLUGIN_ANSWER_SEC        90U
#define PLUGIN_DEL_ANSWER_SEC    30U
#define PLUGIN_STATUS_ANSWER_SEC 15U

/* Plugins of others, run for a request. Seconds that one may take: of an ADD no more than AddTimeoutSec= leaves;
 * a DEL less, since the runtime's patience has to be enough for what comes behind it. */
#define DELEGATE_TIMEOUT_SEC     20U
#define DELEGATE_DEL_TIMEOUT_SEC 15U
/* Bytes of its stdout that are read: no result is larger; and of its stderr, which is for people. */
#define DELEGATE_OUTPUT_MAX (1024U * 1024U)
#define DELEGATE_STDERR_MAX 4096U
/* Seconds that a ticket is good for beyond the time of its task, and tickets of one request: an ADD of
 * SELECTIONS_MAX networks with LIST_PLUGINS_MAX plugins each, and its undoing. A GC may find many ends that no
 * runtime was there for, and its caller's patience is short: the next one goes on. */
#define TICKET_GRACE_SEC        5U
#define TICKETS_PER_REQUEST_MAX 1024U
/* Plugins of others that callers run at the same time; one of them can take 50 MB and more. */
#define PARALLEL_MAX_DEFAULT 16U
#define TICKETS_PER_GC_MAX   64U

/* Addresses in host-local's directory of one network, and bytes of one of its files (a container ID, an
 * interface name). A /20 full of pods; what is larger is a leak that a person has to look at. */
#define HOST_LOCAL_ENTRIES_MAX 4096U
#define HOST_LOCAL_FILE_MAX    512U

/* ipam.resolvConf; the C library reads three servers and six domains of it. */
#define RESOLV_CONF_MAX 65536U

/* Rows of the event table kept (about 40 MB); the oldest go first, few at a time. */
#define EVENTS_MAX 100000U
/* Bytes of one event's reason and of its list of ports: what is longer is cut, with a word about it. */
#define EVENT_REASON_MAX 1024U
#define EVENT_PORTS_MAX  4096U

/* Entries and bytes of one answer about the past, and how many such questions may wait: each takes
 * the committer and the event loop a few milliseconds, and everybody may ask. */
#define HISTORY_MAX         4096U
#define HISTORY_DEFAULT     1000U
#define HISTORY_BYTES_MAX   (4U * 1024U * 1024U)
#define HISTORY_WAITING_MAX 32U
/* Port changes told of one attachment; the newest. */
#define HISTORY_CHANGES_MAX 64U

/* Milliseconds that a worker waits for netmgr-nsd or for a netlink acknowledgement. */
#define NSD_TIMEOUT_MS     5000U
#define NETLINK_TIMEOUT_MS 10000U

/* Bytes of one netlink reply datagram; the kernel's dumps use at most 32 KiB. */
#define NETLINK_BUFFER_SIZE 65536U

/* One exchange with DHCP servers, in ms: an ADD's whole time at most. How many netmgr-dhcp has under way:
 * those of all ADDs that have begun, and renewals beside them, which are made this many at a time. */
#define DHCP_EXCHANGE_MAX_MS 600000U
#define DHCP_EXCHANGES_MAX   256U
#define DHCP_RENEWALS_MAX    64U

/* How long a DEL waits until a lease has been given back to its server, in ms: one packet, no answer. */
#define DHCP_GIVE_BACK_MS 500U

/* Networks that one pod may ask for, and bytes of one of its annotations (the API server takes 256 KiB for all). */
#define SELECTIONS_MAX     32U
#define SELECTION_SIZE_MAX (256U * 1024U)
/* Gateways of the default routes that one network of a pod gives: one metric each. */
#define GATEWAYS_MAX 16U
/* Plugins of one configuration list. */
#define LIST_PLUGINS_MAX 16U
/* Networks that a group chooses from. */
#define ANY_OF_MAX 32U
/* Milliseconds between two looks at the counters of all links, and seconds for which one that is asked for goes on
 * being of use. */
#define TRAFFIC_SAMPLE_MS  5000U
#define TRAFFIC_WANTED_SEC 600U

/* Files of network-status that are written in one turn of the event loop (20 microseconds each), and seconds
 * after which those that could not be written are tried again. */
#define STATUS_FILES_BATCH 64U
#define STATUS_RETRY_SEC   5U

/* Tasks that netmgr-exec has at a time: each is a program of others with its memory. */
#define EXEC_CALLS_MAX 8U
/* Those that wait for it: releases after a reboot. What finds no place is tried again later. */
#define EXEC_WAITING_MAX 1024U
/* Seconds after which it is asked again for what it could not do; doubling from the first to the last. */
#define EXEC_RETRY_FIRST_SEC 30U
#define EXEC_RETRY_LAST_SEC  600U
/* Seconds that a ticket may take to arrive, and its answer to be taken: both are one write of netmgrd. And
 * what a ticket's own time is at most, in ms. */
#define EXEC_PEER_SEC       10U
#define EXEC_TIMEOUT_MAX_MS 600000U

/* Options that a network provides to DHCP servers or asks them for. */
#define DHCP_CONF_OPTIONS_MAX 64U

/* What an import reads of others' state. One file of a sandbox: a result cache entry holds a configuration in
 * base64 and a result. One dump of address pools: every allocation of a cluster may be in it. */
#define IMPORT_FILE_MAX (256U * 1024U)
#define IMPORT_SIZE_MAX (16U * 1024U * 1024U)
/* Files of one directory; addresses of one pool. */
#define IMPORT_FILES_MAX     65536U
#define IMPORT_ADDRESSES_MAX 65536U
