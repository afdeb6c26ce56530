/* cmd_version.c - halfspec version: this program, its compiler, its backends, and each library as built and as running. */
#include "config.h"

#include "cli.h"
#include "versions.h"

static void print_libraries(FILE *to)
{
    int count;
    const library_version *l = library_versions(&count);
    fprintf(to, "\n%-10s %-18s %s\n", "library", "built against", "running with");
    for (int i = 0; i < count; i++) {
        char built[128] = "", running[256] = "";
        if (!l[i].get) {
            fprintf(to, "%-10s not built (%s)\n", l[i].name, l[i].without);
            continue;
        }
        l[i].get(built, sizeof built, running, sizeof running);
        fprintf(to, "%-10s %-18s %s\n", l[i].name, built, running);
    }
}

static hs_status run(const cli *c, const cli_words *words)
{
    (void)c;
    if (words->plains || words->assigns)
        return cli_usage(&cli_version, "version takes no words");
    printf("halfspec %s\n", hs_version());
    printf("%-10s %s\n", "commit", hs_commit());
#ifdef __VERSION__
    printf("%-10s %s, C%ld\n", "compiler", __VERSION__, (long)__STDC_VERSION__);
#endif
    printf("%-10s", "backends");
    for (const hs_backend *const *b = hs_backends(); *b; b++)
        printf(" %s", (*b)->name);
    puts("");
    print_libraries(stdout);
    return HS_OK;
}

const cli_command cli_version = {
    .name = "version",
    .arguments = "",
    .summary = "version, commit, compiler, and the libraries built against and running with (also --version)",
    .text = "",
    .run = run,
};
