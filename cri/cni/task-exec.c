/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Executing a plugin of others, as libcni does it for a chain: found in CNI_PATH by its name, with the
 * environment that the runtime gave us and CNI_COMMAND. Only our own CNI_PATH counts, never one that the
 * ledger remembers: what runs with our rights is what our runtime has installed. Where netmgrd brings the
 * configuration (a plugin of one of its networks, the DEL of what an earlier ADD has left), it is besides what
 * only root can have put there.
 */

#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"
#include "cri/cni/originals.h"
#include "cri/cni/task.h"
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

/* ---- whether ---------------------------------------------------------------------------------- */

/* The plugin that a configuration names: of a list by itself, or for its addresses. */
static bool is_named(const OwnConfig *c, const char *plugin) {
        return streq_ptr(c->type, plugin) || streq_ptr(c->ipam_type, plugin);
}

/* ADD and CHECK of another interface of our own sandbox, which our own verb is for. */
static bool is_for_our_sandbox(const Ticket *t, const Environment *env) {
        return streq(t->command, verb_to_string(env->verb)) &&
               (env->verb == VERB_ADD || env->verb == VERB_CHECK) &&
               streq_ptr(t->container_id, env->container_id) &&
               streq_ptr(t->netns, env->netns_path) && t->ifname && ifname_is_valid(t->ifname);
}

/*
 * netmgrd has fewer rights than we have, and gets no more of them than its tasks need: our own verb for the
 * plugin that our own configuration names, with what the runtime gave us and nothing else; our own verb for
 * our own sandbox and a plugin of a network that netmgrd knows; and the DEL of what an ADD has left, also by the
 * originals of our names. With a configuration of netmgrd's, that has to name the plugin.
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
        if (!is_named(&theirs, t->plugin))
                return false;
        return (is_for_our_sandbox(t, env) && !t->originals) ||
               (streq(t->command, "DEL") &&
                (env->verb == VERB_DEL || env->verb == VERB_GC || env->verb == VERB_ADD));
}

/* What the runtime's own configuration names is run as libcni would run it. */
static int find(const Ticket *t, const char *path, char **ret, TaskResult *ret_failure) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (t->config) {
                int r = program_find_trusted(t->plugin, path, ret, &error);
                if (r < 0)
                        task_failf(ret_failure, TICKET_EXIT_NOT_STARTED,
                                   r == -ENOENT ? 0 : error_cni_code(error.kind), "%s%s",
                                   error_message(&error),
                                   r == -ENOENT && t->originals
                                                   ? "; PluginPath= of netmgr.conf names more"
                                                   : "");
                return r;
        }
        *ret = find_program(t->plugin, path);
        if (*ret)
                return 0;
        task_failf(ret_failure, TICKET_EXIT_NOT_STARTED, 0,
                   "failed to find plugin \"%s\" in path [%s]", t->plugin, strempty(path));
        return -ENOENT;
}

void task_exec(const Ticket *t, const Environment *env, const OwnConfig *own, const char *config,
               TaskResult *ret) {
        _cleanup_(environment_freep) char **environment = NULL;
        _cleanup_free_ char *path = NULL, *originals = NULL;

        if (!is_allowed(t, env, own)) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_ACCESS_DENIED),
                           "netmgrd asks for %.16s of plugin \"%.64s\", which this call's %s does not "
                           "allow",
                           t->command, t->plugin, t->config ? "verb" : "configuration");
                return;
        }
        originals = t->originals ? originals_path(env->path) : NULL;
        if (t->originals && !originals) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_NO_MEMORY),
                           "out of memory");
                return;
        }
        if (find(t, originals ? originals : env->path, &path, ret) < 0)
                return;
        environment = make_environment(t, originals);
        if (!environment) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_NO_MEMORY),
                           "out of memory");
                return;
        }
        plugin_run(t,
                   &(Program) { .path = path,
                                .environment = environment,
                                .input = t->config ? t->config : config },
                   ret);
}
