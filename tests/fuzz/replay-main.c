/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz harness over files, or over every file of a directory: the corpus as an ordinary test. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/parse.h"

#define FILE_MAX (8U * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = file_read_full(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return -1;
        }
        (void) LLVMFuzzerTestOneInput((const uint8_t *) text, size);
        return 1;
}

static int replay(const char *path) {
        struct dirent **list;
        struct stat st;
        int done = 0;

        if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
                return replay_file(path);
        int n = scandir(path, &list, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = strf("%s/%s", path, list[i]->d_name);
                if (list[i]->d_name[0] != '.' && done >= 0)
                        done = file && replay_file(file) > 0 ? done + 1 : -1;
                free(list[i]);
        }
        if (n >= 0)
                free(list);
        return done;
}

int main(int argc, char **argv) {
        int total = 0;

        for (int i = 1; i < argc; i++) {
                int n = replay(argv[i]);
                if (n < 0)
                        return 1;
                total += n;
        }
        printf("%d inputs\n", total);
        return total > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
