/* cmd_pack.c - halfspec pack: a folder of images becomes one HDF5 set. The work is done in Python (src/python/halfspec/pack.py): decoding pictures is
 * Pillow's business. This finds a Python that can do it, and becomes it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#ifndef HS_DATADIR
#define HS_DATADIR "/usr/local/share"
#endif

/* ---- where the module is ------------------------------------------------------------------------------------------------------------ */

static bool has_module(const char *dir)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/halfspec/pack.py", dir) < (int)sizeof path && access(path, R_OK) == 0;
}

/* Beside the program, installed (PREFIX/bin) or just built (in build/ or at the top of the tree), so that a tree can be moved; then where it was configured
 * to be installed. "" if Python has to find it by itself, by PYTHONPATH. */
static void find_module(char dir[PATH_MAX])
{
    static const char *const beside[] = {"/../share/halfspec/python", "/src/python", "/../src/python"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
        *slash = '\0';
        if (snprintf(dir, PATH_MAX, "%s%s", self, beside[i]) < PATH_MAX && has_module(dir))
            return;
    }
    snprintf(dir, PATH_MAX, "%s/halfspec/python", HS_DATADIR);
    if (!has_module(dir))
        dir[0] = '\0';
}

static hs_status tell_python(void)
{
    char dir[PATH_MAX], path[2 * PATH_MAX];
    const char *given = getenv("PYTHONPATH");
    find_module(dir);
    if (!dir[0])
        return HS_OK;
    bool more = given && *given; /* what the user says comes first */
    if (snprintf(path, sizeof path, "%s%s%s", more ? given : "", more ? ":" : "", dir) >= (int)sizeof path || setenv("PYTHONPATH", path, 1) != 0)
        return hs_fail(HS_EUSAGE, "PYTHONPATH is too long");
    return HS_OK;
}

/* ---- which Python ------------------------------------------------------------------------------------------------------------------- */

/* Can PYTHON import all that packing needs? In a child; what it prints is not for the user. */
static bool is_able(const char *python)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            dup2(null, STDOUT_FILENO);
            dup2(null, STDERR_FILENO);
        }
        execlp(python, python, "-c", "import h5py, numpy, PIL, halfspec.pack", (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const char *find_python(void)
{
    const char *const list[] = {getenv("PYTHON"), "python3", "/usr/bin/python3"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] && *list[i] && is_able(list[i]))
            return list[i];
    return NULL;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------------- */

enum { OUTPUT, SIZE, CHANNELS, TEST, SEED, COMPRESS, OPTIONS };

static hs_status become(const char *python, const cli_words *words)
{
    const char *argv[4 + 2 * OPTIONS + 3] = {python, "-m", "halfspec.pack"};
    int n = 3;
    for (int i = 0; i < OPTIONS; i++) {
        if (!words->option[i])
            continue;
        argv[n++] = cli_pack.option[i].name;
        if (cli_pack.option[i].value)
            argv[n++] = words->option[i];
    }
    argv[n++] = "--";
    argv[n++] = words->plain[0];
    fflush(NULL);
    execvp(python, (char *const *)(uintptr_t)argv);
    return hs_fail(HS_EIO, "cannot start %s: %s", python, strerror(errno));
}

static hs_status run(const cli *c, const cli_words *words)
{
    (void)c;
    if (words->assigns || words->plains != 1 || !words->option[OUTPUT])
        return cli_usage(&cli_pack, "pack takes one FOLDER and -o FILE");
    HS_TRY(tell_python());
    const char *python = find_python();
    if (!python)
        return hs_fail(HS_EUSAGE, "pack needs a Python 3 that imports h5py, numpy, PIL (Pillow) and our module halfspec; neither $PYTHON, python3 nor "
                                  "/usr/bin/python3 does: try `apt-get install python3-pil python3-h5py python3-numpy`, or PYTHONPATH=.../src/python");
    return become(python, words);
}

const cli_command cli_pack = {
    .name = "pack",
    .arguments = "FOLDER -o FILE.h5 [options]",
    .summary = "make an HDF5 data set of a folder with one directory of images per class",
    .text = "FOLDER/CLASS/IMAGE, or FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE; the result is for data = hdf5:FILE.h5. Needs Python with Pillow and h5py;\n"
            "$PYTHON says which.\n",
    .option = {{"-o", "FILE", "the set to write"},
               {"--size", "HxW", "resize every image"},
               {"--channels", "1|3", "grey or colour; default: grey if all images are"},
               {"--test", "SHARE", "hold this share out as test part"},
               {"--seed", "N", "which images are held out"},
               {"--compress", NULL, "smaller, slower to read"}},
    .run = run,
};
