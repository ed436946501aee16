/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl: options, the table of verbs, and the one place that prints errors. */

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strv.h"
#include "base/version.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

typedef struct Verb {
        const char *name, *sub; /* "network add": two words */
        const char *synopsis;
        int n_args;       /* exactly so many follow */
        unsigned options; /* 1 << VerbOption of those that it takes */
        int (*check)(Ctl *ctl, char **args, sd_bus_error *e);
        int (*run)(Ctl *ctl, char **args, sd_bus_error *e);
        const char *help;
} Verb;

/* Codes of getopt_long() for the options of single verbs begin here, above every character. */
#define VERB_OPTION 256

#define INTERFACE (1U << OPTION_INTERFACE)
#define PORT      (INTERFACE | 1U << OPTION_HOST_IP)
#define BANDWIDTH                                                                                  \
        (INTERFACE | 1U << OPTION_INGRESS | 1U << OPTION_INGRESS_BURST | 1U << OPTION_EGRESS |     \
         1U << OPTION_EGRESS_BURST)

#define STATUS (1U << OPTION_NETWORK_STATUS | 1U << OPTION_MULTI_IP)
#define ATTACH                                                                                     \
        (PORT | 1U << OPTION_IP | 1U << OPTION_MAC | 1U << OPTION_BANDWIDTH | 1U << OPTION_PORT |  \
         1U << OPTION_DEFAULT_ROUTE | 1U << OPTION_CNI_ARGS | 1U << OPTION_IPAM_CLAIM)
/* Those that may be given several times. */
#define REPEATED (1U << OPTION_IP | 1U << OPTION_PORT | 1U << OPTION_DEFAULT_ROUTE)

/* Beside the options: one more argument may follow. */
#define ONE_MORE (1U << _OPTION_MAX)
#define IMPORT   (1U << OPTION_DIR | 1U << OPTION_RESULTS_DIR | 1U << OPTION_DRY_RUN)
#define HISTORY  (ONE_MORE | 1U << OPTION_SINCE | 1U << OPTION_LINES)

static const Verb verbs[] = {
        { "status", NULL, "", 0, 0, NULL, verb_status,
          "Version, health and numbers of the daemon" },
        { "list", NULL, "sandboxes|attachments|networks|addresses", 1, 0, verb_list_check,
          verb_list, "Table of all objects of a kind" },
        { "show", NULL, "OBJECT", 1, STATUS, verb_show_check, verb_show,
          "One sandbox (ID), attachment (ID/INTERFACE) or network (NAME)" },
        { "history", NULL, "[ADDRESS|SANDBOX|NAMESPACE/NAME]", 0, HISTORY, verb_history_check,
          verb_history, "Who had which address when, and what ended it" },
        { "monitor", NULL, "", 0, 0, NULL, verb_monitor, "Print changes until interrupted" },
        { "reload", NULL, "", 0, 0, NULL, verb_reload, "Read netmgr.conf and networks.d again" },
        { "reconcile", NULL, "", 0, 1U << OPTION_DRY_RUN, NULL, verb_reconcile,
          "Set right what differs from the ledger" },
        { "gc", NULL, "", 0, 1U << OPTION_DRY_RUN, NULL, verb_gc,
          "Release what belongs to dead sandboxes" },
        { "release", NULL, "OWNER", 1, 0, NULL, verb_release,
          "Give up the addresses that wait for it (a claim, a pod)" },
        { "import", NULL, "multus|host-local|whereabouts-files", 1, IMPORT, verb_import_check,
          verb_import, "Take over what another one has set up here" },
        { "network", "add", "FILE", 1, 0, NULL, verb_network_add,
          "Add the network of a conflist or manifest (\"-\": stdin)" },
        { "network", "remove", "NAME", 1, 0, verb_network_remove_check, verb_network_remove,
          "Remove a network that was added so" },
        { "attach", NULL, "SANDBOX NETWORK", 2, ATTACH, verb_attach_check, verb_attach,
          "Give a sandbox that runs an interface on one more network" },
        { "detach", NULL, "SANDBOX INTERFACE", 2, 0, verb_detach_check, verb_detach,
          "Take an interface away that it got so, or by annotations" },
        { "port", "list", "", 0, 0, NULL, verb_port_list,
          "Ports of the host that lead to sandboxes" },
        { "port", "add", "SANDBOX PORT[:CPORT][/PROTOCOL]", 2, PORT, verb_port_add_check,
          verb_port_add, "Lead a port of the host to a port of the sandbox" },
        { "port", "remove", "SANDBOX PORT[/PROTOCOL]", 2, PORT, verb_port_remove_check,
          verb_port_remove, "End that, and what runs over it" },
        { "bandwidth", "set", "SANDBOX", 1, BANDWIDTH, verb_bandwidth_set_check, verb_bandwidth_set,
          "Limit what flows to (ingress) and from (egress) it" },
        { 0 },
};

static void usage(FILE *f) {
        fprintf(f, "netmgrctl [OPTION...] VERB\n\n");
        for (const Verb *v = verbs; v->name; v++) {
                char left[80];
                snprintf(left, sizeof(left), "%s%s%s %s", v->name, v->sub ? " " : "",
                         strempty(v->sub), v->synopsis);
                fprintf(f, "  %-48s %s\n", left, v->help);
        }
        fprintf(f,
                "\n  --interface=NAME          which interface of the sandbox, where it has several\n"
                "  --ip=ADDRESS, --mac=MAC, --bandwidth=RATE[:RATE], --port=PORT[:CPORT][/PROTOCOL],\n"
                "  --default-route[=GATEWAY], --cni-args=JSON, --ipam-claim=NAME\n"
                "                            of the new interface; --ip=, --port=, --default-route may be repeated\n"
                "  --network-status, --multi-ip-preferences\n"
                "                            of a sandbox: only this annotation's text\n"
                "  --host-ip=ADDRESS         address of the host that the port is on (default: all)\n"
                "  --ingress=RATE, --egress=RATE, --ingress-burst=BITS, --egress-burst=BITS\n"
                "                            such as 10M or 1.5G bit/s; 0 or none: no limit\n"
                "  --since=TIME, -n LINES    such as \"2026-11-21 10:00\", yesterday, -2h; only the last lines\n"
                "  --dir=DIR, --results-dir=DIR\n"
                "                            where import reads, instead of the usual directories\n"
                "  --dry-run                 only say what would be done\n"
                "  --json=short|pretty|off   JSON instead of tables\n"
                "  --no-legend               no headings; tab-separated when stdout is no terminal\n"
                "  --bus-address=ADDRESS     D-Bus address (default: the system bus)\n"
                "  --version, --help\n\n"
                "Exit status: 0 ok, 1 failure, 2 usage, 3 not found, 4 not authorised, 5 daemon unreachable.\n");
}

static int usage_error(const char *problem, const char *word) {
        fprintf(stderr, "netmgrctl: %s \"%s\"; see netmgrctl --help\n", problem, word);
        return EXIT_STATUS_USAGE;
}

static const struct option options[] = {
        { "interface", required_argument, NULL, VERB_OPTION + OPTION_INTERFACE },
        { "host-ip", required_argument, NULL, VERB_OPTION + OPTION_HOST_IP },
        { "ingress", required_argument, NULL, VERB_OPTION + OPTION_INGRESS },
        { "ingress-burst", required_argument, NULL, VERB_OPTION + OPTION_INGRESS_BURST },
        { "egress", required_argument, NULL, VERB_OPTION + OPTION_EGRESS },
        { "egress-burst", required_argument, NULL, VERB_OPTION + OPTION_EGRESS_BURST },
        { "since", required_argument, NULL, VERB_OPTION + OPTION_SINCE },
        { "lines", required_argument, NULL, VERB_OPTION + OPTION_LINES },
        { "dir", required_argument, NULL, VERB_OPTION + OPTION_DIR },
        { "results-dir", required_argument, NULL, VERB_OPTION + OPTION_RESULTS_DIR },
        { "dry-run", no_argument, NULL, VERB_OPTION + OPTION_DRY_RUN },
        { "ip", required_argument, NULL, VERB_OPTION + OPTION_IP },
        { "mac", required_argument, NULL, VERB_OPTION + OPTION_MAC },
        { "bandwidth", required_argument, NULL, VERB_OPTION + OPTION_BANDWIDTH },
        { "port", required_argument, NULL, VERB_OPTION + OPTION_PORT },
        { "default-route", optional_argument, NULL, VERB_OPTION + OPTION_DEFAULT_ROUTE },
        { "cni-args", required_argument, NULL, VERB_OPTION + OPTION_CNI_ARGS },
        { "ipam-claim", required_argument, NULL, VERB_OPTION + OPTION_IPAM_CLAIM },
        { "network-status", no_argument, NULL, VERB_OPTION + OPTION_NETWORK_STATUS },
        { "multi-ip-preferences", no_argument, NULL, VERB_OPTION + OPTION_MULTI_IP },
        { "json", required_argument, NULL, 'j' },
        { "no-legend", no_argument, NULL, 'l' },
        { "bus-address", required_argument, NULL, 'b' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
};

static const char *option_name(VerbOption option) {
        const struct option *o = options;

        while (o->name && o->val != VERB_OPTION + (int) option)
                o++;
        return strempty(o->name);
}

/* The first option that was given and that the verb does not take; _OPTION_MAX: none. */
static VerbOption stray_option(const Ctl *ctl, const Verb *v) {
        VerbOption option = 0;

        while (option < _OPTION_MAX && (!ctl->options[option] || v->options & 1U << option))
                option++;
        return option;
}

/* The verb of the words, and where its arguments begin. */
static const Verb *find_verb(char **words, int n, int *ret_used) {
        static const Verb *const status = &verbs[0];

        if (n == 0) {
                *ret_used = 0;
                return status;
        }
        for (const Verb *v = verbs; v->name; v++) {
                if (!streq(v->name, words[0]) || (v->sub && (n < 2 || !streq(v->sub, words[1]))))
                        continue;
                *ret_used = v->sub ? 2 : 1;
                return v;
        }
        return NULL;
}

static void print_error(const Ctl *ctl, const sd_bus_error *e) {
        const char *message = e->message ? e->message : "unknown failure";

        if (ctl->output.mode == OUTPUT_TEXT) {
                _cleanup_free_ char *clean = text_escape(message, strlen(message));
                fprintf(stderr, "netmgrctl: %s\n", strempty(clean));
                return;
        }
        _cleanup_json_ json_object *o = json_object_new_object(), *inner = json_object_new_object();
        if (!o || !inner || json_add_string(inner, "name", strempty(e->name)) < 0 ||
            json_add_string(inner, "message", message) < 0 ||
            json_add(o, "error", TAKE_PTR(inner)) < 0)
                return;
        (void) output_json(&ctl->output, stderr, o);
}

static int run_verb(Ctl *ctl, const char *address, const Verb *v, char **args) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int status = EXIT_STATUS_OK;

        if (v->check && v->check(ctl, args, &error) < 0)
                status = EXIT_STATUS_USAGE;
        else if (client_connect(address, &ctl->bus, &error) < 0 || v->run(ctl, args, &error) < 0)
                status = (int) client_exit_status(&error);
        if (status != EXIT_STATUS_OK)
                print_error(ctl, &error);
        sd_bus_flush_close_unref(ctl->bus);
        if (fflush(stdout) != 0 && status == EXIT_STATUS_OK) {
                fprintf(stderr, "netmgrctl: writing: %s\n", strerror(errno));
                return EXIT_STATUS_FAILURE;
        }
        return status;
}

/* Fills ctl and *ret_address. 0: go on with the verb; 1: done, the status is in *ret_status. */
static int parse_options(int argc, char **argv, Ctl *ctl, const char **ret_address,
                         int *ret_status) {
        int c;

        *ret_status = EXIT_STATUS_USAGE;
        while ((c = getopt_long(argc, argv, "hn:", options, NULL)) >= 0)
                switch (c) {
                case 'n':
                        ctl->options[OPTION_LINES] = optarg;
                        break;
                case 'j': {
                        int mode = (int) output_mode_from_string(optarg);
                        if (mode < 0) {
                                (void) usage_error("--json= is short, pretty or off, not", optarg);
                                return 1;
                        }
                        ctl->output.mode = (OutputMode) mode;
                        break;
                }
                case 'l':
                        ctl->output.legend = false;
                        break;
                case 'b':
                        *ret_address = optarg;
                        break;
                case 'V':
                        version_print("netmgrctl", 0);
                        *ret_status = EXIT_STATUS_OK;
                        return 1;
                case 'h':
                        usage(stdout);
                        *ret_status = EXIT_STATUS_OK;
                        return 1;
                default:
                        if (c < VERB_OPTION)
                                return 1;
                        ctl->options[c - VERB_OPTION] = strempty(optarg);
                        if (REPEATED & 1U << (c - VERB_OPTION) &&
                            strv_append(&ctl->lists[c - VERB_OPTION], strempty(optarg)) < 0)
                                return 1;
                }
        return 0;
}

static int run(int argc, char **argv, Ctl *ctl) {
        const char *address = NULL, *terminal = getenv("TERM");
        int used, status;

        if (parse_options(argc, argv, ctl, &address, &status) > 0)
                return status;
        ctl->output.color = ctl->output.terminal && !getenv("NO_COLOR") && terminal &&
                            !streq(terminal, "dumb");

        const Verb *v = find_verb(argv + optind, argc - optind, &used);
        if (!v)
                return usage_error("unknown verb", argv[optind]);
        if (argc - optind - used < v->n_args)
                return usage_error("an argument is missing after", v->name);
        int most = used + v->n_args + (v->options & ONE_MORE ? 1 : 0);
        if (argc - optind > most)
                return usage_error("unexpected argument", argv[optind + most]);
        VerbOption stray = stray_option(ctl, v);
        if (stray < _OPTION_MAX)
                return usage_error("this verb does not take the option", option_name(stray));
        return run_verb(ctl, address, v, argv + optind + used);
}

int main(int argc, char **argv) {
        Ctl ctl = {
                .output = { .mode = OUTPUT_TEXT, .legend = true, .terminal = isatty(STDOUT_FILENO) }
        };
        int status = run(argc, argv, &ctl);

        for (VerbOption o = 0; o < _OPTION_MAX; o++)
                strv_free(ctl.lists[o]);
        return status;
}
