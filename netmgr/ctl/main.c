/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl: options, the table of verbs, and the one place that prints errors. */

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/version.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

typedef struct Verb {
        const char *name, *sub; /* "network add": two words */
        const char *synopsis;
        int n_args; /* exactly so many follow */
        int (*check)(Ctl *ctl, char **args, sd_bus_error *e);
        int (*run)(Ctl *ctl, char **args, sd_bus_error *e);
        const char *help;
} Verb;

static const Verb verbs[] = {
        { "status", NULL, "", 0, NULL, verb_status, "Version, health and numbers of the daemon" },
        { "list", NULL, "sandboxes|attachments|networks|addresses", 1, verb_list_check, verb_list,
          "Table of all objects of a kind" },
        { "show", NULL, "OBJECT", 1, verb_show_check, verb_show,
          "One sandbox (ID), attachment (ID/INTERFACE) or network (NAME)" },
        { "monitor", NULL, "", 0, NULL, verb_monitor, "Print changes until interrupted" },
        { "reload", NULL, "", 0, NULL, verb_reload, "Read netmgr.conf and networks.d again" },
        { "network", "add", "FILE", 1, NULL, verb_network_add,
          "Add the network of a conflist (\"-\": stdin)" },
        { "network", "remove", "NAME", 1, verb_network_remove_check, verb_network_remove,
          "Remove a network that was added so" },
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
                "\n  --json=short|pretty|off   JSON instead of tables\n"
                "  --no-legend               no headings; tab-separated when stdout is no terminal\n"
                "  --bus-address=ADDRESS     D-Bus address (default: the system bus)\n"
                "  --version, --help\n\n"
                "Exit status: 0 ok, 1 failure, 2 usage, 3 not found, 4 not authorised, 5 daemon unreachable.\n");
}

static int usage_error(const char *problem, const char *word) {
        fprintf(stderr, "netmgrctl: %s \"%s\"; see netmgrctl --help\n", problem, word);
        return EXIT_STATUS_USAGE;
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

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "json", required_argument, NULL, 'j' },
                { "no-legend", no_argument, NULL, 'l' },
                { "bus-address", required_argument, NULL, 'b' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        Ctl ctl = {
                .output = { .mode = OUTPUT_TEXT, .legend = true, .terminal = isatty(STDOUT_FILENO) }
        };
        const char *address = NULL, *terminal = getenv("TERM");
        int c, used;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'j': {
                        int mode = (int) output_mode_from_string(optarg);
                        if (mode < 0)
                                return usage_error("--json= is short, pretty or off, not", optarg);
                        ctl.output.mode = (OutputMode) mode;
                        break;
                }
                case 'l':
                        ctl.output.legend = false;
                        break;
                case 'b':
                        address = optarg;
                        break;
                case 'V':
                        version_print("netmgrctl", 0);
                        return EXIT_STATUS_OK;
                case 'h':
                        usage(stdout);
                        return EXIT_STATUS_OK;
                default:
                        return EXIT_STATUS_USAGE;
                }
        ctl.output.color = ctl.output.terminal && !getenv("NO_COLOR") && terminal &&
                           !streq(terminal, "dumb");

        const Verb *v = find_verb(argv + optind, argc - optind, &used);
        if (!v)
                return usage_error("unknown verb", argv[optind]);
        if (argc - optind - used < v->n_args)
                return usage_error("an argument is missing after", v->name);
        if (argc - optind - used > v->n_args)
                return usage_error("unexpected argument", argv[optind + used + v->n_args]);
        return run_verb(&ctl, address, v, argv + optind + used);
}
