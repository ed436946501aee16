/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The verbs of netmgrctl, one file each. main.c holds the table that names them.
 *
 * A verb has two functions: `check` looks at the arguments before anything is connected and fills a
 * sentence when they make no sense (exit status 2); `run` does the work. Both return 0 or a
 * negative errno with *e filled; only main() prints errors.
 */

#include <systemd/sd-bus.h>

#include "ctl/table.h"

/* Options that only some verbs take; main.c refuses them elsewhere. */
typedef enum VerbOption {
        OPTION_INTERFACE,
        OPTION_HOST_IP,
        OPTION_INGRESS,
        OPTION_INGRESS_BURST,
        OPTION_EGRESS,
        OPTION_EGRESS_BURST,
        OPTION_SINCE,
        OPTION_LINES,
        OPTION_DIR,
        OPTION_RESULTS_DIR,
        OPTION_DRY_RUN, /* a flag: its value is "" */
        OPTION_IP,
        OPTION_MAC,
        OPTION_BANDWIDTH,
        OPTION_PORT,
        OPTION_DEFAULT_ROUTE, /* "": without a gateway */
        OPTION_CNI_ARGS,
        OPTION_IPAM_CLAIM,
        OPTION_NETWORK_STATUS, /* flags */
        OPTION_MULTI_IP,
        _OPTION_MAX,
} VerbOption;

typedef struct Ctl {
        sd_bus *bus; /* owned; NULL while arguments are checked */
        Output output;
        const char *options[_OPTION_MAX]; /* borrowed of argv, the last one; NULL: not given */
        char **lists[_OPTION_MAX]; /* all values of those that may be repeated, in order; owned */
} Ctl;

int verb_status(Ctl *ctl, char **args, sd_bus_error *e);

int verb_list_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_list(Ctl *ctl, char **args, sd_bus_error *e);

/* The table of `list attachments`, also for those of an object. Marks in the rows what has drifted. */
int attachments_table(const Output *output, json_object *rows);

int verb_show_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_show(Ctl *ctl, char **args, sd_bus_error *e);

int verb_history_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_history(Ctl *ctl, char **args, sd_bus_error *e);

int verb_monitor(Ctl *ctl, char **args, sd_bus_error *e);

int verb_reconcile(Ctl *ctl, char **args, sd_bus_error *e);
int verb_release(Ctl *ctl, char **args, sd_bus_error *e);
int verb_gc(Ctl *ctl, char **args, sd_bus_error *e);

int verb_import_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_import(Ctl *ctl, char **args, sd_bus_error *e);

int verb_reload(Ctl *ctl, char **args, sd_bus_error *e);

int verb_network_add(Ctl *ctl, char **args, sd_bus_error *e);
int verb_network_remove_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_network_remove(Ctl *ctl, char **args, sd_bus_error *e);

int verb_port_list(Ctl *ctl, char **args, sd_bus_error *e);
int verb_port_add_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_port_add(Ctl *ctl, char **args, sd_bus_error *e);
int verb_port_remove_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_port_remove(Ctl *ctl, char **args, sd_bus_error *e);

int verb_bandwidth_set_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_bandwidth_set(Ctl *ctl, char **args, sd_bus_error *e);

int verb_attach_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_attach(Ctl *ctl, char **args, sd_bus_error *e);
int verb_detach_check(Ctl *ctl, char **args, sd_bus_error *e);
int verb_detach(Ctl *ctl, char **args, sd_bus_error *e);

/* Whether --interface= can be the name of one; for the check of verbs that take it. */
int verb_check_interface(const Ctl *ctl, sd_bus_error *e);
