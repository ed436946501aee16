/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Executing a plugin of others, as libcni does it for a chain: found in CNI_PATH by its name, with the
 * environment that the runtime gave us and CNI_COMMAND. Only our own CNI_PATH counts, never one that the
 * ledger remembers: what runs with our rights is what our runtime has installed.
 */

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/originals.h"
#include "cri/cni/program.h"
#include "cri/cni/task.h"
#include "cri/cni/wait.h"
#include "cri/netconf.h"

extern char **environ;

/* ---- what to run ------------------------------------------------------------------------------ */

/* The path of the program; owned. NULL: there is none. */
static char *find_program(const char *name, const char *path) {
        while (path && *path) {
                size_t n = strcspn(path, ":");
                _cleanup_free_ char *file = n > 0 ? strf("%.*s/%s", (int) n, path, name) : NULL;
                struct stat st;

                if (file && stat(file, &st) >= 0 && S_ISREG(st.st_mode) && access(file, X_OK) >= 0)
                        return TAKE_PTR(file);
                path += n + (path[n] == ':');
        }
        return NULL;
}

/* ---- its environment -------------------------------------------------------------------------- */

typedef struct Variable {
        const char *name, *value; /* NULL: as we have it */
} Variable;

static bool is_replaced(const char *entry, const Variable *list, size_t n) {
        for (size_t i = 0; i < n; i++) {
                size_t size = strlen(list[i].name);

                if (list[i].value && strncmp(entry, list[i].name, size) == 0 && entry[size] == '=')
                        return true;
        }
        return false;
}

static void environment_free(char **list) {
        for (char **p = list; p && *p; p++)
                free(*p);
        free(list);
}
static void environment_freep(char ***list) {
        environment_free(*list);
}

static char **make_environment(const Ticket *t, const char *cni_path) {
        const Variable list[] = {
                { "CNI_COMMAND", t->command }, { "CNI_CONTAINERID", t->container_id },
                { "CNI_IFNAME", t->ifname },   { "CNI_NETNS", t->netns },
                { "CNI_ARGS", t->args },       { "CNI_PATH", cni_path },
        };
        _cleanup_(environment_freep) char **env = NULL;
        size_t n = 0;

        while (environ[n])
                n++;
        env = new0(char *, n + ELEMENTSOF(list) + 1);
        if (!env)
                return NULL;
        n = 0;
        for (char **p = environ; *p; p++)
                if (!is_replaced(*p, list, ELEMENTSOF(list)) && !(env[n++] = strdup(*p)))
                        return NULL;
        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                if (list[i].value && !(env[n++] = strf("%s=%s", list[i].name, list[i].value)))
                        return NULL;
        return TAKE_PTR(env);
}

/* ---- how it ended ----------------------------------------------------------------------------- */

/* For a sentence: other programs' bytes may be anything. */
static void make_printable(char *s, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) s[i] < ' ' || (unsigned char) s[i] >= 0x7f)
                        s[i] = s[i] == '\n' || s[i] == '\t' ? ' ' : '?';
        while (size > 0 && s[size - 1] == ' ')
                s[--size] = '\0';
}

typedef struct Words {
        uint64_t code;
        char *msg; /* owned */
} Words;

/* It said itself what was wrong: passed on as it is. */
static bool pass_error_on(const ProgramEnd *end, int exit, TaskResult *ret) {
        static const JsonField fields[] = {
                { "code", json_read_u64, offsetof(Words, code), JSON_REQUIRED },
                { "msg", json_read_string, offsetof(Words, msg), JSON_REQUIRED },
                {},
        };
        _cleanup_json_ json_object *o = NULL;
        Words words = { 0 };

        bool ok = end->output &&
                  json_parse(end->output, end->output_size, "error", &o, NULL) >= 0 &&
                  json_object_is_type(o, json_type_object) &&
                  json_read_object(o, "", fields, JSON_UNKNOWN_IGNORE, &words, NULL) >= 0 &&
                  words.code > 0 && words.code <= INT32_MAX && !isempty(words.msg);
        free(words.msg);
        if (!ok)
                return false;
        *ret = (TaskResult) { .exit = exit,
                              .code = (unsigned) words.code,
                              .text = json_to_text(o) };
        return true;
}

static void tell_failure(ProgramEnd *end, TaskResult *ret) {
        int exit = WIFSIGNALED(end->status) ? 128 + WTERMSIG(end->status)
                                            : WEXITSTATUS(end->status);
        char *said = end->errors_size > 0 ? end->errors : end->output;
        char how[64];

        if (pass_error_on(end, exit, ret))
                return;
        if (WIFSIGNALED(end->status))
                snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(end->status));
        else
                snprintf(how, sizeof(how), "ended with status %d and no CNI error", exit);
        if (said)
                make_printable(said, strlen(said));
        task_failf(ret, exit, 0, "it %s%s%.2048s", how, isempty(said) ? "" : ": ", strempty(said));
}

static void tell_end(const Ticket *t, const char *path, int r, ProgramEnd *end, TaskResult *ret) {
        if (r == -ETIMEDOUT)
                task_failf(ret, TICKET_EXIT_TIMED_OUT, error_cni_code(ERROR_TRY_AGAIN),
                           "it took longer than %u s and was killed", t->timeout_ms / 1000);
        else if (r == -E2BIG)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, 0,
                           "it wrote more than %u bytes and was killed", DELEGATE_OUTPUT_MAX);
        else if (r < 0)
                task_failf(ret, TICKET_EXIT_NOT_STARTED, 0, "cannot execute %s: %s", path,
                           strerror(-r));
        else if (end->status != 0)
                tell_failure(end, ret);
        else if (end->output_holds_nul)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, 0,
                           "it wrote something that is no text: there is a NUL in it");
        else {
                /* Only ADD has a result. */
                ret->text = streq(t->command, "ADD") && end->output ? TAKE_PTR(end->output)
                                                                    : strdup("");
                ret->exit = 0;
        }
}

/* ---- whether ---------------------------------------------------------------------------------- */

/*
 * netmgrd has fewer rights than we have, and gets no more of them than its tasks need: our own verb for the
 * plugin that our own configuration names, with what the runtime gave us and nothing else; and the DEL of
 * what an ADD has left, for the plugin that the ADD's configuration names: what netmgr took over from others
 * also for the originals of its own names.
 */
static bool is_allowed(const Ticket *t, const Environment *env, const OwnConfig *own) {
        _cleanup_own_config_ OwnConfig theirs = { 0 };

        if (t->originals ? !t->config || !cni_id_is_valid(t->plugin, NETWORK_NAME_MAX)
                         : !delegate_name_is_valid(t->plugin))
                return false;
        if (!t->config)
                return streq_ptr(own->ipam_type, t->plugin) &&
                       streq(t->command, verb_to_string(env->verb)) && !t->container_id &&
                       !t->ifname && !t->netns && !t->args;
        own_config_read("netmgr", t->config, &theirs);
        return streq_ptr(t->originals ? theirs.type : theirs.ipam_type, t->plugin) &&
               streq(t->command, "DEL") &&
               (env->verb == VERB_DEL || env->verb == VERB_GC || env->verb == VERB_ADD);
}

void task_exec(const Ticket *t, const Environment *env, const OwnConfig *own, const char *config,
               TaskResult *ret) {
        _cleanup_(environment_freep) char **environment = NULL;
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };
        _cleanup_free_ char *path = NULL, *originals = NULL;

        if (!is_allowed(t, env, own)) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_ACCESS_DENIED),
                           "netmgrd asks for %.16s of plugin \"%.64s\", which this call's %s does not "
                           "allow",
                           t->command, t->plugin, t->config ? "verb" : "configuration");
                return;
        }
        originals = t->originals ? originals_path(env->path) : NULL;
        const char *where = originals ? originals : env->path;
        path = t->originals && !originals ? NULL : find_program(t->plugin, where);
        if (!path) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, 0,
                           "failed to find plugin \"%s\" in path [%s]%s", t->plugin,
                           strempty(where),
                           t->originals ? "; PluginPath= of netmgr.conf names more directories"
                                        : "");
                return;
        }
        environment = make_environment(t, originals);
        if (!environment) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_NO_MEMORY),
                           "out of memory");
                return;
        }
        const Program program = {
                .path = path,
                .environment = environment,
                .input = t->config ? t->config : config,
                .deadline = deadline_in(0) + t->timeout_ms * 1000ULL,
                .output_max = DELEGATE_OUTPUT_MAX,
                .error_max = DELEGATE_STDERR_MAX,
        };
        failpoint_past("plugin-exec");
        int r = program_run(&program, &end);
        failpoint_past("plugin-executed");
        tell_end(t, path, r, &end, ret);
}
