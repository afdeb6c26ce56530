/* wisdom.c - measured costs, kept from one start to the next: a table of key -> seconds in memory, and a file of text for it.
 *
 *   halfspec wisdom 1
 *   3.214e-03 halfspec 0.1.0; cpu: 2 threads, avx512 kernels, ..; fp32 | C96k3 .. | 32x32x96 > 32x32x96 | fft space>space | n=64 dx=1 train=1
 *
 * The key names everything that the time depends on, so that a file may serve many machines and programs; it is read by eye and cut by hand. The
 * file is replaced whole after what others wrote meanwhile was read in: two runs at once never damage it, and at worst one of them measures something
 * again. Nothing about it is ever fatal: costs are measured again instead. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

static const char head[] = "halfspec wisdom 1\n";
enum { HEAD = sizeof head - 1, LIMIT = 1 << 26, SECONDS_MAX = 1000000 };

typedef struct entry {
    char *key;
    uint64_t hash; /* of key */
    double seconds;
    bool fresh;    /* not in the file as we know it */
} entry;

struct hs_wisdom {
    char *path, *machine; /* path NULL: kept in memory only, or not ours to write */
    const hs_log *log;
    entry *list;
    int count, room, measured;
};

/* ---- the table ------------------------------------------------------------------------------------------------------------------ */

static uint64_t hash_of(const char *key)
{
    return hs_hash64(key, strlen(key), 0);
}

static entry *find(const hs_wisdom *w, const char *key)
{
    const uint64_t hash = hash_of(key);
    for (int i = 0; i < w->count; i++)
        if (w->list[i].hash == hash && strcmp(w->list[i].key, key) == 0)
            return &w->list[i];
    return NULL;
}

static hs_status copy_text(const char *text, char **out)
{
    char *copy = NULL;
    HS_TRY(hs_calloc(strlen(text) + 1, 1, "wisdom", &copy));
    strcpy(copy, text);
    *out = copy;
    return HS_OK;
}

static hs_status widen(hs_wisdom *w)
{
    const int room = w->room ? 2 * w->room : 64;
    entry *wider = NULL;
    HS_TRY(hs_calloc((size_t)room, sizeof *wider, "wisdom", &wider));
    if (w->count)
        memcpy(wider, w->list, (size_t)w->count * sizeof *wider);
    hs_free(w->list);
    w->list = wider;
    w->room = room;
    return HS_OK;
}

/* What is there already stays, unless this is FRESH. */
static hs_status put(hs_wisdom *w, const char *key, double seconds, bool fresh)
{
    entry *e = find(w, key);
    if (e && !fresh)
        return HS_OK;
    if (!e) {
        if (w->count == w->room)
            HS_TRY(widen(w));
        e = &w->list[w->count];
        HS_TRY(copy_text(key, &e->key));
        e->hash = hash_of(key);
        w->count++;
    }
    e->seconds = seconds;
    e->fresh = fresh;
    return HS_OK;
}

static void full_key(const hs_wisdom *w, const char *what, char *key, size_t capacity)
{
    snprintf(key, capacity, "%s | %s", w->machine, what);
}

bool hs_wisdom_knows(const hs_wisdom *w, const char *what, double *seconds)
{
    char key[HS_WISDOM_KEY];
    full_key(w, what, key, sizeof key);
    const entry *e = find(w, key);
    if (e)
        *seconds = e->seconds;
    return e != NULL;
}

hs_status hs_wisdom_learn(hs_wisdom *w, const char *what, double seconds)
{
    char key[HS_WISDOM_KEY];
    full_key(w, what, key, sizeof key);
    w->measured++;
    return put(w, key, ceil(seconds * 1e9) * 1e-9, true); /* whole nanoseconds are short to write */
}

int hs_wisdom_measured(const hs_wisdom *w)
{
    return w->measured;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------- */

/* "3.2e-03 machine | what": a positive number and a key of printable characters. LINE ends with a zero. */
static bool parse(char *line, double *seconds, char **key)
{
    char *space = strchr(line, ' ');
    if (!space || !strstr(space, " | "))
        return false;
    *space = '\0';
    *key = space + 1;
    for (const char *c = *key; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            return false;
    return strlen(*key) < HS_WISDOM_KEY && hs_number_parse(line, seconds) && *seconds > 0 && *seconds < SECONDS_MAX;
}

/* Every whole line of TEXT; the others are counted. */
static hs_status take_lines(hs_wisdom *w, char *text, int *damaged)
{
    for (char *line = text, *end; *line; line = end + 1) {
        double seconds = 0;
        char *key = NULL;
        end = strchr(line, '\n');
        if (!end) { /* cut off */
            ++*damaged;
            break;
        }
        *end = '\0';
        if (parse(line, &seconds, &key))
            HS_TRY(put(w, key, seconds, false));
        else
            ++*damaged;
    }
    return HS_OK;
}

/* What the file holds joins the table. *OURS: it may be replaced; QUIET: what is wrong with it was said before. */
static hs_status load(hs_wisdom *w, bool quiet, bool *ours)
{
    const hs_log *log = quiet ? NULL : w->log;
    char *text = NULL;
    size_t bytes = 0;
    int damaged = 0;
    *ours = true;
    if (!hs_file_exists(w->path))
        return HS_OK;
    if (hs_file_read(w->path, LIMIT, &text, &bytes) != HS_OK) {
        hs_warn(log, "measured costs cannot be used: %s", hs_fail_text());
        hs_fail_clear();
        *ours = false;
        return HS_OK;
    }
    hs_status st = HS_OK;
    if (bytes > 0 && strncmp(text, head, HEAD) != 0) {
        hs_warn(log, "%s is not of this program's form (its first line should be '%.*s'): it is ignored and left as it is; costs are measured at every "
                     "start until wisdom names another file or this one is moved away", w->path, HEAD - 1, head);
        *ours = false;
    } else if (bytes > 0) {
        damaged = strlen(text) < bytes; /* a zero byte hides the rest */
        st = take_lines(w, text + HEAD, &damaged);
    }
    if (damaged)
        hs_warn(log, "%s: %d damaged line%s skipped; the next save leaves them out", w->path, damaged, damaged > 1 ? "s" : "");
    hs_free(text);
    return st;
}

hs_status hs_wisdom_open(const char *path, const char *machine, const hs_log *log, hs_wisdom **out)
{
    hs_wisdom *w = NULL;
    hs_status st = HS_OK;
    bool ours = false;
    HS_TRY(hs_calloc(1, sizeof *w, "wisdom", &w));
    w->log = log;
    HS_TRY_GOTO(st, copy_text(machine, &w->machine), fail);
    for (char *c = w->machine; *c; c++) /* one line, and no bar of ours in it */
        *c = (unsigned char)*c < 32 || *c == '|' || *c == 127 ? ' ' : *c;
    if (path && *path) {
        HS_TRY_GOTO(st, copy_text(path, &w->path), fail);
        HS_TRY_GOTO(st, load(w, false, &ours), fail);
        if (!ours) {
            hs_free(w->path);
            w->path = NULL;
        }
    }
    *out = w;
    return HS_OK;
fail:
    hs_wisdom_close(&w);
    return st;
}

void hs_wisdom_close(hs_wisdom **wisdom)
{
    hs_wisdom *w = *wisdom;
    if (!w)
        return;
    for (int i = 0; i < w->count; i++)
        hs_free(w->list[i].key);
    hs_free(w->list);
    hs_free(w->machine);
    hs_free(w->path);
    hs_free(w);
    *wisdom = NULL;
}

static hs_status make_directory_of(const char *path)
{
    char *dir = NULL, *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return HS_OK;
    HS_TRY(copy_text(path, &dir));
    dir[slash - path] = '\0';
    hs_status st = hs_dir_make(dir);
    hs_free(dir);
    return st;
}

static hs_status write_file(const hs_wisdom *w)
{
    hs_text text = {0};
    char *all = NULL, number[32];
    hs_text_add(&text, "%s", head);
    for (int i = 0; i < w->count; i++) {
        hs_number_print(w->list[i].seconds, number, sizeof number);
        hs_text_add(&text, "%s %s\n", number, w->list[i].key);
    }
    HS_TRY(hs_text_take(&text, &all));
    hs_status st = make_directory_of(w->path);
    if (st == HS_OK)
        st = hs_file_replace(w->path, all, strlen(all));
    hs_free(all);
    return st;
}

void hs_wisdom_save(hs_wisdom *w)
{
    bool fresh = false, ours = false;
    for (int i = 0; i < w->count && !fresh; i++)
        fresh = w->list[i].fresh;
    if (!w->path || !fresh)
        return;
    hs_status st = load(w, true, &ours); /* others may have saved theirs since */
    if (st == HS_OK && ours)
        st = write_file(w);
    if (st != HS_OK) {
        hs_warn(w->log, "measured costs are not kept: %s", hs_fail_text());
        hs_fail_clear();
        return;
    }
    for (int i = 0; i < w->count; i++)
        w->list[i].fresh = false;
}

hs_status hs_wisdom_default_path(char *path, size_t capacity)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 0;
    path[0] = '\0';
    if (cache && cache[0] == '/') /* the specification: what is not absolute is ignored */
        n = snprintf(path, capacity, "%s/halfspec/wisdom", cache);
    else if (home && home[0] == '/')
        n = snprintf(path, capacity, "%s/.cache/halfspec/wisdom", home);
    if (n < 0 || (size_t)n >= capacity)
        return hs_fail(HS_EUSAGE, "the path of the cache directory is too long; set the key wisdom to a file");
    return HS_OK;
}

/* ---- what is measured --------------------------------------------------------------------------------------------------------------- */

void hs_wisdom_of_choice(const hs_net *net, const hs_node *node, const hs_choice *c, char *text, size_t capacity)
{
    static const char *const domain[] = {"space", "spectrum", "sealed space", "sealed spectrum"}, *const engine[] = {"-", "direct", "fft"};
    char flags[96] = "", way[16] = "", pool[32] = "";
    if (node->kind->flags)
        node->kind->flags(node, flags, sizeof flags);
    if (c->way)
        snprintf(way, sizeof way, ".%d", c->way);
    if (node->pool)
        snprintf(pool, sizeof pool, ", max %ds%d", node->pool, node->pool_stride);
    snprintf(text, capacity, "%s%s%s%s%s | %dx%dx%d > %dx%dx%d | %s%s %s>%s | n=%d dx=%d train=%d", node->relu_in ? "relu, " : "", node->notation, flags,
             node->relu_out ? ", relu" : "", pool, node->in.h, node->in.w, node->in.c, node->out.h, node->out.w, node->out.c, engine[c->engine], way,
             domain[c->in + 2 * hs_plan_seals(net, node->sealed_in, c->in)], domain[c->out + 2 * hs_plan_seals(net, node->sealed_out, c->out)],
             net->plan.capacity, node->need_dx[0], net->plan.training);
}

void hs_wisdom_of_transform(const hs_net *net, hs_shape shape, char *text, size_t capacity)
{
    snprintf(text, capacity, "transform | %dx%dx%d | n=%d train=%d", shape.h, shape.w, shape.c, net->plan.capacity, net->plan.training);
}
