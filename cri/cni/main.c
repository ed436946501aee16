/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgr, the CNI plugin, under the name of whatever plugin it is executed as: one verb of the CNI
 * specification becomes one method call to netmgrd. A runtime executes it once or more for every sandbox,
 * so it does nothing that netmgrd can do: it checks what must be answerable with netmgrd down
 * (environment, stdin, name and version, in the order of the reference implementation), opens the
 * namespaces, calls, does what netmgrd asks for and may not do itself (task.h), prints.
 *
 * stdout carries exactly one JSON text, or nothing for verbs without a result. stderr stays silent:
 * libcni mixes it into its own errors. The process keeps no state; it may be killed at any moment.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/version.h"
#include "cri/cni/call.h"
#include "cri/cni/spool.h"
#include "cri/netconf.h"
#include "cri/result.h"

/* ---- output ---------------------------------------------------------------------------------- */

/* Prints the text and a newline, without memory of its own; the exit status. */
static int print_text(const char *text) {
        int r = fd_write_all(STDOUT_FILENO, text, strlen(text));

        if (r >= 0)
                r = fd_write_all(STDOUT_FILENO, "\n", 1);
        if (r < 0) {
                fprintf(stderr, "netmgr: cannot write to stdout: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

/* version: of the configuration, NULL while it is not known. */
static int print_failure(const char *version, const Failure *f) {
        _cleanup_free_ char *text = NULL;
        char bare[64];

        if (f->msg && cni_error_to_json(version, f->code, f->msg, f->details, &text) >= 0)
                (void) print_text(text);
        else {
                /* No memory for the sentence: that is the sentence, unless the code says more. */
                snprintf(bare, sizeof(bare), "{\"code\":%u,\"msg\":\"out of memory\"}",
                         f->code ? f->code : error_cni_code(ERROR_NO_MEMORY));
                (void) print_text(bare);
        }
        return EXIT_FAILURE;
}

static int print_oom(void) {
        return print_failure(NULL, &(Failure) { .code = error_cni_code(ERROR_NO_MEMORY) });
}

static int print_versions(NetPlugin plugin) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();
        _cleanup_free_ char *text = NULL;
        const char *newest = NULL;

        for (const char *const *v = cni_versions; *v; v++) {
                if (!net_plugin_has_version(plugin, *v))
                        continue;
                newest = *v;
                if (!list || json_append(list, json_object_new_string(*v)) < 0)
                        return print_oom();
        }
        if (!o || json_add_string(o, "cniVersion", newest) < 0 ||
            json_add(o, "supportedVersions", TAKE_PTR(list)) < 0 || !(text = json_to_text(o)))
                return print_oom();
        return print_text(text);
}

/* What a person sees who starts the program by hand. */
static int print_about(FILE *f) {
        fprintf(f,
                "netmgr %s: CNI plugin of netmgrd, executed by container runtimes\n"
                "CNI protocol versions supported: %s\n"
                "Look inside with netmgrctl; a file in /etc/cni/net.d points a runtime here:\n"
                "{\"type\": \"netmgr\", \"network\": NAME}.\n",
                netmgr_version, cni_versions_text);
        return EXIT_SUCCESS;
}

/* ---- configuration --------------------------------------------------------------------------- */

/* The little that has to be known of stdin before netmgrd is asked. */
typedef struct Envelope {
        char *cni_version; /* owned; NULL until known to be supported */
        char *name;        /* owned */
} Envelope;

static void envelope_clear(Envelope *v) {
        free(v->cni_version);
        free(v->name);
}

static const JsonField envelope_fields[] = {
        { "cniVersion", json_read_string, offsetof(Envelope, cni_version), 0 },
        { "name", json_read_string, offsetof(Envelope, name), 0 },
        {},
};

static int config_read(char **ret, size_t *ret_size, Failure *f) {
        int r;

        r = fd_read_full(STDIN_FILENO, CONFIG_SIZE_MAX, ret, ret_size);
        if (r == -E2BIG)
                return failure_setf(f, error_cni_code(ERROR_DECODE),
                                    "the network configuration on stdin is larger than %u bytes",
                                    CONFIG_SIZE_MAX);
        if (r < 0)
                return failure_setf(f, CNI_CODE_IO_FAILURE, "error reading from stdin: %s",
                                    strerror(-r));
        return 0;
}

static int check_name(const Envelope *v, Failure *f) {
        if (isempty(v->name))
                return failure_setf(f, error_cni_code(ERROR_INVALID_ARGUMENT),
                                    "missing network name: the configuration has no \"name\"");
        if (!cni_id_is_valid(v->name, NETWORK_NAME_MAX))
                return failure_setf(
                                f, error_cni_code(ERROR_INVALID_ARGUMENT),
                                "\"name\": \"%.64s\" is not a network name: wanted are a letter or "
                                "digit, then letters, digits, '_', '.' or '-', at most %u in all",
                                v->name, NETWORK_NAME_MAX);
        return 0;
}

/* The newest versions are the end of the list of all. */
static const char *versions_text(NetPlugin plugin) {
        return strempty(strstr(cni_versions_text, net_plugin_min_version(plugin)));
}

static int check_version(const char *version, NetPlugin plugin, Verb verb, Failure *f) {
        if (!net_plugin_has_version(plugin, version)) {
                (void) failure_setf(f, error_cni_code(ERROR_INCOMPATIBLE_VERSION),
                                    "incompatible CNI versions");
                f->details = strf("config is \"%.64s\", plugin supports [%s]", version,
                                  versions_text(plugin));
                return -1;
        }
        if (cni_version_compare(version, verb_min_version(verb)) < 0) {
                (void) failure_setf(f, error_cni_code(ERROR_INCOMPATIBLE_VERSION),
                                    "config version does not allow %s", verb_to_string(verb));
                f->details = strf("config is \"%s\", %s needs %s or newer", version,
                                  verb_to_string(verb), verb_min_version(verb));
                return -1;
        }
        return 0;
}

static int config_check(const char *config, size_t size, NetPlugin plugin, Verb verb, Envelope *v,
                        Failure *f) {
        _cleanup_json_ json_object *top = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        if (json_parse(config, size, "network configuration on stdin", &top, &e) < 0)
                return failure_set_error(f, &e);
        if (!json_object_is_type(top, json_type_object))
                return failure_setf(f, error_cni_code(ERROR_DECODE),
                                    "the network configuration on stdin is not a JSON object: %s",
                                    JSON_SHORT(top));
        if (json_read_object(top, "", envelope_fields, JSON_UNKNOWN_IGNORE, v, &e) < 0)
                return failure_set_error(f, &e);
        if (check_name(v, f) < 0)
                return -1;
        if (isempty(v->cni_version)) {
                free(v->cni_version);
                v->cni_version = strdup(CNI_VERSION_DEFAULT);
                if (!v->cni_version)
                        return failure_setf(f, error_cni_code(ERROR_NO_MEMORY), "out of memory");
        }
        return check_version(v->cni_version, plugin, verb, f);
}

/* ---- main ------------------------------------------------------------------------------------ */

/*
 * Descriptors 0 to 2 must be taken before we open anything: with stdout closed by the caller, the
 * socket to netmgrd would become stdout. The stand-in is open for nothing, so that reading or
 * writing it fails and is reported.
 */
static int take_standard_fds(void) {
        int fd;

        do {
                fd = open("/dev/null", O_PATH | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
        } while (fd <= STDERR_FILENO);
        safe_close(fd);
        return 0;
}

/* The name under which a runtime executes us is the plugin that we are; by any other (a copy under
 * another name, a link of somebody's own) we are netmgr. */
static NetPlugin plugin_of(const char *argv0) {
        const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
        NetPlugin plugin = net_plugin_from_string(slash ? slash + 1 : argv0);

        return plugin < 0 ? NET_PLUGIN_NETMGR : plugin;
}

static int run_verb(NetPlugin plugin) {
        const char *program = net_plugin_to_string(plugin);
        _cleanup_(environment_clear) Environment env = ENVIRONMENT_NULL;
        _cleanup_(envelope_clear) Envelope envelope = { 0 };
        _cleanup_failure_ Failure f = { 0 };
        _cleanup_free_ char *config = NULL, *result = NULL;
        const SpoolTime called = spool_time_now(); /* before anything that can wait */
        const char *version;
        bool unanswered;
        size_t size;

        if (environment_read(&env, &f) < 0)
                return print_failure(NULL, &f);
        if (env.verb == VERB_VERSION)
                return print_versions(plugin);
        if (config_read(&config, &size, &f) < 0)
                return print_failure(NULL, &f);
        if (config_check(config, size, plugin, env.verb, &envelope, &f) < 0) {
                version = cni_version_is_supported(envelope.cni_version) ? envelope.cni_version
                                                                         : NULL;
                return print_failure(version, &f);
        }
        if (environment_open_netns(&env, &f) < 0)
                return print_failure(envelope.cni_version, &f);
        if (runtime_call(&env, program, config, &result, &unanswered, &f) < 0 &&
            (!unanswered || env.verb != VERB_DEL ||
             spool_request(&env, program, config, called, &f) < 0))
                return print_failure(envelope.cni_version, &f);
        return isempty(result) ? EXIT_SUCCESS : print_text(result);
}

int main(int argc, char **argv) {
        if (take_standard_fds() < 0) {
                /* A stdout that is closed refuses it, and nothing else has been opened. */
                (void) print_text("{\"code\":11,\"msg\":\"cannot open /dev/null\"}");
                return EXIT_FAILURE;
        }
        /* A runtime that no longer listens is a write error, not a signal. */
        (void) signal(SIGPIPE, SIG_IGN);

        if (argc >= 2 && streq(argv[1], "--version")) {
                version_print("netmgr", argc >= 3 && streq(argv[2], "--json"));
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        if (argc >= 2 && streq(argv[1], "--help"))
                return print_about(stdout);
        if (isempty(getenv("CNI_COMMAND")))
                return print_about(stderr);
        return run_verb(plugin_of(argc > 0 ? argv[0] : NULL));
}
