/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The environment of a CNI call. All variables that are missing are told in one sentence (code 4,
 * as the specification wants it), and a variable that the verb does not have is not looked at.
 *
 * CNI_NETNS belongs to whoever calls the runtime. It is looked at without opening what it leads to
 * (O_PATH): a FIFO must not hang us and a device must not notice. For ADD and CHECK something that
 * is no network namespace is an invalid variable, code 4; for DEL it means that the namespace is
 * gone, which is no error.
 */

#include "cri/cni/environment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"

#define VERB_BIT(verb) (1U << (verb))
#define ATTACH_VERBS   (VERB_BIT(VERB_ADD) | VERB_BIT(VERB_CHECK) | VERB_BIT(VERB_DEL))
#define ALL_VERBS      (ATTACH_VERBS | VERB_BIT(VERB_GC) | VERB_BIT(VERB_STATUS))

static const struct {
        const char *name, *method, *min_version;
} verb_table[_VERB_MAX] = {
        [VERB_ADD] = { "ADD", "Add", "0.1.0" },
        [VERB_DEL] = { "DEL", "Del", "0.1.0" },
        [VERB_CHECK] = { "CHECK", "Check", "0.4.0" },
        [VERB_GC] = { "GC", "CollectGarbage", "1.1.0" },
        [VERB_STATUS] = { "STATUS", "Status", "1.1.0" },
        [VERB_VERSION] = { "VERSION", NULL, "0.1.0" },
};

const char *verb_to_string(Verb verb) {
        return verb_table[verb].name;
}

const char *verb_to_method(Verb verb) {
        return verb_table[verb].method;
}

const char *verb_min_version(Verb verb) {
        return verb_table[verb].min_version;
}

static Verb verb_from_string(const char *s) {
        for (Verb v = 0; v < _VERB_MAX; v++)
                if (streq(verb_table[v].name, s))
                        return v;
        return _VERB_INVALID;
}

/* ---- variables ------------------------------------------------------------------------------- */

static bool container_id_check(const char *s) {
        return cni_id_is_valid(s, CONTAINER_ID_MAX);
}

static bool netns_path_check(const char *s) {
        size_t size = strlen(s);

        return size < NETNS_PATH_MAX && text_is_clean(s, size);
}

static bool args_check(const char *s) {
        size_t size = strlen(s);

        return size <= CNI_ARGS_MAX && text_is_clean(s, size);
}

static bool path_check(const char *s) {
        size_t size = strlen(s);

        return size <= CNI_PATH_MAX && text_is_clean(s, size);
}

static const struct Variable {
        const char *name;
        size_t offset;     /* of the pointer in Environment */
        unsigned verbs;    /* that have the variable */
        unsigned required; /* that cannot do without */
        bool (*check)(const char *s);
        const char *wanted; /* for the sentence */
} variables[] = {
        { "CNI_CONTAINERID", offsetof(Environment, container_id), ATTACH_VERBS, ATTACH_VERBS,
          container_id_check,
          "a letter or digit, then up to 127 letters, digits, '_', '.' or '-'" },
        /* Of DEL it is not checked: a bogus path must not keep the rest from being released. */
        { "CNI_NETNS", offsetof(Environment, netns_path), VERB_BIT(VERB_ADD) | VERB_BIT(VERB_CHECK),
          VERB_BIT(VERB_ADD) | VERB_BIT(VERB_CHECK), netns_path_check,
          "a path of less than 4096 bytes without control characters" },
        { "CNI_IFNAME", offsetof(Environment, ifname), ATTACH_VERBS, ATTACH_VERBS, ifname_is_valid,
          "1 to 15 bytes, not \".\" or \"..\", without '/', ':', '%' and white space" },
        { "CNI_ARGS", offsetof(Environment, args), ATTACH_VERBS, 0, args_check,
          "at most 16384 bytes without control characters" },
        { "CNI_PATH", offsetof(Environment, path), ALL_VERBS, ALL_VERBS, path_check,
          "at most 16384 bytes without control characters" },
};

static int failure_missing(unsigned missing, Failure *f) {
        char names[128] = "";
        FILE *list = fmemopen(names, sizeof(names), "w");

        for (size_t i = 0; list && i < ELEMENTSOF(variables); i++)
                if (missing & (1U << i)) {
                        missing &= ~(1U << i);
                        fprintf(list, "%s%s", variables[i].name, missing ? "," : "");
                }
        if (list)
                fclose(list);
        return failure_setf(f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                            "required env variables [%s] missing", names);
}

int environment_read(Environment *env, Failure *f) {
        const char *command = strempty(getenv("CNI_COMMAND"));
        unsigned missing = 0;

        env->verb = verb_from_string(command);
        if (env->verb < 0)
                return failure_setf(
                                f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                "unknown CNI_COMMAND: %.64s; there are ADD, DEL, CHECK, GC, STATUS "
                                "and VERSION",
                                command);

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const char *value;

                if (!(variables[i].verbs & VERB_BIT(env->verb)))
                        continue;
                value = getenv(variables[i].name);
                if (!isempty(value))
                        *(const char **) ((char *) env + variables[i].offset) = value;
                else if (variables[i].required & VERB_BIT(env->verb))
                        missing |= 1U << i;
        }
        if (missing)
                return failure_missing(missing, f);

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const char *value = *(const char **) ((char *) env + variables[i].offset);

                if (value && !variables[i].check(value))
                        return failure_setf(f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                            "%s: \"%.64s\" is not valid; wanted is %s",
                                            variables[i].name, value, variables[i].wanted);
        }
        return 0;
}

/* ---- namespaces ------------------------------------------------------------------------------ */

int netns_open(const char *path) {
        _cleanup_close_ int pin = -EBADF, fd = -EBADF;
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct statfs fs;
        int r;

        pin = open(path, O_PATH | O_CLOEXEC);
        if (pin < 0)
                return -errno;
        if (fstatfs(pin, &fs) < 0)
                return -errno;
        if (fs.f_type != NSFS_MAGIC)
                return -EINVAL;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", pin);
        fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        r = fd_is_netns(fd, NULL, NULL);
        if (r < 0)
                return -EINVAL;
        return TAKE_FD(fd);
}

static int failure_netns(const char *path, int r, Failure *f) {
        switch (r) {
        case -EINVAL:
                return failure_setf(f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                    "CNI_NETNS: \"%s\" is not a network namespace", path);
        case -EMFILE:
        case -ENFILE:
        case -ENOMEM:
                return failure_setf(f, error_cni_code(ERROR_TRY_AGAIN),
                                    "CNI_NETNS: cannot open \"%s\" now: %s", path, strerror(-r));
        default:
                return failure_setf(f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                    "CNI_NETNS: cannot open \"%s\": %s", path, strerror(-r));
        }
}

int environment_open_netns(Environment *env, Failure *f) {
        int r;

        env->host_netns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        if (env->host_netns_fd < 0)
                return failure_setf(f,
                                    error_cni_code(errno == EMFILE || errno == ENFILE ||
                                                                                   errno == ENOMEM
                                                                   ? ERROR_TRY_AGAIN
                                                                   : ERROR_INTERNAL),
                                    "cannot open /proc/thread-self/ns/net: %s; is /proc mounted?",
                                    strerror(errno));

        /* What can be opened helps netmgrd, which may not open what is below /proc/PID; the path itself says
         * nothing that it does not know. */
        const char *path = env->verb == VERB_DEL ? getenv("CNI_NETNS") : env->netns_path;
        if (!path)
                return 0;
        r = netns_open(path);
        if (r >= 0)
                env->netns_fd = r;
        else if (env->verb != VERB_DEL)
                return failure_netns(path, r, f);
        return 0;
}

void environment_clear(Environment *env) {
        env->netns_fd = safe_close(env->netns_fd);
        env->host_netns_fd = safe_close(env->host_netns_fd);
}
